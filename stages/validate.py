"""Stage: check the data set before anything is trained on it."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from reid.checks.limits import Limits
from reid.common.errors import UserError
from reid.common.files import write_json
from reid.common.processor import Processor
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import read_index, read_source
from stages._params import BaselineBatches, RightAnswers, TripletBatches
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Validate(Settings):
    """The parameters of ``validate``: sizes in pixels."""

    cameras: int = Field(ge=1)
    """The highest camera number."""
    min_width: int = Field(ge=1)
    min_height: int = Field(ge=1)
    usual_width: int = Field(ge=1)
    usual_height: int = Field(ge=1)
    official_counts: bool
    """Whether Market-1501, whatever its name, must have its official counts."""
    few_images: int = Field(ge=1)
    """A person with fewer training images than this is worth a warning."""


class Extract(Settings):
    """The parameters of ``extract`` that must fit each other."""

    engine: str
    precision: str


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares for this stage."""

    validate_: Validate = Field(alias="validate")
    processor: Processor
    evaluate: RightAnswers
    extract: Extract
    baseline: BaselineBatches
    triplet: TripletBatches


def limits_of(params: Params, source: Mapping[str, Any]) -> Limits:
    """Return the limits that a data set has to keep. ``source`` is what ``ingest`` says of it."""
    own = params.validate_
    return Limits(
        dataset=source["name"],
        gallery_folder=source["gallery"],
        names=source["names"],
        protocol=params.evaluate.protocol,
        official_counts=own.official_counts,
        cameras=own.cameras,
        min_width=own.min_width,
        min_height=own.min_height,
        usual_size=(own.usual_width, own.usual_height),
        people_per_batch=params.triplet.people,
        batch_size=params.baseline.batch_size,
        few_images=own.few_images,
        other_formats=source["other_formats"],
    )


def main() -> None:
    """Write ``build/validation.json`` and ``build/data_docs``. Fail if a failure is fatal."""
    params = declared("validate", Params)
    can_be_bfloat16 = (params.extract.engine, params.processor) == ("openvino", "this")
    if params.extract.precision == "bfloat16" and not can_be_bfloat16:
        raise UserError(
            "extract.precision: bfloat16 needs extract.engine: openvino and processor: this."
        )
    from reid.checks.judge import check  # noqa: PLC0415

    limits = limits_of(params, read_source(paths.DATASET))
    report = check(read_index(paths.DATASET), limits, paths.DATA_DOCS)
    text = f"{report.to_text()}\nMore in {paths.DATA_DOCS}/index.html"
    if not report.ok:
        raise UserError(text)
    write_json(paths.VALIDATION, report.to_dict())
    logger.info(text)


if __name__ == "__main__":
    run(main)
