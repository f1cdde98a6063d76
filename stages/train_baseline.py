"""Stage: train the baseline, a softmax over the people of the training fold."""

from pydantic import Field

from reid.common.settings import Settings
from reid.data import paths
from reid.training.batches import shuffled_batches
from reid.training.objective import Objective
from stages._params import BatchSize
from stages._stage import declared, run
from stages._training import TrainingParams, train_model


class Baseline(Settings):
    """The parameters of the baseline alone."""

    epochs: int = Field(ge=1)
    batch_size: BatchSize
    label_smoothing: float = Field(ge=0, lt=1)
    refit_epochs: int = Field(ge=0)


class Params(TrainingParams):
    """The parameters that ``dvc.yaml`` declares."""

    baseline: Baseline


def main() -> None:
    """Train the baseline and write ``models/baseline``."""
    params = declared("train_baseline", Params)
    own = params.baseline
    train_model(
        paths.BASELINE,
        params,
        Objective(own.label_smoothing),
        own.epochs,
        lambda labels, epoch: shuffled_batches(len(labels), own.batch_size, params.seed, epoch),
        own.refit_epochs,
    )


if __name__ == "__main__":
    run(main)
