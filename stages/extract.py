"""Stage, once for each model: embed the query and the gallery photos."""

import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from reid.common.arrays import has_unit_length
from reid.common.errors import UserError
from reid.common.files import replacing_folder, sha256, sha256_of_folder, write_json
from reid.common.processor import Processor, use_instructions
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import decoded_batches
from reid.inference.engine import Engine, EngineName, InferencePrecision, load_engine
from reid.model.backend_choice import Backend, choose
from runs.fingerprint import inputs_hash, require_unedited
from stages._params import Seed, Threads
from stages._stage import declared, run

logger = logging.getLogger(__name__)

Embed = Callable[[Path], np.ndarray]
"""A function from the parquet file of n photos to their embeddings, float32 (n, d)."""

DECODED_AT_ONCE = 256
"""The images that are decoded while those before them are embedded."""


class Extract(Settings):
    """The parameters of the group ``extract`` that decide how images are embedded."""

    engine: EngineName
    precision: InferencePrecision
    runner: Literal["local", "ray"]


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares."""

    seed: Seed
    backend: Backend
    processor: Processor
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
        for subset, embeddings in _embedded(params, exported, part):
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


def _embedded(params: Params, network: Path, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the embeddings, float32 (n, d), of query and gallery.

    On Ray, shards lie in ``folder`` until they are joined.
    """
    embed = (
        _on_ray(params, network, folder)
        if params.extract.runner == "ray"
        else _here(params, network)
    )
    for subset in ("query", "gallery"):
        yield subset, embed(paths.subset_file(paths.DATASET, subset))


def _here(params: Params, network: Path) -> Embed:
    engine = _engine(params, network)

    def embed(parquet: Path) -> np.ndarray:
        return engine.embed(decoded_batches(parquet, DECODED_AT_ONCE, engine.height, engine.width))

    return embed


def _on_ray(params: Params, network: Path, folder: Path) -> Embed:
    from reid.inference.ray_runner import embed_on_ray  # noqa: PLC0415

    load = partial(_engine, params, network.resolve())
    return lambda parquet: embed_on_ray(parquet, load, folder)


def _engine(params: Params, network: Path) -> Engine:
    """Load the network. What the engine must know before it is imported is set here."""
    use_instructions(params.processor)
    if params.extract.engine == "keras":
        choose(params.backend)
        from reid.model.backend import make_deterministic  # noqa: PLC0415

        make_deterministic(params.seed, params.threads)
    return load_engine(network, precision=params.extract.precision)


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
