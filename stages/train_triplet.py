"""Stage: train the triplet model by softmax and triplet loss, in batches of P people x K images."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from reid.common.errors import UserError
from reid.common.settings import Settings
from reid.data import paths
from reid.training.batches import people_batches
from reid.training.objective import Margin, Mining, Objective
from stages._params import People
from stages._stage import declared, run
from stages._training import TrainingParams, train_model

NO_TEACHER = "none"


def _margin(value: Any) -> Margin:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == "soft" or (is_number and 0 < value < math.inf):
        return value
    raise ValueError("Input should be a number greater than 0, or soft")


class Triplet(Settings):
    """The parameters of the triplet model alone."""

    start: Literal["baseline", "pretrained"]
    epochs: int = Field(ge=1)
    people: People
    images: int = Field(ge=2)
    mining: Mining
    margin: Annotated[Margin, PlainValidator(_margin)]
    weight: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=1)
    refit_epochs: int = Field(ge=0)
    teacher: str = Field(pattern=r"^[^/\\]+$")
    teacher_weight: float = Field(gt=0)


def teacher_file(name: str) -> Path | None:
    """Return the file of a teacher's network in ``pretrained/``, or None for ``none``.

    Raises:
        UserError: there is no such file.
    """
    if name == NO_TEACHER:
        return None
    file = paths.PRETRAINED / name
    if not file.is_file():
        raise UserError(
            f"triplet.teacher: there is no file {file}. Copy the final.keras of a trained model to "
            f"it, and record it by `dvc add {paths.PRETRAINED}` (docs/teacher.md)."
        )
    return file


class Params(TrainingParams):
    """The parameters that ``dvc.yaml`` declares."""

    triplet: Triplet


def main() -> None:
    """Train the triplet model and write ``models/triplet``."""
    params = declared("train_triplet", Params)
    own = params.triplet
    # The weight is read without a teacher, too: a stage reads all parameters that it declares.
    teacher, teacher_weight = teacher_file(own.teacher), own.teacher_weight
    train_model(
        paths.TRIPLET,
        params,
        Objective(
            own.label_smoothing,
            own.margin,
            own.mining,
            own.weight,
            teacher_weight if teacher else 0.0,
        ),
        own.epochs,
        lambda labels, epoch: people_batches(labels, own.people, own.images, params.seed, epoch),
        own.refit_epochs,
        start=paths.network_file(paths.model_folder(paths.BASELINE), "best")
        if own.start == "baseline"
        else None,
        teacher=teacher,
    )


if __name__ == "__main__":
    run(main)
