"""k-reciprocal neighbours: two photos are similar if they have the same neighbours.

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


class KReciprocal(Settings):
    """The parameters, with the authors' values for Market-1501."""

    k1: int = Field(default=20, ge=1)
    """The number of a row's neighbours among which its reciprocal neighbours are sought."""
    k2: int = Field(default=6, ge=1)
    """The number of nearest rows, the row itself included, whose encodings are averaged."""
    original_weight: float = Field(default=0.3, ge=0, le=1)
    """The paper's lambda: the share of the original distance in the final distance."""


def similarities_together(
    queries: FloatArray, gallery: FloatArray, block: int, how: KReciprocal
) -> Iterator[FloatArray]:
    """Yield the negative final distances of ``block`` queries at a time: float32 (b, m).

    Queries are neighbours of each other. ``queries``: (q, d) and ``gallery``: (m, d) without junk,
    float32, rows of length 1. All n = q + m rows are compared with each other before the first
    block.

    Memory beyond the arguments: three times the features, the memory of `nearest_rows`, about
    five times ``block`` * m float32, and the sparse encodings. These grow with n and at most
    with ``k1`` squared times ``k2``. No matrix of n * n or q * m is held.
    """
    graph = make_graph(np.concatenate((queries, gallery)), how)
    of_query, of_gallery = np.split(graph.of_row, [len(queries)])
    encodings = averaged(graph, encode(graph, how), how.k2)
    of_queries = encodings[of_query]
    by_member = encodings[of_gallery].T.tocsr()
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        original = distance(queries[rows] @ gallery.T, graph.farthest[of_query[rows], None])
        yield final_similarity(of_queries[rows], by_member, original, how)


def final_similarity(
    of_queries: csr_array, by_member: csr_array, original: FloatArray, how: KReciprocal
) -> FloatArray:
    """Return the negative final distances of b queries to the m gallery rows: float32 (b, m).

    ``of_queries``: the queries' encodings, (b, n); ``by_member``: the gallery's, transposed,
    (n, m); ``original``: d of the queries, (b, m).
    """
    share = how.original_weight
    jaccard = _jaccard_similarity(of_queries, by_member)
    return (1 - share) * (jaccard - 1) - share * original


class Graph(NamedTuple):
    """The n different features among some rows, ordered by value, and their nearest neighbours.

    ``vectors``: float32 (n, d); ``counts``: int64 (n,), the number of rows with this feature;
    ``of_row``: int64 (rows,), the node of each row; ``neighbours``: the nearest nodes of each node;
    ``farthest``: float32 (n,), the largest squared distance of each node to another.
    """

    vectors: FloatArray
    counts: IntArray
    of_row: IntArray
    neighbours: Neighbours
    farthest: FloatArray


def make_graph(rows: FloatArray, how: KReciprocal) -> Graph:
    """Make one node of all rows of (rows, d) with equal features, and find its neighbours."""
    order = order_by_value(rows)
    vectors = rows[order]
    starts = starts_value(vectors)
    node = np.empty(len(order), np.int64)
    node[order] = np.cumsum(starts) - 1
    vectors = vectors[starts]
    neighbours = nearest_rows(vectors, max(how.k1 + 1, how.k2))
    farthest = largest_distance(neighbours.least_similarity)
    return Graph(vectors, np.bincount(node), node, neighbours, farthest)


def largest_distance(least_similarity: FloatArray) -> FloatArray:
    """Turn the lowest similarities of nodes, (n,), into their largest squared distances.

    The result, float32 (n,), is 1 if there is no other node, or if rounding leaves none farther
    than the node itself.
    """
    farthest = 2 - 2 * least_similarity
    return np.where(farthest > 0, farthest, np.float32(1))


def distance(similarity: FloatArray, farthest: FloatArray) -> FloatArray:
    """Turn dot products of vectors of length 1 into squared distances, as shares of the largest."""
    return (2 - 2 * similarity) / farthest


def encode(graph: Graph, how: KReciprocal) -> csr_array:
    """Encode each node by weights of its k-reciprocal neighbours: float32 (n, n), rows sum to 1."""
    members = expanded(reciprocal(graph, how.k1), half_reciprocal(graph, how.k1), graph.counts)
    return with_sums_of_one(counted(_weights(members, graph), graph.counts))


def averaged(graph: Graph, encodings: csr_array, k2: int) -> csr_array:
    """Replace each node's encoding by the mean over its ``k2`` nearest rows: float32 (n, n)."""
    nearest = links(graph.neighbours.rows, rows_before(graph) < k2, len(graph.counts))
    return with_sums_of_one(counted(nearest, graph.counts)) @ encodings


def rows_before(graph: Graph) -> IntArray:
    """Count the rows that are nearer to each node than each neighbour is: int64 (n, k).

    The node's own rows count, too.
    """
    counts = graph.counts[graph.neighbours.rows]
    return np.cumsum(counts, axis=1) - counts


def reciprocal(graph: Graph, k: int) -> csr_array:
    """Link the nodes that are among each other's ``k`` nearest: symmetric, int32 (n, n)."""
    nearest = links(graph.neighbours.rows, rows_before(graph) <= k, len(graph.counts))
    return nearest.multiply(nearest.T).tocsr()


def half_reciprocal(graph: Graph, k1: int) -> csr_array:
    """Link the nodes that are among each other's ``k1`` / 2 nearest, by which sets grow."""
    return reciprocal(graph, half_of(k1))


def half_of(k1: int) -> int:
    """Halve ``k1`` as the authors' code does: to the nearest even number if it is odd."""
    return round(k1 / 2)


def links(
    rows: IntArray, is_linked: BoolArray, nodes: int, data: FloatArray | None = None
) -> csr_array:
    """Link p nodes to the chosen ones of their neighbours, (p, k): (p, nodes), 1 or ``data``."""
    ends = np.concatenate(([0], is_linked.sum(axis=1).cumsum()))
    values = np.ones(ends[-1], np.int32) if data is None else data[is_linked]
    return csr_array((values, rows[is_linked], ends), shape=(len(rows), nodes))


def expanded(
    reciprocal: csr_array, half: csr_array, counts: IntArray, own: csr_array | None = None
) -> csr_array:
    """Add to each reciprocal set the half-sized sets of its members that mostly lie in it.

    ``reciprocal``: (p, n), the sets of p rows; ``half``: (n, n), the half-sized sets of the n
    nodes; ``own``: (p, n), 1 at the nodes whose half-sized set has the row itself, if the row is
    not a node. Returns int32 (p, n), 1 at the members.
    """
    sizes = counted(reciprocal, counted(half, counts).sum(axis=1))
    common = reciprocal.multiply(counted(reciprocal, counts) @ half)
    lead = 3 * common - 2 * sizes
    if own is not None:
        lead = lead + own  # The row itself is one more in the set, and one more in common.
    members = (reciprocal + (lead > 0).astype(np.int32) @ half).tocsr()
    members.data[:] = 1
    return members


def _weights(members: csr_array, graph: Graph) -> csr_array:
    """Weigh each member by exp(-distance): float32 (n, n).

    Most members are neighbours of the node, and their similarities are known already.
    """
    near, n = graph.neighbours, len(graph.counts)
    weights = np.exp(-distance(near.similarity, graph.farthest[:, None]))
    known = members.multiply(links(near.rows, np.ones_like(weights, bool), n, weights)).tocsr()
    others = (members - known.astype(bool).astype(np.int32)).tocsr()
    others.eliminate_zeros()
    node = np.repeat(np.arange(n), np.diff(others.indptr))
    similarity = _similarities_of_pairs(graph.vectors, node, others.indices)
    others.data = np.exp(-distance(similarity, graph.farthest[node]))
    return known + others


def _similarities_of_pairs(vectors: FloatArray, one: IntArray, other: IntArray) -> FloatArray:
    """Compute the dot products of pairs of rows: float32 (pairs,)."""
    similarity = np.empty(len(one), np.float32)
    for start in range(0, len(one), PAIRS_AT_ONCE):
        pairs = slice(start, start + PAIRS_AT_ONCE)
        similarity[pairs] = np.einsum("pd,pd->p", vectors[one[pairs]], vectors[other[pairs]])
    return similarity


def counted(matrix: csr_array, counts: IntArray) -> csr_array:
    """Let each column count as often as its node has rows."""
    values = matrix.data * counts[matrix.indices].astype(matrix.dtype)
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def with_sums_of_one(matrix: csr_array) -> csr_array:
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
