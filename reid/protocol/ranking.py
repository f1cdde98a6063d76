"""The single-query protocol of person re-identification: CMC, mAP and mINP of a set of features.

Gallery rows of pid -1 (junk) are dropped; rows of pid 0 (distractors) stay as wrong answers. For
each query, the gallery rows of the same person under the same camera are removed, unless the
protocol is ``any_camera``, by which they are right answers like others. The remaining
rows are ranked by similarity: the dot product of L2-normalised features, unless another similarity
is given. A right answer that ties with wrong ones ranks behind them, so that neither a tie nor the
order of rows can flatter a model.

Sources: L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, and its
MATLAB code (protocol, CMC, trapezoidal AP); K. Zhou et al., Torchreid, and FastReID (plain AP);
M. Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", 2020 (mINP).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.common.arrays import BoolArray, FloatArray, IntArray
from reid.common.errors import UserError
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.data.protocols import ANY_CAMERA, CROSS_CAMERA, Protocol
from reid.protocol.feature_set import FeatureSet, check_comparable
from reid.protocol.tie_order import order_by_value, starts_value

DoubleArray = NDArray[np.float64]

Similarities = Callable[[FloatArray, FloatArray, int], Iterator[FloatArray]]
"""A function of queries (q, d), a gallery (m, d) and a number of queries b.

It yields the similarities of b queries at a time: float32 (b, m).
"""

# The similarities of a query with more right answers than this are sorted once. With fewer right
# answers, one pass over the similarities for each is quicker. Both ways give the same ranks.
SORT_FROM_RIGHT_ANSWERS = 64


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well the right answers of each of q queries rank; NaN if a query has none.

    With the ranks r_1 < r_2 < ... < r_n of a query's n right answers:
    ``first_rank``: float64 (q,), r_1, from 1; ``average_precision``: float64 (q,),
    mean(k / r_k); ``average_precision_official``: float64 (q,), the trapezoidal
    mean((k / r_k + (k-1) / (r_k - 1)) / 2), whose second term is 1 at r_k = 1;
    ``inverse_negative_penalty``: float64 (q,), n / r_n.
    """

    first_rank: DoubleArray
    average_precision: DoubleArray
    average_precision_official: DoubleArray
    inverse_negative_penalty: DoubleArray

    @property
    def has_match(self) -> BoolArray:
        """Say which queries have a right answer: bool (q,)."""
        return ~np.isnan(self.first_rank)

    @property
    def found_first(self) -> DoubleArray:
        """Return 1 for each query whose first answer is right, else 0 or NaN: float64 (q,).

        Its mean is rank-1.
        """
        return np.where(self.has_match, self.first_rank == 1, np.nan)


@dataclass(frozen=True)
class Metrics:
    """The protocol's figures as shares from 0 to 1, and the counts that they rest on.

    All figures are means over the queries that have a right answer, as in Torchreid.
    ``queries`` counts all queries, ``queries_without_match`` the queries without a right answer,
    and ``gallery`` the rows that were ranked, which include distractors but not ``junk``.
    """

    rank1: float
    rank5: float
    rank10: float
    rank20: float
    mAP: float  # noqa: N815
    mAP_official: float  # noqa: N815
    mINP: float  # noqa: N815
    queries: int
    queries_without_match: int
    gallery: int
    junk: int
    distractors: int


class PairSimilarities(NamedTuple):
    """The similarities of one query and the gallery rows that are ranked for it.

    They are grouped by the person on the gallery row, in no order within a group: float32
    ``same_person``, (n,), the right answers; ``other_person``, (w,); ``distractor``, (z,), rows of
    pid 0.
    """

    same_person: FloatArray
    other_person: FloatArray
    distractor: FloatArray


class Answers(NamedTuple):
    """The k best gallery rows of each of q queries, best first.

    ``rows``: int64 (q, k), row numbers of the gallery; ``similarity``: float32 (q, k); ``right``:
    bool (q, k), whether the answer shows the query's person. If fewer than k rows are ranked for a
    query, the rest holds -1, NaN and False.
    """

    rows: IntArray
    similarity: FloatArray
    right: BoolArray


def dot_products(queries: FloatArray, gallery: FloatArray, block: int) -> Iterator[FloatArray]:
    """Yield the dot products of ``block`` queries at a time and the gallery: float32 (b, m).

    For rows of length 1 these are the cosines.
    """
    for start in range(0, len(queries), block):
        yield queries[start : start + block] @ gallery.T


def portable_dot_products(
    queries: FloatArray, gallery: FloatArray, block: int
) -> Iterator[FloatArray]:
    """Yield what `dot_products` yields, with the same bytes on nearly every processor.

    How a sum of products is cut into blocks, and so rounded, depends on the processor. Here, it is
    added up in float64, and the difference is lost when the sum is rounded to float32, except in
    about one of 100 million sums. It takes about twice the time.

    Memory beyond the arguments: the gallery's features and the products of a block in float64.
    """
    columns = gallery.T.astype(np.float64)
    for start in range(0, len(queries), block):
        products = queries[start : start + block].astype(np.float64) @ columns
        yield products.astype(np.float32)


def rank_queries(
    query: FeatureSet,
    gallery: FeatureSet,
    block: int = 256,
    similarities: Similarities = dot_products,
    protocol: Protocol = CROSS_CAMERA,
) -> Ranking:
    """Rank the gallery for each query.

    ``similarities``: what to rank by, such as `Reranking.similarities`. Memory beyond the
    arguments: one copy of the gallery's features, twice ``block`` * len(gallery) float32, and the
    memory of ``similarities``. Raises `UserError` if the two sets can't be compared.
    """
    check_comparable(query, gallery)
    query = _asked(query, gallery, protocol)
    candidates = _candidates(gallery)
    ranking = _no_ranking(len(query))
    for index, similarity in _similarity_rows(query.features, candidates, block, similarities):
        _rank(ranking, index, query, candidates, similarity)
    return ranking


def summarise(ranking: Ranking, gallery_pids: IntArray) -> Metrics:
    """Average a ranking over the queries that have a right answer.

    ``gallery_pids``: (n,), the pids of the whole gallery that was ranked, for the counts.
    Raises `UserError` if no query has a right answer.
    """
    has_match = _require_matches(ranking)
    cmc = cmc_curve(ranking, max_rank=20)
    return Metrics(
        rank1=float(cmc[0]),
        rank5=float(cmc[4]),
        rank10=float(cmc[9]),
        rank20=float(cmc[19]),
        mAP=float(ranking.average_precision[has_match].mean()),
        mAP_official=float(ranking.average_precision_official[has_match].mean()),
        mINP=float(ranking.inverse_negative_penalty[has_match].mean()),
        queries=len(has_match),
        queries_without_match=int(np.count_nonzero(~has_match)),
        gallery=int(np.count_nonzero(gallery_pids != JUNK_PID)),
        junk=int(np.count_nonzero(gallery_pids == JUNK_PID)),
        distractors=int(np.count_nonzero(gallery_pids == DISTRACTOR_PID)),
    )


def cmc_curve(ranking: Ranking, max_rank: int = 50) -> DoubleArray:
    """Compute CMC-1 to CMC-``max_rank`` over queries with a right answer: float64 (max_rank,).

    The curve stays flat beyond the last row of a gallery smaller than ``max_rank``. Raises
    `UserError` if no query has a right answer.
    """
    first_rank = np.sort(ranking.first_rank[_require_matches(ranking)])
    within = np.searchsorted(first_rank, np.arange(1, max_rank + 1), side="right")
    return within / len(first_rank)


def rank_with_answers(
    query: FeatureSet,
    gallery: FeatureSet,
    k: int,
    block: int = 256,
    similarities: Similarities = dot_products,
    watch: Callable[[PairSimilarities], None] | None = None,
    protocol: Protocol = CROSS_CAMERA,
) -> tuple[Ranking, Answers]:
    """Rank the gallery for each query, and find its k best rows for people to look at.

    The ranking is that of `rank_queries`, from the same pass over the similarities. The answers,
    too, leave out junk and, by ``cross_camera``, the query's person under the query's camera. In a
    tie, wrong rows come first, and then the lower row number. Re-ranked answers depend on all
    queries: to show the answers to a few queries, rank all of them.

    ``watch`` is called with the similarities of each query, in the order of the queries. The arrays
    are valid only during the call. Raises `UserError` if the two sets can't be compared.
    """
    check_comparable(query, gallery)
    query = _asked(query, gallery, protocol)
    candidates = _candidates(gallery)
    ranking, answers = _no_ranking(len(query)), _no_answers(len(query), k)
    for index, similarity in _similarity_rows(query.features, candidates, block, similarities):
        # In this order: finding answers and ranking take rows out of the similarities.
        if watch:
            watch(_pairs(index, query, candidates, similarity))
        _find_answers(answers, index, query, candidates, similarity)
        _rank(ranking, index, query, candidates, similarity)
    return ranking, answers


def _asked(query: FeatureSet, gallery: FeatureSet, protocol: Protocol) -> FeatureSet:
    """Return the queries as the protocol sees them.

    By ``any_camera``, it is as if all queries came from a camera that the gallery doesn't show.
    """
    if protocol != ANY_CAMERA:
        return query
    return FeatureSet(query.features, query.pids, np.full(len(query), gallery.camids.min() - 1))


class _Candidates(NamedTuple):
    """The m rows of a gallery that are ranked, ordered by person.

    ``rows``: int64 (m,), their row numbers in the gallery; ``pids``, ``camids``: int64 (m,);
    ``vectors``: float32 (m, d), their features, ordered by value; ``column``: int64 (m,), the row
    of ``vectors`` that holds the feature of each.
    """

    rows: IntArray
    pids: IntArray
    camids: IntArray
    vectors: FloatArray
    column: IntArray

    def of_person(self, pid: int) -> slice:
        """Find the rows of one person."""
        start, stop = np.searchsorted(self.pids, (pid, pid + 1))
        return slice(start, stop)


def _candidates(gallery: FeatureSet) -> _Candidates:
    """Drop the junk, and make equal features tie exactly.

    A matrix product does not give equal columns equal results: BLAS sums the columns at the edge
    of a block in another order, and the last bit decides who wins a tie. So all rows with equal
    features read the column of the first of them. The order of the vectors depends on their values
    alone, so the order of the gallery's rows can't change a figure.
    """
    by_value = order_by_value(gallery.features)
    by_value = by_value[gallery.pids[by_value] != JUNK_PID]
    vectors = gallery.features[by_value]
    starts = starts_value(vectors)
    first_equal = np.flatnonzero(starts)[np.cumsum(starts) - 1]
    by_person = np.argsort(gallery.pids[by_value], kind="stable")
    rows = by_value[by_person]
    return _Candidates(
        rows, gallery.pids[rows], gallery.camids[rows], vectors, first_equal[by_person]
    )


def _similarity_rows(
    queries: FloatArray, candidates: _Candidates, block: int, similarities: Similarities
) -> Iterator[tuple[int, FloatArray]]:
    """Yield each query's number and its similarities to all candidates, (m,), a copy to change."""
    blocks = similarities(queries, candidates.vectors, block)
    return enumerate(row for rows in blocks for row in rows.take(candidates.column, axis=1))


def _no_ranking(queries: int) -> Ranking:
    return Ranking(*np.full((4, queries), np.nan))


def _rank(
    ranking: Ranking,
    index: int,
    query: FeatureSet,
    candidates: _Candidates,
    similarity: FloatArray,
) -> None:
    """Score one query, if it has a right answer; this changes its similarities, (m,)."""
    person = candidates.of_person(query.pids[index])
    is_right = candidates.camids[person] != query.camids[index]
    right = similarity[person][is_right]
    if right.size:
        similarity[person] = -np.inf
        (
            ranking.first_rank[index],
            ranking.average_precision[index],
            ranking.average_precision_official[index],
            ranking.inverse_negative_penalty[index],
        ) = score_of_ranks(_ranks(right, wrong=similarity))


def _pairs(
    index: int, query: FeatureSet, candidates: _Candidates, similarity: FloatArray
) -> PairSimilarities:
    """Group one query's similarities, (m,), by the person on the gallery row."""
    person = candidates.of_person(query.pids[index])
    is_right = candidates.camids[person] != query.camids[index]
    distractors = candidates.of_person(DISTRACTOR_PID)
    others = (similarity[distractors.stop : person.start], similarity[person.stop :])
    return PairSimilarities(
        similarity[person][is_right], np.concatenate(others), similarity[distractors]
    )


def _no_answers(queries: int, k: int) -> Answers:
    shape = (queries, k)
    return Answers(np.full(shape, -1), np.full(shape, np.nan, np.float32), np.zeros(shape, bool))


def _find_answers(
    answers: Answers,
    index: int,
    query: FeatureSet,
    candidates: _Candidates,
    similarity: FloatArray,
) -> None:
    """Find one query's best rows; this sets the similarities, (m,), of removed rows to -inf."""
    k = answers.rows.shape[1]
    person = candidates.of_person(query.pids[index])
    same_camera = candidates.camids[person] == query.camids[index]
    similarity[person][same_camera] = -np.inf
    best = at_least_kth(similarity, k)
    right = candidates.pids[best] == query.pids[index]
    order = np.lexsort((candidates.rows[best], right, -similarity[best]))[:k]
    found = len(order)
    answers.rows[index, :found] = candidates.rows[best[order]]
    answers.similarity[index, :found] = similarity[best[order]]
    answers.right[index, :found] = right[order]


def _ranks(right: FloatArray, wrong: FloatArray) -> IntArray:
    """Rank the right answers, from 1 and ascending, by the similarities of right and wrong.

    The k-th best right answer ranks behind k - 1 right ones and all wrong ones that are at least
    as similar to the query.
    """
    right = np.sort(right)[::-1]
    if len(right) > SORT_FROM_RIGHT_ANSWERS:
        wrong_ahead = len(wrong) - np.searchsorted(np.sort(wrong), right, side="left")
    else:
        wrong_ahead = np.array([np.count_nonzero(wrong >= similarity) for similarity in right])
    return wrong_ahead + np.arange(1, len(right) + 1)


def score_of_ranks(ranks: IntArray) -> tuple[float, float, float, float]:
    """Compute one query's fields of `Ranking`, in their order.

    ``ranks``: int (r,), the ranks of the query's right answers, ascending from 1; r is 1 or more.
    """
    found = np.arange(1, len(ranks) + 1)
    precision = found / ranks
    # Before a first right answer at rank 1, nothing is wrong yet: the precision is 1.
    precision_before = np.where(ranks == 1, 1.0, (found - 1) / np.maximum(ranks - 1, 1))
    official = (precision + precision_before) / 2
    return ranks[0], precision.mean(), official.mean(), precision[-1]


def at_least_kth(similarity: FloatArray, k: int) -> IntArray:
    """Find the positions of the k highest similarities and of all that tie with the k-th.

    ``similarity``: float32 (n,); -inf marks what is left out. Returns int (k or more,), ascending;
    fewer than k if fewer are left in.
    """
    left_in = np.flatnonzero(similarity > -np.inf)
    if len(left_in) <= k:
        return left_in
    kth = np.partition(similarity, -k)[-k]
    return np.flatnonzero(similarity >= kth)


def _require_matches(ranking: Ranking) -> BoolArray:
    """Say which queries have a right answer, bool (q,); raise `UserError` if none has."""
    if not ranking.has_match.any():
        raise UserError(
            f"none of the {len(ranking.has_match)} queries has a right answer: no query's person "
            "appears in the gallery under another camera. Check that both number people and "
            "cameras in the same way, and that the gallery belongs to these queries. If all photos "
            "are of one camera, measure by the protocol any_camera"
        )
    return ranking.has_match
