"""Stage: index the photos in ``data/``. Each image is decoded once."""

import logging
from typing import Literal

from reid.common.errors import listed
from reid.common.settings import Settings
from reid.data import paths
from reid.preparation.ingest import ingest
from reid.preparation.sources import open_source
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Ingest(Settings):
    """The parameters of ``ingest``."""

    gallery: Literal["bounding_box_test", "gt_bbox"]
    """The folder of the layout that is the gallery."""


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares for this stage."""

    ingest: Ingest


def main() -> None:
    """Write ``build/dataset``."""
    params = declared("ingest", Params)
    with open_source(paths.DATA) as source:
        summary = ingest(source, paths.DATASET, params.ingest.gallery)
    if source.archives:
        logger.info("read together as one data set: %s", listed(source.archives))
    counts = ", ".join(f"{count} {subset}" for subset, count in summary["images"].items())
    logger.info("%s: %s images", summary["name"], counts)
    ignored = summary["strangers"]
    if ignored:
        logger.info(
            "ignored %d files that are not images of the layout, in %d folders; %s lists them",
            sum(ignored.values()),
            len(ignored),
            paths.source_file(paths.DATASET),
        )


if __name__ == "__main__":
    run(main)
