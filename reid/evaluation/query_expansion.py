"""Average query expansion: a query becomes the mean of itself and its first answers.

Source: O. Chum et al., "Total Recall: Automatic Query Expansion with a Generative Feature Model for
Object Retrieval", ICCV 2007, section 3.2, without its check of the answers by geometry.
"""

from collections.abc import Iterator

import numpy as np

from reid.common.arrays import FloatArray
from reid.evaluation.neighbours import nearest_columns


def expanded_similarities(
    queries: FloatArray, gallery: FloatArray, block: int, k: int
) -> Iterator[FloatArray]:
    """Yield the similarities of ``block`` expanded queries at a time: float32 (b, m).

    An expanded query is the mean of the query and its ``k`` most similar gallery rows, or all m if
    there are fewer, scaled to length 1. Whom these rows show is not known. So they may be photos by
    the query's own camera, which are no answers by the protocol ``cross_camera``.

    ``queries``: (q, d) and ``gallery``: (m, d) without junk, float32, rows of length 1. This takes
    two matrix products. Equally similar rows are taken in the order of their numbers.
    """
    for start in range(0, len(queries), block):
        some = queries[start : start + block]
        nearest = nearest_columns(some @ gallery.T, min(k, len(gallery)))
        joined = some + gallery[nearest].sum(axis=1)
        length = np.linalg.norm(joined, axis=1, keepdims=True)
        # The opposite of a query cancels it.
        yield np.divide(joined, length, out=some.copy(), where=length > 0) @ gallery.T
