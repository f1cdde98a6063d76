"""Stage, once for each model: embed the images of query and gallery."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from reid.common.arrays import has_unit_length
from reid.common.errors import UserError
from reid.common.files import replacing_folder, sha256, sha256_of_folder, write_json
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import decoded_batches
from reid.inference.engine import EngineName, load_engine
from reid.model.backend_choice import Backend, choose
from runs.fingerprint import inputs_hash, require_unedited
from stages._params import Seed, Threads
from stages._stage import declared, run

logger = logging.getLogger(__name__)

DECODED_AT_ONCE = 256
"""The images that are decoded while those before them are embedded."""


class Extract(Settings):
    """The parameters of the group ``extract`` that decide how images are embedded."""

    engine: EngineName
    runner: Literal["local", "ray"]


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares."""

    seed: Seed
    backend: Backend
    threads: Threads
    extract: Extract


def main() -> None:
    """Write ``build/features/<model>``; the command line names the model."""
    name = sys.argv[1]
    stage = f"extract@{name}"
    before = inputs_hash(stage)
    params = declared(stage, Params)
    exported = paths.exported_folder(name)
    with replacing_folder(paths.features_folder(name)) as part:
        embed = _embedding(params, exported, part)
        for subset in ("query", "gallery"):
            parquet = paths.subset_file(paths.DATASET, subset)
            embeddings = embed(parquet)
            _require_embeddings(embeddings, subset, exported)
            np.save(paths.embeddings_file(part, subset), embeddings)
            logger.info("%s %s: %d embeddings of %d numbers", name, subset, *embeddings.shape)
        write_json(
            paths.source_file(part),
            {
                "network": exported.as_posix(),
                "network_sha256": sha256_of_folder(exported),
                "gallery_sha256": sha256(paths.subset_file(paths.DATASET, "gallery")),
            },
        )
        require_unedited(stage, before)


def _embedding(params: Params, network: Path, folder: Path) -> Callable[[Path], np.ndarray]:
    """Return the function that embeds the photos of a parquet file: float32 (n, d).

    On Ray, parts of the embeddings lie in a folder until they are joined.
    """
    prepare = partial(_prepare, params)
    if params.extract.runner == "ray":
        from reid.inference.ray_runner import embed_on_ray  # noqa: PLC0415

        return lambda parquet: embed_on_ray(parquet, network, folder, prepare)
    prepare()
    engine = load_engine(network)
    return lambda parquet: engine.embed(
        decoded_batches(parquet, DECODED_AT_ONCE, engine.height, engine.width)
    )


def _prepare(params: Params) -> None:
    """Set Keras up before its first use."""
    if params.extract.engine == "keras":
        choose(params.backend)
        from reid.model.backend import make_deterministic  # noqa: PLC0415

        make_deterministic(params.seed, params.threads)


def _require_embeddings(embeddings: np.ndarray, subset: str, network: Path) -> None:
    """Raise UserError if some of the embeddings (n, d) are zero or NaN."""
    without = np.count_nonzero(~has_unit_length(embeddings))
    if without:
        raise UserError(
            f"{without} of {len(embeddings)} {subset} embeddings of {network} are zero or NaN: its "
            "training diverged. Lower lr or raise optimisation.warmup_epochs."
        )


if __name__ == "__main__":
    run(main)
