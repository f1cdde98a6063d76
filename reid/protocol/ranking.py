"""The single-query protocol of person re-identification: CMC, mAP and mINP of a set of features.

Gallery rows of pid -1 (junk) are dropped; rows of pid 0 (distractors) stay as wrong answers. For
each query the gallery rows of the same person under the same camera are removed, and the rest is
ranked by similarity, the dot product of L2-normalised features unless another one is given. A right
answer that ties with wrong ones ranks behind them, so that neither a tie nor the order of rows can
flatter a model.

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
from reid.protocol.feature_set import FeatureSet, check_comparable
from reid.protocol.tie_order import order_by_value, starts_value

DoubleArray = NDArray[np.float64]

Similarities = Callable[[FloatArray, FloatArray, int], Iterator[FloatArray]]
"""Queries (q, d), gallery (m, d) and a number of queries b to blocks of similarities, (b, m)."""

# A query with more right answers than this sorts its similarities once; one with fewer is quicker
# with one pass over them for each right answer. Both count the same.
SORT_FROM_RIGHT_ANSWERS = 64


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well the right answers of each of q queries rank; NaN where a query has none.

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
        """Bool (q,): whether the query has a right answer."""
        return ~np.isnan(self.first_rank)

    @property
    def found_first(self) -> DoubleArray:
        """float64 (q,): 1 where the first answer is right, which rank-1 is the mean of."""
        return np.where(self.has_match, self.first_rank == 1, np.nan)


@dataclass(frozen=True)
class Metrics:
    """The protocol's figures as shares from 0 to 1, and the counts that they rest on.

    All figures are means over the queries that have a right answer, as in Torchreid.
    ``queries`` counts all of them, ``queries_without_match`` those left out of the means,
    ``gallery`` the rows that were ranked: distractors included, ``junk`` not.
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
    """How similar one query is to each gallery row that it is ranked against, by who is on it.

    float32, in no order. ``same_person``: (n,), the right answers; ``other_person``: (w,);
    ``distractor``: (z,), rows of pid 0.
    """

    same_person: FloatArray
    other_person: FloatArray
    distractor: FloatArray


class Matches(NamedTuple):
    """The k best gallery rows of each of q queries, best first.

    ``rows``: int64 (q, k), row numbers of the gallery, -1 where it has no more;
    ``similarity``: float32 (q, k), NaN there; ``right``: bool (q, k), False there.
    """

    rows: IntArray
    similarity: FloatArray
    right: BoolArray


def dot_products(queries: FloatArray, gallery: FloatArray, block: int) -> Iterator[FloatArray]:
    """Multiply ``block`` queries at a time with the gallery: cosines of rows of length 1."""
    for start in range(0, len(queries), block):
        yield queries[start : start + block] @ gallery.T


def rank_queries(
    query: FeatureSet,
    gallery: FeatureSet,
    block: int = 256,
    similarities: Similarities = dot_products,
) -> Ranking:
    """Rank the gallery for each query.

    ``similarities``: what to rank by, such as `Reranking.similarities`. Memory beyond the
    arguments: one copy of the gallery's features, twice ``block`` * len(gallery) float32, and what
    ``similarities`` takes. Raises `UserError` where the two sets can't be compared.
    """
    check_comparable(query, gallery)
    candidates = _candidates(gallery)
    ranking = _no_ranking(len(query))
    for index, similarity in _similarity_rows(query.features, candidates, block, similarities):
        _rank(ranking, index, query, candidates, similarity)
    return ranking


def summarise(ranking: Ranking, gallery_pids: IntArray) -> Metrics:
    """Average a ranking over the queries that have a right answer.

    ``gallery_pids``: (n,), all rows that the ranking was given, for the counts.
    Raises `UserError` where no query has a right answer.
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
    """CMC-1 to CMC-``max_rank``: float64 (max_rank,), of the queries that have a right answer.

    It stays flat beyond the last row of a gallery smaller than ``max_rank``. Raises `UserError`
    where no query has a right answer.
    """
    first_rank = np.sort(ranking.first_rank[_require_matches(ranking)])
    within = np.searchsorted(first_rank, np.arange(1, max_rank + 1), side="right")
    return within / len(first_rank)


def rank_and_match(
    query: FeatureSet,
    gallery: FeatureSet,
    k: int,
    block: int = 256,
    similarities: Similarities = dot_products,
    watch: Callable[[PairSimilarities], None] | None = None,
) -> tuple[Ranking, Matches]:
    """Rank the gallery for each query, and find its k best rows for people to look at.

    The ranking is that of `rank_queries`, from the same pass over the similarities. Among the k
    best, too, junk and the query's person under the query's camera are left out; ties put the wrong
    rows first, and then the lower row number. Re-ranked answers depend on all of ``query``: to show
    those of a few, pass all.

    ``watch`` is called with the similarities of each query, in the queries' order. They are valid
    during the call. Raises `UserError` where the two sets can't be compared.
    """
    check_comparable(query, gallery)
    candidates = _candidates(gallery)
    ranking, matches = _no_ranking(len(query)), _no_matches(len(query), k)
    for index, similarity in _similarity_rows(query.features, candidates, block, similarities):
        # In this order, for matching and ranking take rows out of the similarities.
        if watch:
            watch(_pairs(index, query, candidates, similarity))
        _match(matches, index, query, candidates, similarity)
        _rank(ranking, index, query, candidates, similarity)
    return ranking, matches


class _Candidates(NamedTuple):
    """The m rows of a gallery that are ranked, ordered by person.

    ``rows``: int64 (m,), their row numbers in the gallery; ``pids``, ``camids``: int64 (m,);
    ``vectors``: float32 (m, d), their features in an order of its own; ``column``: int64 (m,),
    where in ``vectors`` the feature of each stands.
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
    features read the column of the first of them, and the vectors stand in an order that depends
    on their values alone: the order of the gallery's rows can't change a figure.
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
    """Yield each query's number and its similarity to all candidates, (m,), free to be changed."""
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
    """Score one query, where it has a right answer; changes its similarities, (m,)."""
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
        ) = _score(_ranks(right, wrong=similarity))


def _pairs(
    index: int, query: FeatureSet, candidates: _Candidates, similarity: FloatArray
) -> PairSimilarities:
    """Sort out one query's similarities, (m,), by who is on the gallery's photo."""
    person = candidates.of_person(query.pids[index])
    is_right = candidates.camids[person] != query.camids[index]
    distractors = candidates.of_person(DISTRACTOR_PID)
    others = (similarity[distractors.stop : person.start], similarity[person.stop :])
    return PairSimilarities(
        similarity[person][is_right], np.concatenate(others), similarity[distractors]
    )


def _no_matches(queries: int, k: int) -> Matches:
    shape = (queries, k)
    return Matches(np.full(shape, -1), np.full(shape, np.nan, np.float32), np.zeros(shape, bool))


def _match(
    matches: Matches,
    index: int,
    query: FeatureSet,
    candidates: _Candidates,
    similarity: FloatArray,
) -> None:
    """Find one query's best rows; takes what is left out from its similarities, (m,)."""
    k = matches.rows.shape[1]
    person = candidates.of_person(query.pids[index])
    same_camera = candidates.camids[person] == query.camids[index]
    similarity[person][same_camera] = -np.inf
    best = _at_least_kth(similarity, k)
    right = candidates.pids[best] == query.pids[index]
    order = np.lexsort((candidates.rows[best], right, -similarity[best]))[:k]
    found = len(order)
    matches.rows[index, :found] = candidates.rows[best[order]]
    matches.similarity[index, :found] = similarity[best[order]]
    matches.right[index, :found] = right[order]


def _ranks(right: FloatArray, wrong: FloatArray) -> IntArray:
    """Rank the right answers, from 1 and ascending, by the similarities of right and wrong.

    The k-th best right answer stands behind k - 1 right ones and all wrong ones that are as
    similar as it or more.
    """
    right = np.sort(right)[::-1]
    if len(right) > SORT_FROM_RIGHT_ANSWERS:
        wrong_ahead = len(wrong) - np.searchsorted(np.sort(wrong), right, side="left")
    else:
        wrong_ahead = np.array([np.count_nonzero(wrong >= similarity) for similarity in right])
    return wrong_ahead + np.arange(1, len(right) + 1)


def _score(ranks: IntArray) -> tuple[float, float, float, float]:
    """Score one query by the ascending ranks of its right answers: the fields of `Ranking`."""
    found = np.arange(1, len(ranks) + 1)
    precision = found / ranks
    # Before a first right answer at rank 1 nothing is wrong yet: a precision of 1.
    precision_before = np.where(ranks == 1, 1.0, (found - 1) / np.maximum(ranks - 1, 1))
    official = (precision + precision_before) / 2
    return ranks[0], precision.mean(), official.mean(), precision[-1]


def _at_least_kth(similarity: FloatArray, k: int) -> IntArray:
    """Find the positions of the k highest similarities and of all that tie with the k-th."""
    left_in = np.flatnonzero(similarity > -np.inf)
    if len(left_in) <= k:
        return left_in
    kth = np.partition(similarity, -k)[-k]
    return np.flatnonzero(similarity >= kth)


def _require_matches(ranking: Ranking) -> BoolArray:
    """Say which queries have a right answer, (q,); raise `UserError` where none has."""
    if not ranking.has_match.any():
        raise UserError(
            f"none of the {len(ranking.has_match)} queries has a right answer: no query's person "
            "appears in the gallery under another camera. Check that both number people and "
            "cameras alike, and that the gallery belongs to these queries"
        )
    return ranking.has_match
