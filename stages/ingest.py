"""Stage: index the photos in ``data/``. Each image is decoded once."""

import logging
from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from reid.common.errors import UserError, listed
from reid.common.settings import Settings
from reid.data import paths
from reid.data.market import PersonZero, form_of
from reid.preparation.ingest import ingest
from reid.sources.source import open_source
from stages._stage import declared, run

logger = logging.getLogger(__name__)

AFTER_CHANGES = "after changes there, run `dvc repro --force ingest`, then `dvc repro`."


def _known_names(names: str) -> str:
    try:
        form_of(names)
    except UserError as e:
        raise PydanticCustomError("names", "{reason}", {"reason": str(e)}) from e
    return names


class Ingest(Settings):
    """The parameters of ``ingest``."""

    gallery: Literal["bounding_box_test", "gt_bbox"]
    """The folder of the layout that is the gallery."""
    names: Annotated[str, AfterValidator(_known_names)]
    """How file names give person and camera: one of ``FORMS``, or a regular expression."""
    person_0: PersonZero
    """Whom the number 0 in a name means."""


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares for this stage."""

    ingest: Ingest


def main() -> None:
    """Write ``build/dataset``."""
    params = declared("ingest", Params)
    how = params.ingest
    with open_source(paths.DATA) as source:
        summary = ingest(source, paths.DATASET, how.gallery, how.names, how.person_0)
    if source.archives:
        logger.info("read together as one data set: %s", listed(source.archives))
    counts = ", ".join(f"{count} {subset}" for subset, count in summary["images"].items())
    logger.info("%s: %s images", summary["name"], counts)
    if summary["behind_links"]:
        logger.warning(
            "%s holds links to folders, which DVC doesn't look into: %s", paths.DATA, AFTER_CHANGES
        )
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
