"""Order features by value, with equal ones next to each other."""

import numpy as np

from reid.common.arrays import BoolArray, FloatArray, IntArray


def order_by_value(vectors: FloatArray) -> IntArray:
    """Return the row numbers of (n, d) in the order of the rows' bytes: int64 (n,).

    Equal rows stand next to each other, in the order of their numbers.
    """
    one_zero = vectors + np.float32(0)  # -0.0 equals 0.0 but has other bytes
    row_bytes = np.dtype((np.void, one_zero.itemsize * one_zero.shape[1]))
    return one_zero.view(row_bytes).ravel().argsort(kind="stable")


def starts_value(ordered: FloatArray) -> BoolArray:
    """Say which rows of (n, d), ordered by value, differ from the row before: bool (n,)."""
    starts = np.ones(len(ordered), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return starts
