"""Stage: index the photos in ``data/``, every image decoded once."""

import logging
from typing import Literal

from reid.common.settings import Settings
from reid.data import paths
from reid.preparation.ingest import ingest
from reid.preparation.sources import open_source
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Ingest(Settings):
    """Which folder of the layout is the gallery."""

    gallery: Literal["bounding_box_test", "gt_bbox"]


class Params(Settings):
    """Declared in ``dvc.yaml``."""

    ingest: Ingest


def main() -> None:
    """Write ``build/dataset``."""
    params = declared("ingest", Params)
    with open_source(paths.DATA) as source:
        summary = ingest(source, paths.DATASET, params.ingest.gallery)
    counts = ", ".join(f"{count} {subset}" for subset, count in summary["images"].items())
    logger.info("%s: %s images", summary["name"], counts)
    for folder, count in summary["strangers"].items():
        logger.info("ignored in %s: %d files that are no images of the layout", folder, count)


if __name__ == "__main__":
    run(main)
