"""Intervals and tests over people: against every possible draw, and on models of known quality."""

import itertools
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import astuple, fields

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.evaluation import confidence
from reid.evaluation.confidence import (
    Comparison,
    Confidence,
    Difference,
    compare,
    confidence_intervals,
)
from reid.protocol.ranking import Ranking, summarise

FIGURES = ("rank1", "mAP", "mINP")
RESAMPLES = 20_000


def ranking_of(first_rank: np.ndarray, average_precision: np.ndarray) -> Ranking:
    """Make a ranking whose mINP differs from its mAP, so that a test notices swapped columns."""
    return Ranking(first_rank, average_precision, average_precision / 2, average_precision**2)


def random_model(rng: np.random.Generator, queries: int) -> Ranking:
    return ranking_of(rng.integers(1, 4, queries).astype(float), rng.uniform(0.1, 1, queries))


def simulated(rng: np.random.Generator, ability: np.ndarray, pids: np.ndarray) -> Ranking:
    """Simulate a model that answers each query of person p rightly with probability ability[p]."""
    is_right = rng.random(len(pids)) < ability[pids]
    return ranking_of(np.where(is_right, 1.0, 4.0), np.where(is_right, 1.0, 0.25))


def some_queries_each(rng: np.random.Generator, people: int) -> np.ndarray:
    return np.repeat(np.arange(people), rng.integers(1, 9, people))


def per_query(ranking: Ranking) -> dict[str, list[float]]:
    return {
        "rank1": [float(rank == 1) for rank in ranking.first_rank],
        "mAP": ranking.average_precision.tolist(),
        "mINP": ranking.inverse_negative_penalty.tolist(),
    }


def queries_of_people(values: list[float], pids: np.ndarray) -> list[list[float]]:
    """Collect each person's values, of the queries that have a right answer."""
    people: dict[int, list[float]] = {}
    for pid, value in zip(pids.tolist(), values, strict=True):
        if not math.isnan(value):
            people.setdefault(pid, []).append(value)
    return list(people.values())


def mean_of(drawn: tuple[list[float], ...]) -> float:
    together = [value for values in drawn for value in values]
    return sum(together) / len(together)


def every_draw(people: list[list[float]]) -> list[float]:
    """Return the mean over the queries of every draw of people with replacement, sorted."""
    return sorted(mean_of(drawn) for drawn in itertools.product(people, repeat=len(people)))


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def assert_interval(low: float, high: float, draws: list[float]) -> None:
    """Check that 2 % to 3 % of all possible draws lie beyond each end."""
    assert quantile(draws, 0.02) - 1e-9 <= low <= quantile(draws, 0.03) + 1e-9
    assert quantile(draws, 0.97) - 1e-9 <= high <= quantile(draws, 0.98) + 1e-9


def exact_p_value(people: list[list[float]]) -> float:
    """Return the share of all sign flips of people whose sum is at least as far from 0."""
    sums = [math.fsum(values) for values in people]
    seen = abs(math.fsum(sums))
    flips = list(itertools.product((-1, 1), repeat=len(sums)))
    as_far = sum(
        abs(math.fsum(sign * x for sign, x in zip(signs, sums, strict=True))) >= seen - 1e-9
        for signs in flips
    )
    return as_far / len(flips)


def assert_close(one: Confidence | Comparison, other: Confidence | Comparison) -> None:
    for field in fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name in FIGURES:
            first, second = astuple(first), astuple(second)
        assert first == pytest.approx(second, abs=1e-12)


class TestAgainstEveryPossibleDraw:
    # The last person has ten times the queries of all others.
    PIDS = np.array([7, 3, 3, 9, 9, 9, 4, 4, *[2] * 80])

    @pytest.mark.parametrize("seed", range(5))
    def test_intervals(self, seed: int) -> None:
        ranking = random_model(np.random.default_rng(seed), len(self.PIDS))
        found = confidence_intervals(ranking, self.PIDS, RESAMPLES, seed)
        for figure, values in per_query(ranking).items():
            draws = every_draw(queries_of_people(values, self.PIDS))
            interval = getattr(found, figure)
            assert_interval(interval.low, interval.high, draws)

    @pytest.mark.parametrize("seed", range(5))
    def test_intervals_of_a_difference(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        first, second = (random_model(rng, len(self.PIDS)) for _ in range(2))
        found = compare(first, second, self.PIDS, RESAMPLES, seed)
        for figure, (ones, others) in paired(first, second).items():
            difference = getattr(found, figure)
            values = [a - b for a, b in zip(ones, others, strict=True)]
            assert difference.difference == pytest.approx(sum(values) / len(values))
            draws = every_draw(queries_of_people(values, self.PIDS))
            assert_interval(difference.low, difference.high, draws)

    # 2**8 choices of signs are counted one by one, 2**11 are drawn from. Four standard errors of
    # 1,000 draws are at most 0.064.
    @pytest.mark.parametrize(("people", "error"), [(8, 1e-12), (11, 0.064)])
    @pytest.mark.parametrize("seed", range(4))
    def test_p_values(self, people: int, error: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        pids = np.append(np.arange(people), rng.integers(people, size=60))
        first, second = (random_model(rng, len(pids)) for _ in range(2))
        found = compare(first, second, pids, 1000, seed)
        for figure, (ones, others) in paired(first, second).items():
            values = [a - b for a, b in zip(ones, others, strict=True)]
            expected = exact_p_value(queries_of_people(values, pids))
            assert getattr(found, figure).p_value == pytest.approx(expected, abs=error)


def paired(first: Ranking, second: Ranking) -> dict[str, tuple[list[float], list[float]]]:
    ones, others = per_query(first), per_query(second)
    return {figure: (ones[figure], others[figure]) for figure in FIGURES}


class TestOnModelsOfKnownQuality:
    """Abilities differ from person to person, so that the queries of one person go together."""

    PEOPLE = 60

    def share(
        self, simulations: int, holds: Callable[[np.random.Generator], tuple[bool, ...]]
    ) -> np.ndarray:
        rng = np.random.default_rng(11)
        return np.mean([holds(rng) for _ in range(simulations)], axis=0)

    def test_intervals_cover_the_truth_only_over_people(self) -> None:
        def covers(rng: np.random.Generator) -> tuple[bool, ...]:
            pids = some_queries_each(rng, self.PEOPLE)
            ranking = simulated(rng, rng.beta(0.5, 0.5, self.PEOPLE), pids)
            return tuple(
                interval.low <= truth <= interval.high
                for people in (pids, np.arange(len(pids)))
                for found in [confidence_intervals(ranking, people, 1000)]
                for interval, truth in ((found.rank1, 0.5), (found.mAP, 0.625))
            )

        rank1, mAP, rank1_of_queries, mAP_of_queries = self.share(100, covers)
        # One standard error of 100 simulations is 0.022.
        assert 0.89 <= rank1 < 1
        assert 0.89 <= mAP < 1
        assert rank1_of_queries < 0.8
        assert mAP_of_queries < 0.8

    def test_intervals_of_a_difference_cover_the_truth(self) -> None:
        def covers(rng: np.random.Generator) -> tuple[bool, ...]:
            pids = some_queries_each(rng, self.PEOPLE)
            ability = rng.beta(0.5, 0.5, self.PEOPLE)
            better, worse = (simulated(rng, ability * factor, pids) for factor in (1, 0.6))
            found = compare(better, worse, pids, 1000)
            return found.rank1.low <= 0.2 <= found.rank1.high, found.rank1.p_value <= 0.05

        coverage, power = self.share(100, covers)
        # One standard error of 100 simulations is 0.022.
        assert 0.89 <= coverage < 1
        assert power > 0.9

    def test_equally_good_models_differ_in_one_test_of_twenty_only_over_people(self) -> None:
        def differs(rng: np.random.Generator) -> tuple[bool, ...]:
            people = 30
            pids = some_queries_each(rng, people)
            easy = rng.beta(0.5, 0.5, people)
            first, second = (
                simulated(rng, easy * rng.beta(0.5, 0.5, people), pids) for _ in range(2)
            )
            return tuple(
                compare(first, second, people, 1000).rank1.p_value <= 0.05
                for people in (pids, np.arange(len(pids)))
            )

        over_people, over_queries = self.share(100, differs)
        assert 0 < over_people <= 0.1
        assert over_queries > 0.1


class TestProperties:
    RNG_SEED = 5

    def models(self) -> tuple[Ranking, Ranking, np.ndarray]:
        rng = np.random.default_rng(self.RNG_SEED)
        pids = rng.permutation(some_queries_each(rng, 40) + 1)
        first, second = (random_model(rng, len(pids)) for _ in range(2))
        return first, second, pids

    def test_the_figures_lie_in_their_intervals(self) -> None:
        first, second, pids = self.models()
        ours, theirs = (summarise(model, np.array([1])) for model in (first, second))
        intervals = confidence_intervals(first, pids)
        comparison = compare(first, second, pids)
        for figure in FIGURES:
            interval, difference = getattr(intervals, figure), getattr(comparison, figure)
            assert interval.low < getattr(ours, figure) < interval.high
            expected = getattr(ours, figure) - getattr(theirs, figure)
            assert difference.difference == pytest.approx(expected)
            assert difference.low < expected < difference.high
            assert 0 < difference.p_value <= 1

    def test_a_model_does_not_differ_from_itself(self) -> None:
        first, _, pids = self.models()
        found = compare(first, first, pids)
        none = Difference(difference=0, low=0, high=0, p_value=1)
        assert (found.rank1, found.mAP, found.mINP) == (none, none, none)
        assert (found.only_first_right, found.only_second_right) == (0, 0)

    def test_swapping_the_models_flips_the_signs(self) -> None:
        first, second, pids = self.models()
        found, swapped = compare(first, second, pids), compare(second, first, pids)
        for figure in FIGURES:
            one, other = getattr(found, figure), getattr(swapped, figure)
            expected = (-other.difference, -other.high, -other.low, other.p_value)
            assert astuple(one) == pytest.approx(expected, abs=1e-12)
        assert found.only_first_right == swapped.only_second_right
        assert found.only_second_right == swapped.only_first_right

    def test_counts_of_queries_that_one_model_alone_gets_right(self) -> None:
        half = np.full(6, 0.5)
        first = ranking_of(
            np.array([1, 1, 1, 1, 3, np.nan]), np.where(np.arange(6) < 5, half, np.nan)
        )
        second = ranking_of(np.array([2, 1, 5, 9, 1, np.nan]), first.average_precision)
        found = compare(first, second, np.arange(1, 7))
        assert (found.only_first_right, found.only_second_right) == (3, 1)
        assert found.people == 5
        assert found.rank1.difference == pytest.approx((3 - 1) / 5)

    def test_the_order_of_the_queries_changes_nothing(self) -> None:
        first, second, pids = self.models()
        order = np.random.default_rng(0).permutation(len(pids))
        one, other = (
            Ranking(*(getattr(model, field.name)[order] for field in fields(Ranking)))
            for model in (first, second)
        )
        assert_close(confidence_intervals(first, pids), confidence_intervals(one, pids[order]))
        assert_close(compare(first, second, pids), compare(one, other, pids[order]))

    def test_queries_without_a_match_change_nothing(self) -> None:
        first, second, pids = self.models()
        one, other = (
            Ranking(*(np.append(getattr(model, f.name), [np.nan] * 3) for f in fields(Ranking)))
            for model in (first, second)
        )
        # Two of a new person, one of a person who has other queries.
        longer = np.append(pids, [999, 999, pids[0]])
        assert confidence_intervals(one, longer) == confidence_intervals(first, pids)
        assert compare(one, other, longer) == compare(first, second, pids)

    def test_a_seed_gives_one_result(self) -> None:
        first, second, pids = self.models()
        again, another = (confidence_intervals(first, pids, seed=seed) for seed in (3, 4))
        assert confidence_intervals(first, pids, seed=3) == again != another
        assert compare(first, second, pids, seed=3) == compare(first, second, pids, seed=3)
        assert again.mAP.low == pytest.approx(another.mAP.low, abs=0.01)

    @pytest.mark.parametrize("cells", [1000, 12_345])
    def test_blocks_change_nothing(self, monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
        first, second, pids = self.models()
        intervals, comparison = (
            confidence_intervals(first, pids, 1000),
            compare(first, second, pids, 1000),
        )
        monkeypatch.setattr(confidence, "CELLS_AT_ONCE", cells)
        assert_close(confidence_intervals(first, pids, 1000), intervals)
        assert_close(compare(first, second, pids, 1000), comparison)

    def test_no_matrix_of_all_draws_is_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(confidence, "CELLS_AT_ONCE", 2**13)
        people, resamples = 40, 25_000
        model = random_model(np.random.default_rng(0), people)
        tracemalloc.start()
        compare(model, model, np.arange(people), resamples)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < people * resamples * 8 / 3


class TestEdgeCases:
    @pytest.mark.parametrize(("rank", "share"), [(1.0, 1.0), (2.0, 0.0)])
    def test_all_right_or_all_wrong(self, rank: float, share: float) -> None:
        ranking = ranking_of(np.full(9, rank), np.full(9, 1 / rank))
        found = confidence_intervals(ranking, np.arange(9) // 3)
        assert astuple(found.rank1) == (share, share)
        assert astuple(found.mAP) == pytest.approx((1 / rank, 1 / rank))

    def test_one_right_and_one_wrong_person(self) -> None:
        ranking = ranking_of(np.array([1.0, 2.0]), np.array([1.0, 0.5]))
        found = confidence_intervals(ranking, np.array([4, 8]))
        assert astuple(found.rank1) == (0, 1)
        assert astuple(found.mAP) == (0.5, 1)

    def test_better_for_every_person(self) -> None:
        better, worse = (ranking_of(np.full(30, r), np.full(30, 1 / r)) for r in (1.0, 2.0))
        found = compare(better, worse, np.arange(30), resamples=1000)
        # Only 2 of 2**30 flips are as far from 0, so the p-value is the smallest of 1000 draws.
        assert astuple(found.rank1) == (1, 1, 1, pytest.approx(1 / 1001))

    @pytest.mark.parametrize("figures", [[1, 1, 1], [1, np.nan, np.nan]])
    def test_one_person_alone_has_no_interval(self, figures: list[float]) -> None:
        ranking = ranking_of(np.array(figures, float), np.array(figures, float))
        pids = np.where(np.isnan(figures), [5, 6, 7], 5)
        with pytest.raises(UserError, match=r"of 3 queries, .* show 1 person: .* two or more"):
            confidence_intervals(ranking, pids)
        with pytest.raises(UserError, match=r"of 3 queries, .* show 1 person"):
            compare(ranking, ranking, pids)

    def test_nobody_has_no_interval(self) -> None:
        nothing = np.full(4, np.nan)
        ranking = ranking_of(nothing, nothing)
        with pytest.raises(UserError, match=r"of 4 queries, .* show 0 people"):
            confidence_intervals(ranking, np.arange(4))

    @pytest.mark.parametrize("resamples", [-1, 0, 999])
    def test_too_few_resamples_are_refused(self, resamples: int) -> None:
        ranking = random_model(np.random.default_rng(0), 4)
        with pytest.raises(UserError, match=f"resamples is {resamples}: .* 1000 or more"):
            confidence_intervals(ranking, np.arange(4), resamples)
        with pytest.raises(UserError, match=f"resamples is {resamples}"):
            compare(ranking, ranking, np.arange(4), resamples)

    def test_rankings_of_other_queries_are_not_compared(self) -> None:
        rng = np.random.default_rng(0)
        with pytest.raises(UserError, match="one ranking holds 4 queries and the other 5"):
            compare(random_model(rng, 4), random_model(rng, 5), np.arange(4))

    def test_rankings_of_another_gallery_are_not_compared(self) -> None:
        first = ranking_of(np.array([1.0, 1, 1, 1]), np.ones(4))
        second = ranking_of(np.array([1, np.nan, np.nan, 1]), np.array([1, np.nan, np.nan, 1]))
        with pytest.raises(UserError, match=r"query 1 has .* \(2 such queries of 4\)"):
            compare(first, second, np.arange(4))
