"""The training subset in memory: the decoded images of the training and the held-out fold."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reid.data import paths
from reid.data.dataset import NO_LABEL, TRAIN, VALIDATION, decoded_batches, read_subset
from reid.data.protocols import CROSS_CAMERA, Protocol

FILES_AT_ONCE = 64
"""The image files that are in memory at the same time."""


@dataclass(frozen=True)
class Fold:
    """Images with their people and cameras, n rows."""

    images: np.ndarray
    """The decoded images, uint8 (n, height, width, 3)."""
    labels: np.ndarray
    """The classes of the softmax, int32 (n,); -1 for people who are not among its classes."""
    pids: np.ndarray
    """The people's numbers in the data set, int32 (n,)."""
    camids: np.ndarray
    """The cameras' numbers, int32 (n,)."""
    teacher: np.ndarray | None = None
    """A teacher's embeddings of the images, float32 (n, d), rows of length 1."""
    protocol: Protocol = CROSS_CAMERA
    """The protocol by which retrieval among these people is validated."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def people(self) -> int:
        """The number of classes of the softmax; the training fold has all of these people."""
        return int(self.labels.max()) + 1

    @property
    def is_labelled(self) -> bool:
        """Whether the softmax knows all people of this fold, and so can be judged on it."""
        return bool(np.all(self.labels != NO_LABEL))


class Folds(NamedTuple):
    """The training subset in two folds, and as a whole."""

    training: Fold
    validation: Fold
    """The images that are held out."""
    all: Fold
    """The images of both folds."""


def read_folds(
    dataset: Path, split: Path, height: int, width: int, teacher: np.ndarray | None = None
) -> Folds:
    """Decode the training subset once, and return its folds.

    Rows are sorted by person, so that nearly all validation images of a person share a batch.

    Args:
        dataset: the folder that ``ingest`` wrote.
        split: the file that the stage ``split`` wrote.
        height: of the decoded images, pixels.
        width: of the decoded images, pixels.
        teacher: a teacher's embeddings of the subset in its order, float32 (n, d), if there is one.
    """
    rows = read_subset(dataset, "train").reset_index(names="row")
    table = pd.read_parquet(split)
    rows = rows.merge(table[["name", "label", "fold"]], on="name", validate="one_to_one")
    # The column is there only for another protocol than the usual one.
    protocol = table["protocol"].iloc[0] if "protocol" in table else CROSS_CAMERA
    rows = rows.sort_values(["pid", "name"])
    parts = [rows[rows["fold"] == fold] for fold in (TRAIN, VALIDATION)]
    both = pd.concat(parts)
    images = _decoded(dataset, both["row"].to_numpy(), height, width)
    train = len(parts[0])
    return Folds(
        _fold(parts[0], images[:train], teacher, protocol),
        _fold(parts[1], images[train:], teacher, protocol),
        _fold(both, images, teacher, protocol),
    )


def _decoded(dataset: Path, rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Decode some rows of the training subset, in the order of ``rows``.

    The files are read a batch at a time: those of large photos would not fit into memory.
    """
    images = np.empty((len(rows), height, width, 3), np.uint8)
    place = dict(zip(rows.tolist(), range(len(rows)), strict=True))
    row = 0
    for batch in decoded_batches(paths.subset_file(dataset, "train"), FILES_AT_ONCE, height, width):
        for image in batch:
            if row in place:
                images[place[row]] = image
            row += 1
    return images


def _fold(
    rows: pd.DataFrame, images: np.ndarray, teacher: np.ndarray | None, protocol: Protocol
) -> Fold:
    pids, labels, camids = (rows[c].to_numpy(np.int32) for c in ("pid", "label", "camid"))
    known = None if teacher is None else teacher[rows["row"].to_numpy()]
    return Fold(images, labels, pids, camids, known, protocol)
