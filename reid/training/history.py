"""The history of a training: one row of numbers per epoch."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reid.common.errors import UserError

Row = dict[str, float]
"""The numbers of one epoch: epoch (from 1), learning_rate, losses, accuracies."""

NAMES = {
    "learning_rate": "learning_rate",
    "loss": "loss",
    "softmax_loss": "softmax_loss",
    "triplet_loss": "triplet_loss",
    "teacher_loss": "teacher_loss",
    "softmax_accuracy": "accuracy",
    # Keras calls the metric so if a model has one output.
    "accuracy": "accuracy",
}

DIVERGED = 10
"""A training whose softmax loss exceeds so many times the loss of guessing has diverged."""

VALIDATION = ("val_loss", "val_accuracy", "val_rank1", "val_mAP")
"""The first two are measured on held-out images, the others on held-out people."""
REFIT = ("refit_learning_rate", "refit_loss", "refit_accuracy")
"""Measured in the second training, on all images."""


def renamed(logs: Mapping[str, float]) -> Row:
    """Rename the numbers of Keras's log of an epoch, and bring them into a fixed order."""
    return {ours: float(logs[keras]) for keras, ours in NAMES.items() if keras in logs}


def require_sound(row: Row, people: int, computes_in: str) -> None:
    """Stop a training that diverges.

    A training diverges if a number of its epoch is NaN or infinite, or if the softmax loss exceeds
    ten times that of guessing, log(people): a huge loss may stay finite to the end.

    Args:
        row: the numbers of the epoch.
        people: the classes of the softmax.
        computes_in: the type that the backbone computes in; half precision can be the cause.

    Raises:
        UserError: the training has diverged.
    """
    wrong = [name for name, value in row.items() if not math.isfinite(value)]
    softmax = "softmax_loss" if "softmax_loss" in row else "loss"
    if row.get(softmax, 0.0) > DIVERGED * math.log(people):
        wrong.append(softmax)
    if wrong:
        is_full = computes_in == "float32"
        other = "" if is_full else f" Or choose precision: float32 instead of {computes_in}."
        raise UserError(
            f"Training diverged in epoch {row['epoch']:.0f}: {wrong[0]} is {row[wrong[0]]:.3g}. "
            f"Lower lr (the learning rate was {row['learning_rate']:.3g}) or raise "
            f"optimisation.warmup_epochs.{other}"
        )


def of_refit(row: Row) -> Row:
    """Rename the numbers of an epoch of the second training."""
    return {name if name == "epoch" else f"refit_{name}": value for name, value in row.items()}


def best_epoch(history: list[Row]) -> int:
    """Return the index of the best epoch: the highest val_mAP, or else the lowest val_loss.

    If nothing was held out, no epoch is known to be better than another, and it is the last.
    """
    if "val_mAP" in history[0]:
        return int(np.argmax([row["val_mAP"] for row in history]))
    if "val_loss" in history[0]:
        return int(np.argmin([row["val_loss"] for row in history]))
    return len(history) - 1


def history_table(history: list[Row], refit: list[Row]) -> pd.DataFrame:
    """Make a table with one row per epoch and all columns of ``VALIDATION`` and ``REFIT``.

    ``refit`` has the rows of the second training, or none. Columns that were not measured are NaN:
    DVC's plots warn if a column is missing, but not if it is empty.
    """
    first = pd.DataFrame(history)
    second = pd.DataFrame(map(of_refit, refit)) if refit else first[["epoch"]]
    return _with(VALIDATION, first).merge(_with(REFIT, second), on="epoch", how="outer")


def _with(columns: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    absent = [name for name in columns if name not in table]
    return table.reindex(columns=[*table.columns, *absent])
