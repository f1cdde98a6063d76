"""k-reciprocal re-ranking: two photos are similar if they have the same neighbours.

Source: Z. Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
2017, and the authors' code. Queries and gallery are neighbours of each other, so the answers to
one query depend on the other queries. R(p, k) is the set of the rows g for which g is among the k
nearest rows of p and p is among the k nearest rows of g.

1. R(p, k1) grows by R(c, k1/2) of each member c if more than 2/3 of R(c, k1/2) are in R(p, k1).
2. p is encoded by a weight exp(-d(p, g)) for each g of the grown set, scaled to a sum of 1.
3. The encoding of p becomes the mean of the encodings of its k2 nearest rows.
4. The Jaccard distance of two encodings is 1 - sum(min) / sum(max).
5. The final distance is (1 - lambda) * Jaccard + lambda * d.

Where the paper says less or something else, this module follows the authors' code:
- d(p, g) is the squared Euclidean distance divided by the largest distance of p to any row, so
  d(p, g) and d(g, p) differ.
- A row is its own nearest row, which counts among the k2 rows but not among the k1 and k1/2.
- Half of an odd k1 is rounded to the nearest even number.
- Step 1 asks for more than 2/3; the paper has "at least".

One thing differs from the authors' code. Here, rows with equal features are one node of the graph
of neighbours. The node counts as often as it has rows, and a neighbourhood contains all of these
rows or none. In the authors' code, a neighbourhood that ends among equal rows keeps the rows that a
sort happens to put first. Without equal features, the results are the same.

Nodes, and neighbours at the same distance, are ordered by the value of their features, so the order
of rows changes no bit of the encodings. `reid.protocol.ranking` hands over a gallery ordered by
value, so the order of the gallery changes no figure. As in any matrix product, the number of
queries at once, their order and the number of threads may change the last bit of d.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from reid.common.arrays import BoolArray, FloatArray, IntArray
from reid.common.settings import Settings
from reid.evaluation.neighbours import Neighbours, nearest_rows
from reid.protocol.tie_order import order_by_value, starts_value

# The pairs of rows whose features are gathered at once: 4,096 pairs of 1,280 columns take 40 MB.
PAIRS_AT_ONCE = 4096
# The queries whose encodings are compared with those of the gallery at once.
QUERIES_AT_ONCE = 32


class Reranking(Settings):
    """The parameters of re-ranking, with the authors' values for Market-1501.

    ``k1``: the number of a row's neighbours among which its reciprocal neighbours are sought;
    ``k2``: the number of nearest rows, the row itself included, whose encodings are averaged;
    ``original_weight``: the paper's lambda, the share of the original distance in the final
    distance, from 0 to 1.
    """

    k1: int = Field(default=20, ge=1)
    k2: int = Field(default=6, ge=1)
    original_weight: float = Field(default=0.3, ge=0, le=1)

    def similarities(
        self, queries: FloatArray, gallery: FloatArray, block: int
    ) -> Iterator[FloatArray]:
        """Yield the negative final distances of ``block`` queries at a time: float32 (b, m).

        ``queries``: (q, d) and ``gallery``: (m, d) without junk, float32, rows of length 1. All
        n = q + m rows are compared with each other before the first block.

        Memory beyond the arguments: three times the features, the memory of `nearest_rows`, about
        five times ``block`` * m float32, and the sparse encodings. These grow with n and at most
        with ``k1`` squared times ``k2``. No matrix of n * n or q * m is held.
        """
        graph = _graph(queries, gallery)
        neighbours = nearest_rows(graph.vectors, max(self.k1 + 1, self.k2))
        farthest = _farthest(neighbours.least_similarity)
        encodings = _encode(graph, neighbours, farthest, self)
        of_queries = encodings[graph.of_query]
        by_member = encodings[graph.of_gallery].T.tocsr()
        share = self.original_weight
        for start in range(0, len(queries), block):
            rows = slice(start, start + block)
            original = _distance(queries[rows] @ gallery.T, farthest[graph.of_query[rows], None])
            jaccard = _jaccard_similarity(of_queries[rows], by_member)
            yield (1 - share) * (jaccard - 1) - share * original


class _Graph(NamedTuple):
    """The n different features among queries and gallery, ordered by value.

    ``vectors``: float32 (n, d); ``counts``: int64 (n,), the number of rows with this feature;
    ``of_query``: int64 (q,) and ``of_gallery``: int64 (m,), the node of each row.
    """

    vectors: FloatArray
    counts: IntArray
    of_query: IntArray
    of_gallery: IntArray


def _graph(queries: FloatArray, gallery: FloatArray) -> _Graph:
    """Make one node of all rows with equal features: queries (q, d) and gallery (m, d)."""
    vectors = np.concatenate((queries, gallery))
    order = order_by_value(vectors)
    vectors = vectors[order]
    starts = starts_value(vectors)
    node = np.empty(len(order), np.int64)
    node[order] = np.cumsum(starts) - 1
    return _Graph(vectors[starts], np.bincount(node), *np.split(node, [len(queries)]))


def _farthest(least_similarity: FloatArray) -> FloatArray:
    """Turn the lowest similarity of each node into its largest squared distance: float32 (n,).

    The result is 1 if there is no other node, or if rounding leaves none farther than the node
    itself.
    """
    farthest = 2 - 2 * least_similarity
    return np.where(farthest > 0, farthest, np.float32(1))


def _distance(similarity: FloatArray, farthest: FloatArray) -> FloatArray:
    """Turn dot products of vectors of length 1 into squared distances, as shares of the largest."""
    return (2 - 2 * similarity) / farthest


def _encode(
    graph: _Graph, neighbours: Neighbours, farthest: FloatArray, reranking: Reranking
) -> csr_array:
    """Encode each node by weights of its k-reciprocal neighbours: float32 (n, n), rows sum to 1."""
    counts, k1 = graph.counts, reranking.k1
    # The number of rows in the nodes before a neighbour, with the node's own rows.
    before = np.cumsum(counts[neighbours.rows], axis=1) - counts[neighbours.rows]
    members = _expanded(
        _reciprocal(_links(neighbours.rows, before <= k1)),
        _reciprocal(_links(neighbours.rows, before <= round(k1 / 2))),
        counts,
    )
    weights = _weights(members, graph.vectors, neighbours, farthest)
    encodings = _with_sums_of_one(_counted(weights, counts))
    nearest = _links(neighbours.rows, before < reranking.k2)
    return _with_sums_of_one(_counted(nearest, counts)) @ encodings


def _links(rows: IntArray, is_linked: BoolArray, data: FloatArray | None = None) -> csr_array:
    """Link nodes to the chosen ones of their neighbours, (n, k): (n, n), 1 or ``data``."""
    n = len(rows)
    ends = np.concatenate(([0], is_linked.sum(axis=1).cumsum()))
    values = np.ones(ends[-1], np.int32) if data is None else data[is_linked]
    return csr_array((values, rows[is_linked], ends), shape=(n, n))


def _reciprocal(links: csr_array) -> csr_array:
    """Keep the links that go both ways: symmetric, int32 (n, n)."""
    return links.multiply(links.T).tocsr()


def _expanded(reciprocal: csr_array, half: csr_array, counts: IntArray) -> csr_array:
    """Add to each reciprocal set the half-sized sets of its members that mostly lie in it.

    Returns int32 (n, n), 1 at the members.
    """
    sizes = _counted(half, counts).sum(axis=1)
    common = reciprocal.multiply(_counted(reciprocal, counts) @ half).tocsr()
    common.data = (3 * common.data > 2 * sizes[common.indices]).astype(np.int32)
    common.eliminate_zeros()
    members = (reciprocal + common @ half).tocsr()
    members.data[:] = 1
    return members


def _weights(
    members: csr_array, vectors: FloatArray, neighbours: Neighbours, farthest: FloatArray
) -> csr_array:
    """Weigh each member by exp(-distance): float32 (n, n).

    Most members are neighbours of the node, and their similarities are known already.
    """
    weights = np.exp(-_distance(neighbours.similarity, farthest[:, None]))
    known = members.multiply(_links(neighbours.rows, np.ones_like(weights, bool), weights)).tocsr()
    others = (members - known.astype(bool).astype(np.int32)).tocsr()
    others.eliminate_zeros()
    node = np.repeat(np.arange(len(vectors)), np.diff(others.indptr))
    similarity = _similarities_of_pairs(vectors, node, others.indices)
    others.data = np.exp(-_distance(similarity, farthest[node]))
    return known + others


def _similarities_of_pairs(vectors: FloatArray, one: IntArray, other: IntArray) -> FloatArray:
    """Compute the dot products of pairs of rows: float32 (pairs,)."""
    similarity = np.empty(len(one), np.float32)
    for start in range(0, len(one), PAIRS_AT_ONCE):
        pairs = slice(start, start + PAIRS_AT_ONCE)
        similarity[pairs] = np.einsum("pd,pd->p", vectors[one[pairs]], vectors[other[pairs]])
    return similarity


def _counted(matrix: csr_array, counts: IntArray) -> csr_array:
    """Let each column count as often as its node has rows."""
    values = matrix.data * counts[matrix.indices].astype(matrix.dtype)
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _with_sums_of_one(matrix: csr_array) -> csr_array:
    """Scale each row to a sum of 1: float32."""
    sums = np.repeat(matrix.sum(axis=1), np.diff(matrix.indptr))
    values = (matrix.data / sums).astype(np.float32)
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _jaccard_similarity(of_queries: csr_array, by_member: csr_array) -> FloatArray:
    """Compare encodings of b queries, (b, n), with the gallery's, transposed to (n, m): (b, m).

    Both encodings sum to 1, so the sum of their maxima is 2 minus the sum of their minima. Only
    members of both add to the minima.
    """
    similarity = np.empty((of_queries.shape[0], by_member.shape[1]), np.float32)
    for start in range(0, len(similarity), QUERIES_AT_ONCE):
        some = of_queries[start : start + QUERIES_AT_ONCE]
        # One row for each member of each query: the weights of that member in the gallery.
        least = by_member[some.indices]
        least.data = np.minimum(least.data, np.repeat(some.data, np.diff(least.indptr)))
        ones = np.ones(some.nnz, np.float32)
        add_up = csr_array((ones, np.arange(some.nnz), some.indptr), (some.shape[0], some.nnz))
        minima = add_up @ least
        minima.data /= 2 - minima.data
        similarity[start : start + QUERIES_AT_ONCE] = minima.toarray()
    return similarity
