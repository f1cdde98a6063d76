"""Types of arrays, and the length of their rows."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

UNIT_LENGTH_TOLERANCE = 1e-3
"""Rows that a network normalised in half precision differ from length 1 by less than this."""


def has_unit_length(features: FloatArray) -> BoolArray:
    """Return which rows of (n, d) have length 1, to half precision: bool (n,)."""
    squared = np.einsum("nd,nd->n", features, features)
    return np.abs(np.sqrt(squared) - 1) < UNIT_LENGTH_TOLERANCE
