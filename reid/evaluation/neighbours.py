"""The nearest rows to each row of a set of features: exact, and in bounded memory."""

from typing import NamedTuple

import numpy as np

from reid.common.arrays import FloatArray, IntArray

# Rows that are compared with all rows at once: 512 rows with 23,000 take 47 MB.
ROWS_AT_ONCE = 512
# The k-th highest similarity is bounded by the maxima of this times k groups of rows.
GROUPS = 8


class Neighbours(NamedTuple):
    """The k nearest of n rows to each of them: first the row itself, then the nearest first.

    ``rows``: int64 (n, k); ``similarity``: float32 (n, k), the dot products, 1 with the row
    itself; ``least_similarity``: float32 (n,), the lowest similarity to any other row, infinite
    if there is no other row.
    """

    rows: IntArray
    similarity: FloatArray
    least_similarity: FloatArray


def nearest_rows(vectors: FloatArray, k: int) -> Neighbours:
    """Find the ``k`` rows of (n, d) most similar to each row, or all n if there are fewer.

    Equally similar rows stand in the order of their numbers. All pairs of rows are compared.
    Memory beyond the result: three times ``ROWS_AT_ONCE`` * n float32.
    """
    n = len(vectors)
    k = min(k, n)
    found = Neighbours(
        np.empty((n, k), np.int64), np.empty((n, k), np.float32), np.empty(n, np.float32)
    )
    for start in range(0, n, ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        similarity = vectors[block] @ vectors.T
        # A row is its own nearest, whatever rounding says.
        np.fill_diagonal(similarity[:, start:], np.inf)
        found.least_similarity[block] = similarity.min(axis=1)
        found.rows[block] = nearest = nearest_columns(similarity, k)
        found.similarity[block] = np.take_along_axis(similarity, nearest, axis=1)
    found.similarity[:, 0] = 1
    return found


def nearest_columns(similarity: FloatArray, k: int) -> IntArray:
    """Find the columns of the ``k`` highest values in each row of (b, n), highest first.

    int64 (b, k), with k at most n. Equal values stand in the order of their columns.
    """
    row, column = np.nonzero(similarity >= _at_most_kth(similarity, k)[:, None])
    # The sort is stable: columns of equal values stay in ascending order.
    order = np.lexsort((-similarity[row, column], row))
    place = np.arange(len(row)) - np.searchsorted(row, row)
    return column[order[place < k]].reshape(-1, k)


def _at_most_kth(similarity: FloatArray, k: int) -> FloatArray:
    """Bound the k-th highest value of each row of (b, n) from below: float32 (b,).

    The columns are dealt out to groups. The k-th highest of the groups' maxima is such a bound,
    for k groups reach it. With many groups, few of the other values reach it, too.
    """
    size = max(similarity.shape[1] // (GROUPS * k), 1)
    groups = similarity.shape[1] // size
    dealt = similarity[:, : size * groups].reshape(-1, size, groups)
    return np.partition(dealt.max(axis=1), groups - k, axis=1)[:, groups - k]
