"""Stage, once for each model: export the trained network to the engine that embeds with it."""

import logging
import sys

from reid.common.files import replacing_folder
from reid.common.processor import Processor, use_instructions
from reid.common.settings import Settings
from reid.data import paths
from reid.inference.engine import EngineName
from reid.model.backend_choice import Backend, choose
from runs.fingerprint import inputs_hash, require_unedited
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Extract(Settings):
    """The parameters of the group ``extract`` that decide what is exported."""

    checkpoint: paths.SavedNetwork
    engine: EngineName
    flip: bool
    """Whether to embed the mirror image of each photo too."""


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares."""

    backend: Backend
    processor: Processor
    extract: Extract


def main() -> None:
    """Write ``build/networks/<model>``; the command line names the model."""
    name = sys.argv[1]
    stage = f"export@{name}"
    before = inputs_hash(stage)
    params = declared(stage, Params)
    own = params.extract
    # Only TensorFlow writes the other engines' files. It reads what any backend has trained.
    choose(params.backend if own.engine == "keras" else "tensorflow")
    use_instructions(params.processor)
    from reid.inference.export import export_network  # noqa: PLC0415
    from reid.model.network import load_network, retrieval_network  # noqa: PLC0415

    weights = paths.network_file(paths.model_folder(name), own.checkpoint)
    network = retrieval_network(load_network(weights), own.flip)
    with replacing_folder(paths.exported_folder(name)) as part:
        file = export_network(network, own.engine, part)
        logger.info("%s of %s: %s", own.checkpoint, name, file.name)
        require_unedited(stage, before)


if __name__ == "__main__":
    run(main)
