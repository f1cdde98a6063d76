"""k-reciprocal re-ranking: two photos are alike where the same photos are their neighbours.

Source: Z. Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
2017, and the authors' code. Queries and gallery are neighbours of each other, so the answers to
one query depend on the other queries. With R(p, k) the rows that are among the k nearest of p and
have p among theirs:

1. R(p, k1) grows by R(c, k1/2) of each member c, where more than 2/3 of R(c, k1/2) are in R(p, k1).
2. p is encoded by a weight exp(-d(p, g)) for each g of that set, scaled to a sum of 1.
3. The encoding of p becomes the mean of those of its k2 nearest rows.
4. The Jaccard distance of two encodings is 1 - sum(min) / sum(max).
5. The final distance is (1 - lambda) * Jaccard + lambda * d.

Taken from the authors' code, where the paper says less or otherwise: d(p, g) is the squared
Euclidean distance divided by the largest that p has to any row, so d(p, g) and d(g, p) differ; a
row is its own nearest, which counts among the k2 but not among the k1 and k1/2; half of an odd k1
is rounded to the even neighbour; more than 2/3 is meant, where the paper has "at least".

This module's own: rows with equal features are one node of the graph of neighbours, which counts
as often as it has rows, and a neighbourhood that takes in one of them takes in all. In the authors'
code a neighbourhood that ends among equal rows keeps whichever a sort puts first. Without equal
features there is no difference.

Nodes, and neighbours at the same distance, are ordered by the value of their features: the order
of rows changes no bit of the encodings and, as `reid.protocol.ranking` hands over a gallery
ordered by value, none of its figures with the order of the gallery. The size of a block of
queries, their order and the number of threads may change the last bit of d, as in any matrix
product.
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

# Pairs of rows whose features are gathered at once: 4,096 of 1,280 columns take 40 MB.
PAIRS_AT_ONCE = 4096
# Queries whose encodings are compared with the gallery's at once.
QUERIES_AT_ONCE = 32


class Reranking(Settings):
    """The parameters, with the authors' values for Market-1501.

    ``k1``: neighbours of a row among which its reciprocal ones are sought; ``k2``: nearest rows,
    the row itself included, over which encodings are averaged; ``original_weight``: the paper's
    lambda, the share of the original distance in the final one, from 0 to 1.
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

        Memory beyond the arguments: three times the features, what `nearest_rows` takes, some
        five times ``block`` * m float32, and sparse encodings, which grow with n and at most with
        ``k1`` squared times ``k2``. No matrix of n * n or q * m is held.
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

    ``vectors``: float32 (n, d); ``counts``: int64 (n,), how many rows have this feature;
    ``of_query``: int64 (q,) and ``of_gallery``: int64 (m,), the node of each row.
    """

    vectors: FloatArray
    counts: IntArray
    of_query: IntArray
    of_gallery: IntArray


def _graph(queries: FloatArray, gallery: FloatArray) -> _Graph:
    """Make one node of all rows with equal features."""
    vectors = np.concatenate((queries, gallery))
    order = order_by_value(vectors)
    vectors = vectors[order]
    starts = starts_value(vectors)
    node = np.empty(len(order), np.int64)
    node[order] = np.cumsum(starts) - 1
    return _Graph(vectors[starts], np.bincount(node), *np.split(node, [len(queries)]))


def _farthest(least_similarity: FloatArray) -> FloatArray:
    """Turn the lowest similarity of each node into its largest squared distance: float32 (n,).

    It is 1 where a node has no other, or none that rounding lets be farther than itself.
    """
    farthest = 2 - 2 * least_similarity
    return np.where(farthest > 0, farthest, np.float32(1))


def _distance(similarity: FloatArray, farthest: FloatArray) -> FloatArray:
    """Turn dot products into squared distances of vectors of length 1, as shares of the largest."""
    return (2 - 2 * similarity) / farthest


def _encode(
    graph: _Graph, neighbours: Neighbours, farthest: FloatArray, reranking: Reranking
) -> csr_array:
    """Encode each node by weights of its k-reciprocal neighbours: float32 (n, n), rows sum to 1."""
    counts, k1 = graph.counts, reranking.k1
    # Rows in the nodes that stand before a neighbour, the node's own rows among them.
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
    """Link nodes to those of their neighbours, (n, k), that are chosen: (n, n), 1 or ``data``."""
    n = len(rows)
    ends = np.concatenate(([0], is_linked.sum(axis=1).cumsum()))
    values = np.ones(ends[-1], np.int32) if data is None else data[is_linked]
    return csr_array((values, rows[is_linked], ends), shape=(n, n))


def _reciprocal(links: csr_array) -> csr_array:
    """Keep the links that go both ways: symmetric, int32 (n, n)."""
    return links.multiply(links.T).tocsr()


def _expanded(reciprocal: csr_array, half: csr_array, counts: IntArray) -> csr_array:
    """Add to each reciprocal set the half-sized sets of members that mostly lie in it.

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

    Most members are among a node's neighbours, whose similarities are known.
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
    """Multiply pairs of rows: float32 (pairs,)."""
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

    Both sum to 1, so the sum of their maxima is 2 less the sum of their minima, and only members
    of both add to that.
    """
    similarity = np.empty((of_queries.shape[0], by_member.shape[1]), np.float32)
    for start in range(0, len(similarity), QUERIES_AT_ONCE):
        some = of_queries[start : start + QUERIES_AT_ONCE]
        # One row for each member of each query: what the gallery's encodings give that member.
        least = by_member[some.indices]
        least.data = np.minimum(least.data, np.repeat(some.data, np.diff(least.indptr)))
        ones = np.ones(some.nnz, np.float32)
        add_up = csr_array((ones, np.arange(some.nnz), some.indptr), (some.shape[0], some.nnz))
        minima = add_up @ least
        minima.data /= 2 - minima.data
        similarity[start : start + QUERIES_AT_ONCE] = minima.toarray()
    return similarity
