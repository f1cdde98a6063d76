"""What a similarity means: how often a stranger, who is not in the index, looks as similar.

Everybody in the index is used as a stranger once: their own photos are left out, and the most
similar photo of somebody else is what a search would have found. This is the open-set protocol's
false positive identification rate (ISO/IEC 19795-1), measured on the index as it is. The network
was not trained on these people.
"""

from collections.abc import Sequence

import numpy as np

from reid.evaluation.open_set import threshold_for
from search.index import Index

PROBES = 1_000
"""The photos that are used as strangers."""
FEWEST_PEOPLE = 20
"""With fewer people in the index, nothing can be said."""
HITS = 32
"""The photos that are looked through for one of somebody else, at first."""


class FalseAlarms:
    """The highest similarity that each of some strangers finds in an index."""

    def __init__(self, scores: Sequence[float]) -> None:
        """Keep the similarities; none at all stand for an index that is too small."""
        self._scores = np.sort(np.asarray(scores, np.float64))

    def share(self, similarity: float) -> float | None:
        """Return the share of strangers who find somebody at least as similar.

        It is (1 + k) / (1 + n) for k of n strangers, so that it is not 0 by luck. None if the index
        is too small to say.
        """
        n = len(self._scores)
        if not n:
            return None
        return float(1 + n - np.searchsorted(self._scores, similarity)) / (1 + n)

    def threshold(self, rate: float) -> float | None:
        """Return the lowest similarity whose share of false alarms is at most ``rate``.

        None if the index is too small to tell so small a share: it is at least 1 / (1 + n).
        """
        return threshold_for(self._scores, rate) if len(self._scores) else None


def measure_false_alarms(index: Index, model: str) -> FalseAlarms:
    """Search an index for its own people, each without their own photos.

    Args:
        index: the index.
        model: the hash of one of its models.
    """
    people, embeddings = index.sample(model, PROBES)
    if len(set(people)) < FEWEST_PEOPLE:
        return FalseAlarms([])
    scores: list[float] = []
    left, count = list(range(len(people))), HITS
    while left:
        not_yet = []
        for probe, hits in zip(left, index.search(embeddings[left], model, count), strict=True):
            of_others = [hit.similarity for hit in hits if hit.sighting.person != people[probe]]
            if of_others:
                scores.append(of_others[0])
            elif len(hits) == count:
                not_yet.append(probe)
        left, count = not_yet, count * 8
    return FalseAlarms(scores)
