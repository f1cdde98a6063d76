"""The nearest rows to each row of a set of features: exact, and in bounded memory."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.common.arrays import FloatArray, IntArray

# Rows compared with all later ones at once: 1,024 of 20,000 take 80 MB.
PANEL = 1024
# A bound on the k-th highest similarity is taken from this times k groups.
GROUPS = 8
# Candidates kept before the nearest are picked out of them, times those wanted.
CANDIDATES = 8


class Neighbours(NamedTuple):
    """The k nearest of n rows to each of them, itself first and then the nearest first.

    ``rows``: int64 (n, k); ``similarity``: float32 (n, k), the dot product, 1 with the row
    itself; ``least_similarity``: float32 (n,), the lowest that a row has to any other, infinite
    where there is no other.
    """

    rows: IntArray
    similarity: FloatArray
    least_similarity: FloatArray


def nearest_rows(vectors: FloatArray, k: int) -> Neighbours:
    """Find the ``k`` rows of (n, d) most similar to each, or all n where there are fewer.

    Equally similar rows stand in the order of their numbers. Each pair is compared once, and none
    is left out. Memory beyond the result: ``PANEL`` * n similarities with a mask, and some
    ``CANDIDATES`` * n * k candidates of 12 bytes, which take four times that while they are sorted.
    """
    n = len(vectors)
    nearest = _Nearest(n, min(k, n))
    least = np.full(n, np.inf, np.float32)
    for start in range(0, n, PANEL):
        stop = min(start + PANEL, n)
        panel = vectors[start:stop] @ vectors[start:].T
        np.fill_diagonal(panel, np.inf)  # A row is its own nearest, whatever rounding says.
        nearest.add(panel, start, start)
        least[start:stop] = np.minimum(least[start:stop], panel.min(axis=1))
        if stop < n:
            later = panel[:, stop - start :]
            nearest.add(later.T, stop, start)
            least[stop:] = np.minimum(least[stop:], later.min(axis=0))
    rows, similarity = nearest.pick()
    similarity[:, 0] = 1
    return Neighbours(rows, similarity, least)


class _Nearest:
    """The k nearest others of each of n rows, picked out of blocks of similarities.

    Blocks come in such an order that each row meets the others by ascending number.
    """

    def __init__(self, n: int, k: int) -> None:
        self.n, self.k = n, k
        # Each row has k others at least as similar as this.
        self.bound = np.full(n, -np.inf, np.float32)
        self.row = np.empty(0, np.int32)
        self.other = np.empty(0, np.int32)
        self.similarity = np.empty(0, np.float32)

    def add(self, block: FloatArray, first_row: int, first_other: int) -> None:
        """Take the similarities of rows from ``first_row`` on to others from ``first_other`` on.

        ``block``: (rows, others); it may be a transposed matrix, which is read in its own order.
        """
        bound = self.bound[first_row : first_row + len(block)]
        np.maximum(bound, _at_most_kth(block, self.k), out=bound)
        is_candidate = block >= bound[:, None]
        order: Literal["C", "F"] = "C" if is_candidate.flags.c_contiguous else "F"
        candidates = np.flatnonzero(is_candidate.ravel(order))
        row, other = np.unravel_index(candidates, block.shape, order)
        self.similarity = np.concatenate((self.similarity, block[row, other]))
        self.row = np.concatenate((self.row, row + first_row), dtype=np.int32)
        self.other = np.concatenate((self.other, other + first_other), dtype=np.int32)
        if len(self.row) > CANDIDATES * self.n * self.k:
            self._keep_nearest()

    def pick(self) -> tuple[IntArray, FloatArray]:
        """Return the others, int64 (n, k), and their similarities, nearest first."""
        self._keep_nearest()
        shape = (self.n, self.k)
        return self.other.reshape(shape).astype(np.int64), self.similarity.reshape(shape)

    def _keep_nearest(self) -> None:
        """Drop all but the k nearest of each row, and order the rest by row and similarity."""
        order = _sort_keys(self.row, self.similarity).argsort(kind="stable")
        row = self.row[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        order = order[place < self.k]
        self.row, self.other = self.row[order], self.other[order]
        self.similarity = self.similarity[order]


def _at_most_kth(block: FloatArray, k: int) -> FloatArray:
    """Bound the k-th highest value of each row of (r, c) from below: float32 (r,).

    Columns are dealt out to groups. The k-th highest of the groups' maxima has k - 1 values above
    it in other groups; and where groups are many, few values that are not among the k highest.
    """
    rows, columns = block.shape
    size = max(columns // (GROUPS * k), 1)
    groups = columns // size
    if groups < k:
        return np.full(rows, -np.inf, np.float32)
    highest = block[:, : size * groups].reshape(rows, size, groups).max(axis=1)
    return np.partition(highest, groups - k, axis=1)[:, groups - k]


def _sort_keys(row: NDArray[np.int32], similarity: FloatArray) -> IntArray:
    """Make one number of each row and similarity, ascending by row, then from the most similar.

    One sort of integers takes a fifth of the time of `numpy.lexsort`. The bits of floating point
    numbers ascend as integers do, but where the sign is negative they descend.
    """
    bits = (similarity + np.float32(0)).view(np.int32).astype(np.int64)  # -0.0 becomes 0.0
    ascending = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return (row.astype(np.int64) << 32) - ascending
