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

Strangers to measure with: each query, whose person is taken out of the gallery. Strangers to set a
threshold with: photos of training people, none of whom the gallery shows. Both rates grow or shrink
with the size of the gallery, so a threshold is right for galleries of about this size.

A photo that ties with one of another person ranks behind it, as in `reid.protocol.ranking`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reid.common.arrays import BoolArray, FloatArray, IntArray
from reid.data.market import JUNK_PID
from reid.evaluation.confidence import interval_of_mean
from reid.evaluation.figures import OPEN_SET_FPIR, STRANGERS, at_fpir
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import DoubleArray, PairSimilarities, Similarities, dot_products

CURVE_POINTS = 100
"""The largest number of points of the curve of FNIR against FPIR."""


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


def highest_similarities(
    strangers: FloatArray,
    gallery: FeatureSet,
    block: int = 256,
    similarities: Similarities = dot_products,
) -> FloatArray:
    """Return the highest similarity that each stranger finds in a gallery: float32 (s,).

    ``strangers``: float32 (s, d), rows of length 1, photos of people whom the gallery doesn't show.
    Junk is left out, distractors are not. A gallery of junk gives -inf. Memory beyond the
    arguments: a copy of the gallery's features if it has junk, and ``block`` * len(gallery)
    float32.
    """
    is_ranked = gallery.pids != JUNK_PID
    rows = gallery.features if is_ranked.all() else gallery.features[is_ranked]
    found = np.empty(len(strangers), np.float32)
    for number, products in enumerate(similarities(strangers, rows, block)):
        start = number * block
        found[start : start + block] = products.max(axis=1, initial=-np.inf)
    return found


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
    return float(np.nextafter(too_low, too_low.dtype.type(2)))


def false_positives(searches: Searches, threshold: float) -> DoubleArray:
    """Return 1 for each query that finds somebody as a stranger, else 0: float64 (q,).

    Its mean is FPIR.
    """
    return (searches.others >= threshold).astype(np.float64)


def false_negatives(searches: Searches, threshold: float) -> DoubleArray:
    """Return 1 for each query that doesn't find its person, else 0: float64 (q,).

    A query whose person the gallery doesn't show has NaN. The mean of the others is FNIR.
    """
    is_found = (searches.own > searches.others) & (searches.own >= threshold)
    return np.where(searches.is_mated, ~is_found, np.nan)


def error_curve(searches: Searches) -> ErrorCurve:
    """Compute FNIR and FPIR at up to `CURVE_POINTS` thresholds.

    The thresholds are evenly spread over the logarithm of FPIR. Each is the lowest at its FPIR, so
    its FNIR is the best that can be had. Unlike a threshold of `threshold_for`, it is chosen by
    looking at the test set.
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
    searches: Searches,
    found_by_strangers: FloatArray,
    pids: IntArray,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """Set a threshold on strangers for each rate of `OPEN_SET_FPIR`, and measure it on queries.

    Args:
        searches: what q queries find.
        found_by_strangers: float32 (s,), what photos of training people find in the same gallery.
        pids: int64 (q,), whom the queries show.
        resamples: the number of draws of people, for the intervals of FNIR.
        seed: of these draws.

    Returns:
        The number of strangers, and for each rate the threshold, FNIR with the ends of its 95 %
        interval, and FPIR as measured, under the names of `reid.evaluation.figures.at_fpir`. A rate
        that so few strangers can't tell is left out.

    Raises:
        UserError: fewer than two people have a right answer.
    """
    metrics: dict[str, float] = {STRANGERS: len(found_by_strangers)}
    for fpir in OPEN_SET_FPIR:
        threshold = threshold_for(found_by_strangers, fpir)
        if threshold is None:
            continue
        missed = false_negatives(searches, threshold)
        interval = interval_of_mean(missed, pids, resamples, seed)
        metrics |= {
            at_fpir("threshold", fpir): threshold,
            at_fpir("FNIR", fpir): float(np.nanmean(missed)),
            f"{at_fpir('FNIR', fpir)}_low": interval.low,
            f"{at_fpir('FNIR', fpir)}_high": interval.high,
            at_fpir("FPIR", fpir): float(false_positives(searches, threshold).mean()),
        }
    return metrics
