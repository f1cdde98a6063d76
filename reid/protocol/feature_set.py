"""A checked set of features, with the person and the camera of each."""

from dataclasses import InitVar, dataclass

import numpy as np
from numpy.typing import ArrayLike

from reid.common.arrays import BoolArray, FloatArray, IntArray, has_unit_length
from reid.common.errors import UserError
from reid.data.market import JUNK_PID


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """The features of n images, with their people and cameras: a query set or a gallery.

    ``features``: float32 (n, d), finite, rows of length 1; ``pids``: int64 (n,), -1 for junk,
    0 for a distractor, people from 1; ``camids``: int64 (n,). Arrays of another precision are
    converted. Error messages call the three arrays by ``names``. Raises `UserError` if an array
    does not meet this.
    """

    features: FloatArray
    pids: IntArray
    camids: IntArray
    names: InitVar[tuple[str, str, str]] = ("features", "pids", "camids")

    def __post_init__(self, names: tuple[str, str, str]) -> None:
        """Check and convert the arrays."""
        features_name, pids_name, camids_name = names
        features = as_feature_matrix(self.features, features_name)
        pids = _as_ids(self.pids, pids_name, rows=len(features))
        camids = _as_ids(self.camids, camids_name, rows=len(features))
        _refuse_rows(
            ~has_unit_length(features), features_name, "is not of length 1: L2-normalise it"
        )
        _refuse_rows(
            pids < JUNK_PID,
            pids_name,
            "is below -1: people count from 1, distractors are 0, junk -1",
        )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "pids", pids)
        object.__setattr__(self, "camids", camids)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.pids)


def check_comparable(query: FeatureSet, gallery: FeatureSet) -> None:
    """Raise `UserError` if the two come from different models or a query shows no person."""
    query_width, gallery_width = query.features.shape[1], gallery.features.shape[1]
    if query_width != gallery_width:
        raise UserError(
            f"query features have {query_width} columns and gallery features {gallery_width}: "
            "compute both with the same model"
        )
    _refuse_rows(
        query.pids <= 0,
        "query pids",
        "is no person: 0 means a distractor and -1 junk; number people from 1",
    )


def as_feature_matrix(array: ArrayLike, name: str) -> FloatArray:
    """Convert to contiguous float32 (n, d), without a copy if the array is that already.

    Raises `UserError`, which calls the array ``name``, if the array is not a matrix of finite
    floating point numbers with at least one row and one column.
    """
    array = np.asarray(array)
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(f"{name} has shape {array.shape}: it must be (images, features), not empty")
    if array.dtype.kind != "f":
        raise UserError(f"{name} holds {array.dtype}: it must hold floating point numbers")
    with np.errstate(over="ignore"):  # Values beyond float32 turn infinite and are refused below.
        features = np.ascontiguousarray(array, dtype=np.float32)
    # NaN and infinity show in the extremes, which need no mask of the matrix's size.
    if not np.isfinite((features.min(), features.max())).all():
        _refuse_rows(np.any(~np.isfinite(features), axis=1), name, "holds NaN or infinity")
    return features


def _as_ids(array: ArrayLike, name: str, rows: int) -> IntArray:
    """Convert to int64 (rows,), or raise `UserError`."""
    array = np.asarray(array)
    # This refuses unsigned 64-bit numbers, too: 2**64 - 1 would turn into -1, junk.
    if array.dtype.kind not in "iu" or not np.can_cast(array.dtype, np.int64):
        raise UserError(f"{name} holds {array.dtype}: it must hold integers that fit int64")
    if array.shape != (rows,):
        raise UserError(
            f"{name} has shape {array.shape}: it must be ({rows},), "
            "one value per row of the features"
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def _refuse_rows(is_bad: BoolArray, name: str, fault: str) -> None:
    """If any row is bad, raise a `UserError` that counts the bad rows and names the first."""
    if is_bad.any():
        raise UserError(
            f"{name}: row {int(is_bad.argmax())} {fault} ({np.count_nonzero(is_bad)} such rows "
            f"of {len(is_bad)})"
        )
