"""Open set: how often a threshold tells whether the gallery shows the query's person at all.

Rank-1 and mAP take it for granted that the gallery shows every query's person. Most people who
pass a camera are in no gallery, so a search needs a threshold: below that similarity, the answer is
"nobody". Two errors depend on the threshold T:

- FPIR(T), the false positive identification rate: the share of searches for strangers, whom the
  gallery doesn't show, that find somebody with a similarity of T or more.
- FNIR(T), the false negative identification rate: the share of searches for people in the gallery
  that don't find them: their best photo is not the first answer, or its similarity is below T.

Sources: ISO/IEC 19795-1:2021, "Biometric performance testing and reporting", for the two rates;
P. Grother, M. Ngan and K. Hanaoka, "Face Recognition Vendor Test (FRVT) Part 2: Identification",
NISTIR 8271, 2019, for FNIR at rank 1 and a threshold, and for the curve of one rate against the
other.

Each query is also a stranger: its person is taken out of the gallery. A threshold is set on the
strangers of some people and measured on the queries of the others, in turn for each part of the
people (cross-fitting). Training people would be no strangers: the network has learnt from them.
Both rates grow or shrink with the size of the gallery, so a threshold is right for galleries of
about this size.

A photo that ties with one of another person ranks behind it, as in `reid.protocol.ranking`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reid.common.arrays import BoolArray, FloatArray, IntArray
from reid.evaluation.confidence import interval_of_mean
from reid.evaluation.figures import OPEN_SET_FPIR, at_fpir
from reid.protocol.ranking import DoubleArray, PairSimilarities

CURVE_POINTS = 100
"""The largest number of points of the curve of FNIR against FPIR."""
PARTS = 5
"""The parts of the people: a threshold is set on all but one of them, and measured on that one."""


@dataclass(frozen=True, eq=False)
class Searches:
    """The highest similarities that q queries find in a gallery.

    ``own``: float32 (q,), to photos of the query's person, NaN if the query has no right answer;
    ``others``: float32 (q,), to photos of anybody else, distractors included: what the query finds
    as a stranger. It is -inf if the gallery shows nobody else.
    """

    own: FloatArray
    others: FloatArray

    @property
    def is_mated(self) -> BoolArray:
        """Say for which queries the gallery shows the person: bool (q,)."""
        return ~np.isnan(self.own)


class ErrorCurve(NamedTuple):
    """FNIR against FPIR over p thresholds (a DET curve), by ascending FPIR: each float64 (p,)."""

    threshold: DoubleArray
    FPIR: DoubleArray
    FNIR: DoubleArray


class SearchRecorder:
    """Collects `Searches` while a gallery is ranked (``watch`` of `rank_with_answers`).

    A gallery that is ranked in blocks shows all queries in turn, once for each block.
    """

    def __init__(self, queries: int) -> None:
        """Start with nothing found by so many queries."""
        self._own, self._others = np.full((2, queries), -np.inf, np.float32)
        self._next = 0

    def add(self, pairs: PairSimilarities) -> None:
        """Record the highest similarities of the next query."""
        same, *others = (some.max(initial=-np.inf) for some in pairs)
        self._own[self._next] = max(self._own[self._next], same)
        self._others[self._next] = max(self._others[self._next], *others)
        self._next = (self._next + 1) % len(self._own)

    def searches(self) -> Searches:
        """Return what was recorded, in the order of the queries."""
        own = np.where(self._own == -np.inf, np.float32(np.nan), self._own)
        return Searches(own, self._others)


def threshold_for(found_by_strangers: FloatArray | DoubleArray, fpir: float) -> float | None:
    """Return the lowest threshold at which at most ``fpir`` of strangers find somebody.

    ``found_by_strangers``: (n,), the highest similarity that each of n strangers finds. A new
    stranger is one more: the share is taken as (1 + k) / (1 + n) if k of the n reach the threshold,
    so that it is not 0 by luck. None if n strangers can't tell so small a share.
    """
    n = len(found_by_strangers)
    allowed = int(np.floor(fpir * (1 + n))) - 1
    if allowed < 0:
        return None
    if allowed >= n:
        return -1.0
    too_low = np.sort(found_by_strangers)[n - 1 - allowed]
    # A stranger finds -inf in a gallery that shows nobody else.
    return max(-1.0, float(np.nextafter(too_low, too_low.dtype.type(2))))


def crossed_thresholds(
    found_by_strangers: FloatArray, pids: IntArray, fpir: float, seed: int = 0
) -> DoubleArray | None:
    """Return for each query the `threshold_for` the queries of other people: float64 (q,).

    Args:
        found_by_strangers: float32 (q,), the highest similarity that each query finds as a
            stranger.
        pids: int64 (q,), whom the queries show.
        fpir: the share of strangers who may find somebody.
        seed: of the draw of people into `PARTS` parts.

    Returns:
        None if some of the parts leave too few strangers.
    """
    people, person = np.unique(pids, return_inverse=True)
    part = (np.random.default_rng(seed).permutation(len(people)) % PARTS)[person]
    thresholds = np.empty(len(pids))
    for number in np.unique(part):
        threshold = threshold_for(found_by_strangers[part != number], fpir)
        if threshold is None:
            return None
        thresholds[part == number] = threshold
    return thresholds


def false_positives(searches: Searches, threshold: float | DoubleArray) -> DoubleArray:
    """Return 1 for each query that finds somebody as a stranger, else 0: float64 (q,).

    ``threshold``: one for all queries, or (q,). The mean of the result is FPIR.
    """
    return (searches.others >= threshold).astype(np.float64)


def false_negatives(searches: Searches, threshold: float | DoubleArray) -> DoubleArray:
    """Return 1 for each query that doesn't find its person, else 0: float64 (q,).

    ``threshold``: one for all queries, or (q,). A query whose person the gallery doesn't show has
    NaN. The mean of the others is FNIR.
    """
    is_found = (searches.own > searches.others) & (searches.own >= threshold)
    return np.where(searches.is_mated, ~is_found, np.nan)


def error_curve(searches: Searches) -> ErrorCurve:
    """Compute FNIR and FPIR at up to `CURVE_POINTS` thresholds.

    The thresholds are evenly spread over the logarithm of FPIR. Each is the lowest at its FPIR, so
    its FNIR is the best that can be had: it is chosen by looking at the same queries.
    """
    others = np.sort(searches.others)[::-1]
    found = np.unique(np.geomspace(1, len(others), CURVE_POINTS).round().astype(int))
    # All queries find somebody at the lowest cosine. To let fewer find somebody, the threshold is
    # just above what the next of them finds.
    next_ones = others[found[:-1]]
    above = np.unique(np.nextafter(next_ones, np.float32(2)))[::-1]
    thresholds = np.append(above[above > -1], np.float32(-1))
    return ErrorCurve(
        thresholds.astype(np.float64),
        np.array([false_positives(searches, t).mean() for t in thresholds]),
        np.array([np.nanmean(false_negatives(searches, t)) for t in thresholds]),
    )


def open_set_metrics(
    searches: Searches, pids: IntArray, resamples: int = 10_000, seed: int = 0
) -> dict[str, float]:
    """Set a threshold for each rate of `OPEN_SET_FPIR`, and measure it on queries of other people.

    Args:
        searches: what q queries find.
        pids: int64 (q,), whom the queries show.
        resamples: the number of draws of people, for the intervals of FNIR.
        seed: of these draws, and of the parts of the people.

    Returns:
        For each rate, under the names of `reid.evaluation.figures.at_fpir`: the threshold, set on
        all queries as strangers; and FNIR, with the ends of its 95 % interval, and FPIR, by
        `crossed_thresholds`. A rate that so few queries can't tell is left out.

    Raises:
        UserError: fewer than two people have a right answer.
    """
    metrics: dict[str, float] = {}
    for fpir in OPEN_SET_FPIR:
        threshold = threshold_for(searches.others, fpir)
        crossed = crossed_thresholds(searches.others, pids, fpir, seed)
        if threshold is None or crossed is None:
            continue
        missed = false_negatives(searches, crossed)
        interval = interval_of_mean(missed, pids, resamples, seed)
        metrics |= {
            at_fpir("threshold", fpir): threshold,
            at_fpir("FNIR", fpir): float(np.nanmean(missed)),
            f"{at_fpir('FNIR', fpir)}_low": interval.low,
            f"{at_fpir('FNIR', fpir)}_high": interval.high,
            at_fpir("FPIR", fpir): float(false_positives(searches, crossed).mean()),
        }
    return metrics
