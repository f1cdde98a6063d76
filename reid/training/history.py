"""The epochs of a training in numbers."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from reid.common.errors import UserError

Row = dict[str, float]
"""An epoch: epoch (from 1), learning_rate, losses, accuracies."""

NAMES = {
    "learning_rate": "learning_rate",
    "loss": "loss",
    "softmax_loss": "softmax_loss",
    "triplet_loss": "triplet_loss",
    "softmax_accuracy": "accuracy",
    # What Keras calls the only metric of a model with one output.
    "accuracy": "accuracy",
}

FAR_WORSE = 10
"""Times the loss of guessing: beyond, a training has diverged."""

VALIDATION = ("val_loss", "val_accuracy", "val_rank1", "val_mAP")
"""The first two are of held-out images, the others of held-out people."""


def renamed(logs: Mapping[str, float]) -> Row:
    """Keras's log of an epoch under this project's names, in an order that doesn't change."""
    return {ours: float(logs[keras]) for keras, ours in NAMES.items() if keras in logs}


def require_sound(row: Row, people: int, computes_in: str) -> None:
    """Raise UserError where a training of a softmax over so many people has diverged.

    That is where a number is none, or where the softmax's loss is ten times that of guessing,
    log(people): huge losses may stay finite to the end. ``computes_in``: the network's type of
    numbers, a cause of its own where it is half.
    """
    wrong = [name for name, value in row.items() if not math.isfinite(value)]
    softmax = "softmax_loss" if "softmax_loss" in row else "loss"
    if row.get(softmax, 0.0) > FAR_WORSE * math.log(people):
        wrong.append(softmax)
    if wrong:
        is_full = computes_in == "float32"
        other = "" if is_full else f" Or choose precision: float32 instead of {computes_in}."
        raise UserError(
            f"Training diverged in epoch {row['epoch']:.0f}: {wrong[0]} is {row[wrong[0]]:.3g}. "
            f"Lower lr (it stood at {row['learning_rate']:.3g}) or raise "
            f"optimisation.warmup_epochs.{other}"
        )


def best_epoch(history: list[Row]) -> int:
    """Index of the epoch with the highest val_mAP, or, without it, with the lowest val_loss."""
    if "val_mAP" in history[0]:
        return int(np.argmax([row["val_mAP"] for row in history]))
    return int(np.argmin([row["val_loss"] for row in history]))


def history_table(history: list[Row]) -> pd.DataFrame:
    """A row an epoch; the columns of ``VALIDATION`` that the hold-out doesn't measure are NaN.

    DVC warns of a plotted column that a file lacks, not of one that is empty.
    """
    table = pd.DataFrame(history)
    unmeasured = [name for name in VALIDATION if name not in table]
    return table.reindex(columns=[*table.columns, *unmeasured])
