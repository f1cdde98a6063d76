"""How far photos of one person and of two lie from each other: shares of pairs by distance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reid.common.arrays import FloatArray
from reid.protocol.ranking import PairSimilarities

BINS = 50


@dataclass(frozen=True)
class Distance:
    """A distance that a similarity stands for: from 0 to ``highest``."""

    name: str
    highest: float
    of: Callable[[FloatArray], FloatArray]


# The margin of the triplet loss is one of these distances, too.
EUCLIDEAN = Distance("Euclidean", 2.0, lambda cosine: np.sqrt(np.maximum(2 - 2 * cosine, 0)))
"""Of vectors of length 1, from their dot product."""

RERANKED = Distance("re-ranked", 1.0, np.negative)
"""The final distance of Zhong et al. 2017, from `reranking.Reranking.similarities`."""


class DistanceHistograms:
    """Counts of pairs of a query and a gallery row in ``BINS`` equal bins of their distance.

    Pairs are those of the protocol: neither junk nor the query's person under its own camera.
    """

    def __init__(self, distance: Distance) -> None:
        """Start with no pair."""
        self.distance = distance
        self.counts = {group: np.zeros(BINS, np.int64) for group in PairSimilarities._fields}

    def add(self, pairs: PairSimilarities) -> None:
        """Count the pairs of one query."""
        per_bin = BINS / self.distance.highest
        for group, similarity in zip(pairs._fields, pairs, strict=True):
            bins = (self.distance.of(similarity) * per_bin).astype(np.int64)
            # A re-ranked distance is a share of the largest one: where all features are nearly the
            # same, rounding alone makes it negative, or more than 1.
            inside = np.clip(bins, 0, BINS - 1)
            self.counts[group] += np.bincount(inside, minlength=BINS)

    def table(self) -> pd.DataFrame:
        """A row a bin, with the share of each group's pairs in it; NaN where a group has none.

        ``measure``: name of the distance; ``distance``: middle of the bin; ``same_person``,
        ``other_person``, ``distractor``: float64, each sums to 1.
        """
        middles = (np.arange(BINS) + 0.5) * (self.distance.highest / BINS)
        shares = {
            group: counts / total if (total := counts.sum()) else np.full(BINS, np.nan)
            for group, counts in self.counts.items()
        }
        return pd.DataFrame({"measure": self.distance.name, "distance": middles, **shares})
