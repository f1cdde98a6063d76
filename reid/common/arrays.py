"""Types of arrays, and the length of their rows."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Features that a network normalised in half precision are off by less than this.
UNIT_LENGTH_TOLERANCE = 1e-3


def has_unit_length(features: FloatArray) -> BoolArray:
    """Say which rows of (n, d) are L2-normalised, to half precision: bool (n,)."""
    squared = np.einsum("nd,nd->n", features, features)
    return np.abs(np.sqrt(squared) - 1) < UNIT_LENGTH_TOLERANCE
