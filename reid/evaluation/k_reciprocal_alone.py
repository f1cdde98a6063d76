"""k-reciprocal re-ranking of one query at a time: what a service can give.

A service gets one photo and has the gallery, not other queries. Here, the gallery is encoded once,
as `reid.evaluation.k_reciprocal` describes, without any query. Then each query p is encoded as if
it were one more row of the gallery:

- R(p, k) is the set of the gallery rows g for which g is among the k nearest rows of p, and p is at
  least as similar to g as the k-th nearest other row of g is.
- R(p, k1) grows as usual. R(c, k1/2) of a member c has p if c is in R(p, k1/2).
- p is encoded by a weight exp(-d(p, g)) for each g of the grown set, and by a weight of 1 for
  itself, scaled to a sum of 1. The encoding of p becomes the mean of itself and those of its
  k2 - 1 nearest gallery rows.

One thing differs from the authors' code, called with a single query: there, gallery rows are
encoded anew with the query among them. That would compare the whole gallery with itself for each
photo. The weight of a query for itself therefore finds no counterpart in the gallery.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from reid.common.arrays import FloatArray, IntArray
from reid.evaluation.k_reciprocal import (
    Graph,
    KReciprocal,
    averaged,
    counted,
    distance,
    encode,
    expanded,
    final_similarity,
    half_of,
    half_reciprocal,
    largest_distance,
    links,
    make_graph,
    rows_before,
)
from reid.evaluation.neighbours import nearest_columns


def similarities_alone(
    queries: FloatArray, gallery: FloatArray, block: int, how: KReciprocal
) -> Iterator[FloatArray]:
    """Yield the negative final distances of ``block`` queries at a time: float32 (b, m).

    No query changes the answers to another. ``queries``: (q, d) and ``gallery``: (m, d) without
    junk, float32, rows of length 1. All m gallery rows are compared with each other before the
    first block. Time and memory are those of `similarities_together`.
    """
    graph = make_graph(gallery, how)
    encodings = encode(graph, how)
    half = half_reciprocal(graph, how.k1)
    least_near = [_least_similarity_of_nearest(graph, k) for k in (how.k1, half_of(how.k1))]
    by_member = averaged(graph, encodings, how.k2)[graph.of_row].T.tocsr()
    for start in range(0, len(queries), block):
        similarity = queries[start : start + block] @ graph.vectors.T
        farthest = largest_distance(similarity.min(axis=1))[:, None]
        distances = distance(similarity, farthest)
        nearest = nearest_columns(similarity, min(max(how.k1, how.k2), len(graph.counts)))
        near = np.take_along_axis(similarity, nearest, axis=1)
        # The query itself is the first of the rows that are nearest to it.
        before = 1 + np.cumsum(graph.counts[nearest], axis=1) - graph.counts[nearest]
        mutual, mutual_half = (
            links(nearest, (before <= k) & (near >= least[nearest]), len(graph.counts))
            for k, least in zip((how.k1, half_of(how.k1)), least_near, strict=True)
        )
        members = expanded(mutual, half, graph.counts, own=mutual_half)
        encoded = _encoded(members, distances, graph.counts)
        of_nearest = counted(links(nearest, before < how.k2, len(graph.counts)), graph.counts)
        of_nearest = of_nearest.astype(np.float32)
        rows_averaged = 1 + of_nearest.sum(axis=1)
        of_queries = (encoded + of_nearest @ encodings).tocsr()
        of_queries.data /= np.repeat(rows_averaged, np.diff(of_queries.indptr))
        yield final_similarity(of_queries, by_member, distances[:, graph.of_row], how)


def _least_similarity_of_nearest(graph: Graph, k: int) -> FloatArray:
    """Return the similarity from which on a row is among the ``k`` nearest of each node.

    float32 (n,): the similarity of the k-th nearest other row; lower than any if there are fewer.
    """
    near = graph.neighbours
    is_beyond = rows_before(graph) + graph.counts[near.rows] > k
    kth = np.take_along_axis(near.similarity, is_beyond.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(is_beyond.any(axis=1), kth, np.float32(-np.inf))


def _encoded(members: csr_array, distances: FloatArray, counts: IntArray) -> csr_array:
    """Encode b queries by weights of their members: float32 (b, n).

    ``members``: (b, n), 1 at the members; ``distances``: (b, n). Each row sums to 1 together with
    the query's weight for itself.
    """
    row = np.repeat(np.arange(members.shape[0]), np.diff(members.indptr))
    weights = np.exp(-distances[row, members.indices])
    weighted = counted(
        csr_array((weights, members.indices, members.indptr), shape=members.shape), counts
    )
    weighted.data /= (1 + weighted.sum(axis=1))[row]
    return weighted
