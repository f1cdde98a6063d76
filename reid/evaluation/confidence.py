"""How sure the figures are: their intervals, and a test of one model against another.

The test set is a sample of people, not of queries: the queries of one person succeed and fail
together. An interval that treats queries as independent is too narrow. So whole people are drawn,
each with all of its queries. Queries without a right answer are left out, as in the figures.

Sources: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
(percentile intervals); C. Field and A. Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B
69, 2007 (drawing whole clusters); M. Smucker, J. Allan and B. Carterette, "A comparison of
statistical significance tests for information retrieval evaluation", CIKM 2007 (the paired
randomisation test); B. Phipson and G. Smyth, "Permutation p-values should never be zero",
Stat. Appl. Genet. Mol. Biol. 9, 2010 (its p-value).
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from reid.common.arrays import BoolArray, IntArray
from reid.common.errors import UserError
from reid.protocol.ranking import DoubleArray, Ranking

LEVEL = 0.95

# With fewer draws, the ends of an interval move visibly from seed to seed.
MIN_RESAMPLES = 1000
Resamples = Annotated[int, Field(ge=MIN_RESAMPLES)]
"""The type of the parameter ``evaluate.resamples``."""

# Draws times people that SciPy handles at once, with up to 150 bytes each.
CELLS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Confidence:
    """The 95 % intervals of a model's figures, as shares from 0 to 1."""

    rank1: Interval
    mAP: Interval  # noqa: N815
    mINP: Interval  # noqa: N815


@dataclass(frozen=True)
class Difference:
    """The first model's figure minus the second's, its 95 % interval, and a two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """One model against another on the same queries.

    ``only_first_right`` and ``only_second_right`` count the queries whose first answer is right
    from only one of the models: the counts of McNemar's table. McNemar's own test treats queries
    as independent; the p-values here don't. ``people`` counts the people whom the queries with a
    right answer show.
    """

    rank1: Difference
    mAP: Difference  # noqa: N815
    mINP: Difference  # noqa: N815
    only_first_right: int
    only_second_right: int
    people: int


def confidence_intervals(
    ranking: Ranking, pids: IntArray, resamples: int = 10_000, seed: int = 0
) -> Confidence:
    """Compute the 95 % percentile interval of each figure by the bootstrap over people.

    ``pids``: (q,), the person whom each query of the ranking shows. Each of the ``resamples``
    draws takes as many people as there are, with replacement. The interval reaches from the 2.5th
    to the 97.5th percentile of the figure over these draws. No draw shows an error that the test
    set lacks: if every query is right, the interval is [1, 1], though up to 3 / people of all
    people may well fail (J. Hanley and A. Lippman-Hand, JAMA 249, 1983).

    Raises `UserError` if fewer than two people have a right answer, or if there are fewer than
    1000 resamples.
    """
    return Confidence(
        *_intervals(tested_figures(ranking), ranking.has_match, pids, resamples, seed)
    )


def interval_of_mean(
    values: DoubleArray, pids: IntArray, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Compute the 95 % percentile interval of another mean over queries, drawn in the same way.

    ``values``: float64 (q,), NaN for a query that doesn't count; ``pids``: (q,). Raises `UserError`
    as `confidence_intervals` does.
    """
    (interval,) = _intervals(values[:, None], ~np.isnan(values), pids, resamples, seed)
    return interval


def compare(
    first: Ranking, second: Ranking, pids: IntArray, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Test two models on the same queries against the same gallery, over people.

    ``pids``: (q,), the person whom each query shows. The interval is that of
    `confidence_intervals`, of the difference: both models are measured on the same draws of people.

    The p-value is that of a randomisation test. If the models were equally good, the sign of each
    person's difference could as well be the opposite. So these signs are drawn ``resamples``
    times, and b of the draws are at least as far from 0 as the difference that was seen:
    p = (b + 1) / (resamples + 1). If there are no more than ``resamples`` ways to choose the
    2**people signs, each way is counted once, and p = b / 2**people is exact.

    Raises `UserError` if the rankings are not of the same queries, and as `confidence_intervals`
    does.
    """
    _require_resamples(resamples)
    _require_comparable(first, second)
    people = sums_by_person(tested_figures(first) - tested_figures(second), first.has_match, pids)
    rng = np.random.default_rng(seed)
    difference = people.sums.sum(axis=0) / people.queries.sum()
    low, high = _percentile_intervals(people, resamples, rng)
    p_value = _sign_flip_p_values(people.sums, resamples, rng)
    figures = zip(*(x.tolist() for x in (difference, low, high, p_value)), strict=True)
    rank1, mAP, mINP = (Difference(*figure) for figure in figures)
    first_right, second_right = first.first_rank == 1, second.first_rank == 1
    return Comparison(
        rank1=rank1,
        mAP=mAP,
        mINP=mINP,
        only_first_right=int(np.count_nonzero(first_right & ~second_right)),
        only_second_right=int(np.count_nonzero(second_right & ~first_right)),
        people=len(people.queries),
    )


class PersonSums(NamedTuple):
    """What each of p people brings to a draw.

    ``sums``: float64 (p, f), the sums of the f figures over the person's queries; ``queries``:
    int64 (p,), the number of the person's queries that count, at least one.
    """

    sums: DoubleArray
    queries: IntArray


def tested_figures(ranking: Ranking) -> DoubleArray:
    """Return the values whose means are rank-1, mAP and mINP: float64 (q, 3).

    A query without a right answer has NaN.
    """
    return np.stack(
        (ranking.found_first, ranking.average_precision, ranking.inverse_negative_penalty), axis=1
    )


def _intervals(
    figures: DoubleArray, has_match: BoolArray, pids: IntArray, resamples: int, seed: int
) -> list[Interval]:
    """Compute the interval of the mean of each column of (q, f)."""
    _require_resamples(resamples)
    people = sums_by_person(figures, has_match, pids)
    low, high = _percentile_intervals(people, resamples, np.random.default_rng(seed))
    return [Interval(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)]


def sums_by_person(figures: DoubleArray, has_match: BoolArray, pids: IntArray) -> PersonSums:
    """Add up the figures, (q, f), of each person's queries that have a right answer."""
    found, person = np.unique(pids[has_match], return_inverse=True)
    if len(found) < 2:
        raise UserError(
            f"of {len(has_match)} queries, those with a right answer show {len(found)} "
            f"{'person' if len(found) == 1 else 'people'}: intervals and tests need two or more. "
            "Evaluate on a data set with more people"
        )
    sums = np.zeros((len(found), figures.shape[1]))
    np.add.at(sums, person, figures[has_match])
    return PersonSums(sums, np.bincount(person))


def _percentile_intervals(
    people: PersonSums, resamples: int, rng: np.random.Generator
) -> tuple[DoubleArray, DoubleArray]:
    """Find the low and the high ends of the f figures' intervals, each float64 (f,)."""
    # SciPy's statistics take a second to import.
    from scipy.stats import bootstrap  # noqa: PLC0415

    drawn = bootstrap(
        (*people.sums.T, people.queries),
        _means,
        paired=True,  # A draw takes whole people: all of their sums and queries.
        vectorized=True,
        n_resamples=resamples,
        batch=_draws_at_once(people.queries),
        confidence_level=LEVEL,
        method="percentile",
        rng=rng,
    )
    return drawn.confidence_interval.low, drawn.confidence_interval.high


def _means(*sums_and_queries: DoubleArray, axis: int) -> DoubleArray:
    """Divide each figure's sum over people by their number of queries: float64 (f, draws)."""
    *sums, queries = sums_and_queries
    return np.stack([figure.sum(axis=axis) for figure in sums]) / queries.sum(axis=axis)


def _sign_flip_p_values(
    differences: DoubleArray, resamples: int, rng: np.random.Generator
) -> DoubleArray:
    """Test each column of (people, 3) for a sum of 0: two-sided p-values, float64 (3,)."""
    from scipy.stats import permutation_test  # noqa: PLC0415

    test = permutation_test(
        (differences,),
        lambda sample, axis: np.abs(sample.sum(axis=axis)),
        permutation_type="samples",  # Of a single sample, SciPy flips the signs.
        vectorized=True,
        n_resamples=resamples,
        batch=_draws_at_once(differences),
        alternative="greater",
        rng=rng,
    )
    return test.pvalue


def _draws_at_once(people: DoubleArray | IntArray) -> int:
    """Bound the memory: a block of draws has at most `CELLS_AT_ONCE` cells, or one draw."""
    return max(1, CELLS_AT_ONCE // len(people))


def _require_resamples(resamples: int) -> None:
    if resamples < MIN_RESAMPLES:
        raise UserError(
            f"resamples is {resamples}: the ends of a 95 % interval need {MIN_RESAMPLES} or more"
        )


def _require_comparable(first: Ranking, second: Ranking) -> None:
    """Raise `UserError` if two rankings can't be of the same queries and gallery."""
    if len(first.has_match) != len(second.has_match):
        raise UserError(
            f"one ranking holds {len(first.has_match)} queries and the other "
            f"{len(second.has_match)}: rank both models on the same queries"
        )
    differs = first.has_match != second.has_match
    if differs.any():
        raise UserError(
            f"query {int(differs.argmax())} has a right answer in one ranking and none in the "
            f"other ({np.count_nonzero(differs)} such queries of {len(differs)}): rank both models "
            "against the same gallery"
        )
