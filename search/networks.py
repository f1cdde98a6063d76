"""The networks that embed photos: copies, in a folder of the search tool's own."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from reid.common.errors import UserError
from reid.common.files import replacing_file, replacing_folder, sha256_of_folder
from reid.data.images import decode_all
from reid.inference.engine import FILES, Engine, load_engine
from reid.serving.thresholds import THRESHOLDS, read_thresholds
from search.records import Model

if TYPE_CHECKING:
    from runs.registry.download import FetchedNetwork

REGISTRY = "models:/"
CHAMPION = f"{REGISTRY}reid@champion"
NAME = "name.txt"


class Network:
    """A network on its engine, and the model that it is to an index."""

    def __init__(
        self, engine: Engine, sha256: str, name: str, thresholds: Mapping[float, float]
    ) -> None:
        """Keep the parts; ``thresholds`` are those of `reid.serving.thresholds`."""
        self.engine = engine
        self.thresholds = thresholds
        self.model = Model(sha256, name, engine.dimension)

    def embed(self, photos: Sequence[bytes]) -> np.ndarray:
        """Embed n image files: float32 (n, d), rows of length 1."""
        engine = self.engine
        return engine.embed([decode_all(photos, engine.height, engine.width)])


class Networks:
    """A folder with a copy of each network in use, so that an index needs nothing else."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which need not exist yet."""
        self._folder = folder
        self._loaded: dict[str, Network] = {}

    def install(self, address: str) -> Network:
        """Copy a network into the folder and load it.

        Args:
            address: a registered model, such as ``models:/reid@champion``, or the folder of an
                exported network.

        Raises:
            UserError: there is no such model, or it holds no network that can be loaded.
        """
        if not address.startswith(REGISTRY):
            return self._copied(Path(address), address)
        with TemporaryDirectory() as folder:
            fetched = _downloaded(address, Path(folder))
            return self._copied(fetched.folder, fetched.address, fetched.thresholds)

    def _copied(self, source: Path, name: str, thresholds: Path | None = None) -> Network:
        if not any((source / file).exists() for file in FILES.values()):
            raise UserError(
                f"{source} holds no network. Name a registered model ({CHAMPION}), or a folder "
                "that `python -m reid export` wrote."
            )
        sha256 = sha256_of_folder(source)
        place = self._folder / sha256
        if not place.exists():
            with replacing_folder(place) as part:
                shutil.copytree(source, part / "network")
                (part / NAME).write_text(name, encoding="utf-8")
        if thresholds and thresholds.exists():
            # The network may have been installed before, from a folder without thresholds.
            with replacing_file(place / THRESHOLDS) as part:
                shutil.copyfile(thresholds, part)
            self._loaded.pop(sha256, None)
        return self.load(sha256)

    def load(self, sha256: str) -> Network:
        """Load a network that was installed.

        Raises:
            UserError: it was not installed in this folder, or can't be loaded.
        """
        if sha256 not in self._loaded:
            place = self._folder / sha256
            if not place.exists():
                raise UserError(
                    f"{self._folder} lacks the network {sha256[:12]}, whose embeddings the index "
                    "holds. `python -m reid index install MODEL` brings it here."
                )
            engine = load_engine(place / "network", cache=self._folder / "compiled")
            name = (place / NAME).read_text(encoding="utf-8")
            thresholds = read_thresholds(place / THRESHOLDS)
            self._loaded[sha256] = Network(engine, sha256, name, thresholds)
        return self._loaded[sha256]


def _downloaded(address: str, folder: Path) -> "FetchedNetwork":
    """Download the network of a registered model."""
    try:
        from runs.project import project_root  # noqa: PLC0415
        from runs.registry.download import network_of  # noqa: PLC0415
    except ModuleNotFoundError as e:
        raise UserError(
            f"{address} is in MLflow's registry, and the pipeline is not installed here ({e.name} "
            f"is missing). Where it is, `python -m reid export {address} FOLDER` writes a folder; "
            "give that folder."
        ) from e
    return network_of(address, project_root(), folder)
