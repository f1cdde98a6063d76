"""How sure the figures are: their intervals, and a test of one model against another.

What was sampled is people, not queries: the queries of one person succeed and fail together, and
an interval that takes them for independent is too narrow. So whole people are drawn, and each
brings all its queries. Queries without a right answer are left out, as in the figures.

Sources: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
(percentile intervals); C. Field and A. Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B
69, 2007 (drawing whole clusters); M. Smucker, J. Allan and B. Carterette, "A comparison of
statistical significance tests for information retrieval evaluation", CIKM 2007 (the paired
randomisation test); B. Phipson and G. Smyth, "Permutation p-values should never be zero",
Stat. Appl. Genet. Mol. Biol. 9, 2010 (its p-value).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from reid.common.arrays import IntArray
from reid.common.errors import UserError
from reid.protocol.ranking import DoubleArray, Ranking

LEVEL = 0.95

# With fewer draws the ends of an interval move visibly from seed to seed.
MIN_RESAMPLES = 1000
Resamples = Annotated[int, Field(ge=MIN_RESAMPLES)]
"""The type of the parameter."""

# Draws times people that are held at once, 8 bytes each, a few times over.
CELLS_AT_ONCE = 2**20

# Sums of the same numbers with other signs differ by rounding; of their absolute sum.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Confidence:
    """95 % intervals of a model's figures, shares from 0 to 1."""

    rank1: Interval
    mAP: Interval  # noqa: N815
    mINP: Interval  # noqa: N815


@dataclass(frozen=True)
class Difference:
    """The first model's figure less the second's, its 95 % interval, and a two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """One model against another on the same queries.

    ``only_first_right``, ``only_second_right``: queries whose first answer only one of the models
    gets right, the counts of McNemar's table. McNemar's own test takes queries for independent;
    the p-values here don't. ``people``: whom the queries with a right answer show.
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
    """Give each figure its 95 % percentile interval by the bootstrap over people.

    ``pids``: (q,), whom each query of the ranking shows. The interval reaches from the 2.5th to
    the 97.5th percentile of the figure over ``resamples`` draws of as many people as there are,
    with replacement. No draw shows an error that the test set has not: where every query is right
    the interval is [1, 1], though up to 3 / people of the people may well fail (J. Hanley and
    A. Lippman-Hand, JAMA 249, 1983).

    Raises `UserError` where fewer than two people have a right answer, or for fewer than 1000
    resamples.
    """
    _require_resamples(resamples)
    people = _by_person(_figures(ranking), ranking, pids)
    low, high = _percentile_intervals(people, resamples, np.random.default_rng(seed))
    return Confidence(*(Interval(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)))


def compare(
    first: Ranking, second: Ranking, pids: IntArray, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Test two models on the same queries against the same gallery, over people.

    ``pids``: (q,), whom each query shows. The interval is `confidence_intervals`', of the
    difference: both models are measured on the same draws of people.

    The p-value is a randomisation test's. Were the models equally good, each person's result
    would as likely have come the other way round; so the sign of each person's difference is
    drawn anew, ``resamples`` times, and p = (b + 1) / (resamples + 1), b of the draws being as far
    from 0 as what was seen, or farther. It is exact for that hypothesis at any number of people,
    and never below 1 / (resamples + 1) nor, but for chance, 2 / 2**people.

    Raises `UserError` where the rankings are not of the same queries, and as
    `confidence_intervals` does.
    """
    _require_resamples(resamples)
    _require_comparable(first, second)
    people = _by_person(_figures(first) - _figures(second), first, pids)
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


class _People(NamedTuple):
    """What each of p people brings to a draw: ``sums`` float64 (p, 3) of its queries' figures.

    ``queries``: int64 (p,), its queries with a right answer, at least one.
    """

    sums: DoubleArray
    queries: IntArray


def _figures(ranking: Ranking) -> DoubleArray:
    """Give each query what rank-1, mAP and mINP are means of, (q, 3); NaN without right answer."""
    return np.stack(
        (ranking.found_first, ranking.average_precision, ranking.inverse_negative_penalty), axis=1
    )


def _by_person(figures: DoubleArray, ranking: Ranking, pids: IntArray) -> _People:
    """Sum up the figures, (q, 3), of each person's queries that have a right answer."""
    has_match = ranking.has_match
    found, person = np.unique(pids[has_match], return_inverse=True)
    if len(found) < 2:
        raise UserError(
            f"of {len(has_match)} queries, those with a right answer show {len(found)} "
            f"{'person' if len(found) == 1 else 'people'}: intervals and tests need two or more. "
            "Evaluate on a data set with more people"
        )
    sums = np.zeros((len(found), figures.shape[1]))
    np.add.at(sums, person, figures[has_match])
    return _People(sums, np.bincount(person))


def _percentile_intervals(
    people: _People, resamples: int, rng: np.random.Generator
) -> tuple[DoubleArray, DoubleArray]:
    """Find the low and the high ends of the figures' intervals, each (3,)."""
    brought = np.column_stack((people.sums, people.queries))
    totals = np.concatenate(
        [
            # Unlike a matrix product's, this order of summation is the same on any number of
            # threads, and with it the last bit of a figure in a file.
            np.einsum("dp,pf->df", counts, brought)
            for counts in _draws_of_people(len(people.queries), resamples, rng)
        ]
    )
    means = totals[:, :-1] / totals[:, -1:]
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return low, high


def _draws_of_people(
    people: int, resamples: int, rng: np.random.Generator
) -> Iterator[DoubleArray]:
    """Yield blocks of draws, (draws, people): how often each person is drawn."""
    for draws in _block_sizes(people, resamples):
        drawn = rng.integers(people, size=(draws, people))
        # Each draw counts in its own stretch of one long histogram.
        drawn += people * np.arange(draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=draws * people)
        yield counts.reshape(draws, people).astype(np.float64)


def _sign_flip_p_values(
    differences: DoubleArray, resamples: int, rng: np.random.Generator
) -> DoubleArray:
    """Test each column of (people, 3) for a sum of 0: two-sided p-values, (3,)."""
    seen = np.abs(differences.sum(axis=0)) - ROUNDING * np.abs(differences).sum(axis=0)
    as_far = np.zeros(differences.shape[1], dtype=np.int64)
    for draws in _block_sizes(len(differences), resamples):
        is_kept = rng.integers(2, size=(draws, len(differences)), dtype=np.int8)
        flipped = np.einsum("dp,pf->df", 2.0 * is_kept - 1, differences)
        as_far += np.count_nonzero(np.abs(flipped) >= seen, axis=0)
    return (as_far + 1) / (resamples + 1)


def _block_sizes(people: int, resamples: int) -> Iterator[int]:
    """Split the draws so that a block has at most `CELLS_AT_ONCE` cells, or one draw."""
    block = max(1, CELLS_AT_ONCE // people)
    for start in range(0, resamples, block):
        yield min(block, resamples - start)


def _require_resamples(resamples: int) -> None:
    if resamples < MIN_RESAMPLES:
        raise UserError(
            f"resamples is {resamples}: the ends of a 95 % interval need {MIN_RESAMPLES} or more"
        )


def _require_comparable(first: Ranking, second: Ranking) -> None:
    """Raise `UserError` where two rankings can't be of the same queries and gallery."""
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
