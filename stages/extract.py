"""Stage, once for each model: embed the images of query and gallery."""

import logging
import sys
from pathlib import Path

import numpy as np
from pydantic import Field

from reid.common.arrays import has_unit_length
from reid.common.errors import UserError
from reid.common.files import replacing_folder, sha256, write_json
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import decoded_batches
from reid.model.backend_choice import Backend, choose
from runs.fingerprint import inputs_hash, require_unedited
from stages._params import Seed, Threads
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Extract(Settings):
    """The parameters of the group ``extract``."""

    checkpoint: paths.SavedEpoch
    batch_size: int = Field(ge=1)
    """The number of images to embed at once."""
    flip: bool
    """Whether to embed the mirror image of each image too."""


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
    choose(params.backend)
    from reid.model.backend import make_deterministic  # noqa: PLC0415

    make_deterministic(params.seed, params.threads)
    from reid.model.embedding import embed  # noqa: PLC0415
    from reid.model.network import embedder, load_network  # noqa: PLC0415

    weights = paths.network_file(paths.model_folder(name), params.extract.checkpoint)
    model = embedder(load_network(weights))
    _, height, width, _ = model.input_shape
    size = params.extract.batch_size
    with replacing_folder(paths.features_folder(name)) as part:
        for subset in ("query", "gallery"):
            parquet = paths.subset_file(paths.DATASET, subset)
            batches = decoded_batches(parquet, size, height, width)
            embeddings = embed(model, batches, size, params.extract.flip)
            _require_embeddings(embeddings, subset, weights)
            np.save(paths.embeddings_file(part, subset), embeddings)
            logger.info("%s %s: %d embeddings of %d numbers", name, subset, *embeddings.shape)
        write_json(
            paths.source_file(part),
            {
                "model": weights.as_posix(),
                "model_sha256": sha256(weights),
                "flip": params.extract.flip,
                "gallery_sha256": sha256(paths.subset_file(paths.DATASET, "gallery")),
            },
        )
        require_unedited(stage, before)


def _require_embeddings(embeddings: np.ndarray, subset: str, weights: Path) -> None:
    """Raise UserError if some of the embeddings (n, d) are zero or NaN."""
    without = np.count_nonzero(~has_unit_length(embeddings))
    if without:
        raise UserError(
            f"{without} of {len(embeddings)} {subset} embeddings of {weights} are zero or NaN: its "
            "training diverged. Lower lr or raise optimisation.warmup_epochs."
        )


if __name__ == "__main__":
    run(main)
