"""Histograms of distances: of two photos of one person, of two people, of distractors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reid.common.arrays import FloatArray
from reid.protocol.ranking import PairSimilarities

BINS = 50


@dataclass(frozen=True)
class Distance:
    """A distance from 0 to ``highest``, and the function that computes it from a similarity."""

    name: str
    highest: float
    of: Callable[[FloatArray], FloatArray]


# The margin of the triplet loss is in this distance, too.
EUCLIDEAN = Distance("Euclidean", 2.0, lambda cosine: np.sqrt(np.maximum(2 - 2 * cosine, 0)))
"""The Euclidean distance of vectors of length 1, from their dot product."""

RERANKED = Distance("re-ranked", 1.0, np.negative)
"""The final distance of Zhong et al. 2017, from `reranking.Reranking.similarities`."""


class DistanceHistograms:
    """Counts of the pairs of a query and a gallery row in ``BINS`` equal bins of their distance.

    The pairs are those of the protocol, which leaves out junk and the query's person under the
    query's camera.
    """

    def __init__(self, distance: Distance) -> None:
        """Start without any pair."""
        self.distance = distance
        self.counts = {group: np.zeros(BINS, np.int64) for group in PairSimilarities._fields}

    def add(self, pairs: PairSimilarities) -> None:
        """Count the pairs of one query."""
        per_bin = BINS / self.distance.highest
        for group, similarity in zip(pairs._fields, pairs, strict=True):
            if not similarity.size:
                continue
            bins = (self.distance.of(similarity) * per_bin).astype(np.int64)
            # A re-ranked distance is a share of the largest distance. If all features are nearly
            # the same, rounding alone makes it negative, or more than 1.
            inside = np.minimum(np.maximum(bins, 0), BINS - 1)
            self.counts[group] += np.bincount(inside, minlength=BINS)

    def table(self) -> pd.DataFrame:
        """Tabulate the share of each group's pairs in each bin: one row per bin.

        ``measure``: the name of the distance; ``distance``: the middle of the bin; ``same_person``,
        ``other_person``, ``distractor``: float64, each with a sum of 1, or NaN if the group has no
        pairs.
        """
        middles = (np.arange(BINS) + 0.5) * (self.distance.highest / BINS)
        shares = {
            group: counts / total if (total := counts.sum()) else np.full(BINS, np.nan)
            for group, counts in self.counts.items()
        }
        return pd.DataFrame({"measure": self.distance.name, "distance": middles, **shares})
