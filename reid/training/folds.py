"""The training subset in memory: decoded images of the training fold and of the held-out one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from reid.data.dataset import NO_LABEL, TRAIN, VALIDATION, read_subset
from reid.data.images import decode_all


@dataclass(frozen=True)
class Fold:
    """Images with their people and cameras."""

    images: np.ndarray
    """uint8 (n, height, width, 3)."""
    labels: np.ndarray
    """int32 (n,): class of the softmax, -1 for people whom it doesn't know."""
    pids: np.ndarray
    """int32 (n,)."""
    camids: np.ndarray
    """int32 (n,)."""

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    @property
    def people(self) -> int:
        """The number of people that the softmax tells apart, all of them in the training fold."""
        return int(self.labels.max()) + 1

    @property
    def is_labelled(self) -> bool:
        """Whether the softmax can be judged on this fold."""
        return bool(np.all(self.labels != NO_LABEL))


def read_folds(dataset: Path, split: Path, height: int, width: int) -> tuple[Fold, Fold]:
    """Decode the training subset once: the training fold and the validation fold.

    Rows are sorted by person, so that a person's validation images share a batch, but for the few
    at a batch's ends.
    """
    rows = read_subset(dataset, "train", images=True)
    table = pd.read_parquet(split)
    rows = rows.merge(table[["name", "label", "fold"]], on="name", validate="one_to_one")
    return (
        _fold(rows[rows["fold"] == TRAIN], height, width),
        _fold(rows[rows["fold"] == VALIDATION], height, width),
    )


def _fold(rows: pd.DataFrame, height: int, width: int) -> Fold:
    rows = rows.sort_values(["pid", "name"])
    pids, labels, camids = (rows[c].to_numpy(np.int32) for c in ("pid", "label", "camid"))
    return Fold(decode_all(rows["image"].tolist(), height, width), labels, pids, camids)
