"""Figures of several seeds: on simulated trainings whose true difference is known."""

import statistics

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.evaluation.seeds import difference_of_recipes, spread
from reid.protocol.ranking import Ranking

PEOPLE, QUERIES = 40, 3
PIDS = np.repeat(np.arange(PEOPLE), QUERIES)


def trainings(
    rng: np.random.Generator,
    easy: np.ndarray,
    shift: float,
    of_seed: float,
    of_person: float,
    count: int = 3,
) -> list[Ranking]:
    """Simulate trainings of a recipe: its mINP is that of each person, shifted.

    Each seed adds a number for everybody and a number for each person, with these deviations.
    """
    found = []
    for _ in range(count):
        values = easy + shift + rng.normal(0, of_seed) + rng.normal(0, of_person, PEOPLE)
        figure = values[PIDS]
        found.append(Ranking(np.ones(len(PIDS)), figure / 2, figure, figure))
    return found


def test_spread_is_that_of_the_seeds() -> None:
    values = [0.594, 0.566, 0.551]
    found = spread(values)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.deviation == pytest.approx(statistics.stdev(values))
    assert (found.low, found.high) == (0.551, 0.594)
    assert np.isnan(spread([0.5]).deviation)


@pytest.mark.parametrize(
    ("of_seed", "of_person"), [(0.02, 0.0), (0.0, 0.1), (0.02, 0.1), (0.005, 0.3)]
)
def test_interval_holds_the_true_difference_as_often_as_it_says(
    of_seed: float, of_person: float
) -> None:
    rng = np.random.default_rng(1)
    hits, trials = 0, 400
    for _ in range(trials):
        easy = rng.normal(0.5, 0.2, PEOPLE)
        # What a recipe changes differs from person to person, too.
        gain = rng.normal(0, 0.1, PEOPLE)
        first = trainings(rng, easy, 0.0, of_seed, of_person)
        second = trainings(rng, easy + gain, 0.03, of_seed, of_person)
        *_, found = difference_of_recipes(first, second, PIDS)
        hits += found.interval.low <= 0.03 <= found.interval.high
    assert 0.93 <= hits / trials <= 0.995


def test_figures_come_in_the_order_of_their_names() -> None:
    easy = np.linspace(0.2, 0.8, PEOPLE)
    rng = np.random.default_rng(1)
    first, second = (trainings(rng, easy, shift, 0.01, 0.0) for shift in (0.0, 0.2))
    rank1, mean_ap, minp = difference_of_recipes(first, second, PIDS)
    assert rank1.difference == 0
    assert minp.difference == pytest.approx(2 * mean_ap.difference)
    assert minp.difference == pytest.approx(0.2, abs=0.05)


def test_recipes_that_differ_in_nothing_differ_by_nothing() -> None:
    easy = np.full(PEOPLE, 0.5)
    same = trainings(np.random.default_rng(1), easy, 0.0, 0.0, 0.0)
    for found in difference_of_recipes(same, same, PIDS):
        assert (found.difference, found.interval.low, found.interval.high) == (0, 0, 0)


def test_single_training_and_other_queries_are_refused() -> None:
    rng = np.random.default_rng(1)
    three = trainings(rng, np.full(PEOPLE, 0.5), 0.0, 0.01, 0.0)
    with pytest.raises(UserError, match="two or more seeds"):
        difference_of_recipes(three[:1], three, PIDS)
    other = Ranking(*(np.where(PIDS == 0, np.nan, 0.5) for _ in range(4)))
    with pytest.raises(UserError, match="not tested on the same queries"):
        difference_of_recipes(three, [*three, other], PIDS)
