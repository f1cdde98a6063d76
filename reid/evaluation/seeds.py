"""How a recipe's figures vary from seed to seed, and whether one recipe is better than another.

Two trainings of one recipe differ by the seed alone: by what is held out, the order of the images,
the first weights and the augmentation. A figure of one training is one draw of what a recipe gives.

Source: F. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
Biometrics Bulletin 2, 1946 (degrees of freedom of a sum of variances); W. Cochran, "Sampling
Techniques", 1977, section 9.4 (variance of a mean over people with several queries each).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reid.common.arrays import IntArray
from reid.common.errors import UserError
from reid.evaluation.confidence import LEVEL, Interval, sums_by_person, tested_figures
from reid.protocol.ranking import DoubleArray, Ranking


@dataclass(frozen=True)
class Spread:
    """A figure of n trainings that differ by their seeds.

    ``deviation`` is the standard deviation of one training (by n - 1), NaN for a single one.
    """

    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class RecipeDifference:
    """The second recipe's mean figure minus the first's, with its 95 % interval."""

    difference: float
    interval: Interval


def spread(values: Sequence[float]) -> Spread:
    """Describe the figures, at least one, of trainings with several seeds."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(np.mean(values)), deviation, min(values), max(values))


def difference_of_recipes(
    first: Sequence[Ranking], second: Sequence[Ranking], pids: IntArray
) -> list[RecipeDifference]:
    """Compare two recipes by trainings of each, over seeds and over people of the test set.

    The variance of the difference has three parts: that of the mean over people, of the difference
    that the trainings show on average; and for each recipe, that of the mean over seeds. What a
    seed changes for one person alone is in both kinds, so the interval is a little too wide rather
    than too narrow. It is Student's, with Satterthwaite's degrees of freedom.

    Args:
        first: the rankings of the same q queries by each training of one recipe.
        second: those of the other recipe.
        pids: int64 (q,), the person whom each query shows.

    Returns:
        The differences of rank-1, mAP and mINP, as shares.

    Raises:
        UserError: a recipe has a single training, the queries with a right answer are not the same
            in all rankings, or they show fewer than two people.
    """
    from scipy.stats import t  # noqa: PLC0415

    rankings = [*first, *second]
    if min(len(first), len(second)) < 2:
        raise UserError("a recipe has one training: its spread takes two or more seeds")
    if any(not np.array_equal(one.has_match, rankings[0].has_match) for one in rankings):
        raise UserError("the trainings were not tested on the same queries and gallery")
    has_match = rankings[0].has_match
    means, by_query, seed_variances = [], [], []
    for recipe in (first, second):
        figures = np.stack([tested_figures(one) for one in recipe])
        of_seeds = figures[:, has_match].mean(axis=1)
        means.append(of_seeds.mean(axis=0))
        by_query.append(figures.mean(axis=0))
        seed_variances.append(of_seeds.var(axis=0, ddof=1) / len(recipe))
    difference = means[1] - means[0]
    people = sums_by_person(by_query[1] - by_query[0], has_match, pids)
    residuals = people.sums - difference * people.queries[:, None]
    count = len(people.queries)
    people_variance = (residuals**2).sum(axis=0) * count / (count - 1) / people.queries.sum() ** 2
    parts: DoubleArray = np.stack([people_variance, *seed_variances])
    freedom = np.array([count - 1, len(first) - 1, len(second) - 1])[:, None]
    variance = parts.sum(axis=0)
    with np.errstate(invalid="ignore"):  # Of recipes that differ in nothing, 0 / 0.
        degrees = variance**2 / (parts**2 / freedom).sum(axis=0)
        half = np.where(variance > 0, t.ppf((1 + LEVEL) / 2, degrees) * np.sqrt(variance), 0.0)
    return [
        RecipeDifference(value, Interval(value - width, value + width))
        for value, width in zip(difference.tolist(), half.tolist(), strict=True)
    ]
