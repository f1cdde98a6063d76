"""Train a saved network twice, once interrupted: ``history_of_training NETWORK FOLDER [xla]``.

Runs in a process of its own, because Keras takes its backend from the environment when it is
imported. Prints the rows of both trainings.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from reid.model.backend import make_deterministic
from reid.model.network import load_network
from reid.training.checkpoint import Checkpoint
from reid.training.history import Row
from reid.training.loop import train
from reid.training.objective import Objective
from tests.support.small_training import SGD, fold, plan

NEVER = 0
STOPS = (1, 2, NEVER)
"""The epochs after which a part is stopped: in one the backbone is frozen, in the next it isn't."""


class StoppedError(Exception):
    """Stands for whatever ends a training between two epochs."""


def trained(start: Path, folder: Path, xla: bool, stops: Sequence[int] = (NEVER,)) -> list[Row]:
    """Train for three epochs with averaged weights, the first with a frozen backbone.

    Args:
        start: the network to start from.
        folder: the folder to write, with the model and the checkpoint.
        xla: whether TensorFlow compiles the training step.
        stops: the epoch after which to stop each part of the training.

    Returns:
        The rows that the parts reported.
    """
    history: list[Row] = []
    # Adam's first steps go by the sign of gradients that are nearly 0: any rounding shows.
    settings = SGD.model_copy(update={"frozen_epochs": 1, "average": 0.9})
    how = replace(plan(3, Objective(label_smoothing=0.1, margin=0.3), 0.003, settings), xla=xla)
    for stop in stops:

        def report(row: Row, stop: int = stop) -> None:
            history.append(row)
            if row["epoch"] == stop:
                raise StoppedError

        network = load_network(start)
        size = network.input_shape[1]
        folds = fold(6, 0, size=size), fold(2, 1, size=size)
        with suppress(StoppedError):
            train(network, folds, how, folder / "model", Checkpoint(folder / "checkpoint"), report)
    return history


def main(start: Path, folder: Path, xla: bool) -> None:
    """Print both histories as JSON."""
    make_deterministic(1, 2, xla)
    histories = {
        "uninterrupted": trained(start, folder / "uninterrupted", xla),
        "interrupted": trained(start, folder / "interrupted", xla, STOPS),
    }
    sys.stdout.write(json.dumps(histories))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), "xla" in sys.argv)
