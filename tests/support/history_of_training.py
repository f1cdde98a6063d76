"""Train a saved network a little and print its history.

Run in a process of its own, for Keras takes its backend from the environment when it is imported.
"""

import json
import sys
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


class StoppedError(Exception):
    """Stands for whatever ends a process between two epochs."""


def main(path: Path, folder: Path, xla: bool, stop: int) -> None:
    """Three epochs with averaged weights, the first with a frozen backbone; ``stop`` after some."""
    make_deterministic(1, 2, xla)
    history: list[Row] = []

    def report(row: Row) -> None:
        history.append(row)
        if row["epoch"] == stop:
            raise StoppedError

    # Adam's first steps go by the sign of gradients that are nearly 0: any rounding shows.
    optimisation = SGD.model_copy(update={"frozen_epochs": 1, "average": 0.9})
    how = plan(3, Objective(label_smoothing=0.1, margin=0.3), 0.003, optimisation)
    how = replace(how, xla=xla)
    network = load_network(path)
    size = network.input_shape[1]
    folds = fold(6, 0, size=size), fold(2, 1, size=size)
    with suppress(StoppedError):
        train(network, folds, how, folder / "model", Checkpoint(folder / "checkpoint"), report)
    sys.stdout.write(json.dumps(history))


if __name__ == "__main__":
    stops = [int(option.removeprefix("stop=")) for option in sys.argv if option.startswith("stop=")]
    main(Path(sys.argv[1]), Path(sys.argv[2]), "xla" in sys.argv, stop=stops[0] if stops else 0)
