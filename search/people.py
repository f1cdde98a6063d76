"""People, not photos: the answer to a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from reid.serving.thresholds import threshold_of
from search.false_alarms import FalseAlarms
from search.index import Index
from search.records import EVERYTHING, Filter, Hit, Sighting

HITS_PER_PERSON = 8
"""How many photos are fetched for each person wanted, at first."""


@dataclass(frozen=True)
class Found:
    """A person who was found."""

    person: str | None
    """The name, or None for a photo of somebody whom nobody named."""
    best: Sighting
    """The photo that is most like the query."""
    similarity: float
    """The cosine of its embedding and the query's."""
    false_alarms: float | None
    """The share of strangers who find somebody at least as similar (see `FalseAlarms`)."""
    is_match: bool | None
    """Whether the similarity reaches the threshold. None if there is no threshold."""
    sightings: list[Sighting]
    """All photos of the person, by time."""


@dataclass(frozen=True)
class Answer:
    """The people who look most like a query."""

    people: list[Found]
    """The most similar first."""
    threshold: float | None
    """The similarity from which on an answer is a match. None if nothing tells it."""
    rate: float
    """The accepted share of false alarms, which sets the threshold."""
    is_measured: bool = True
    """Whether the threshold was measured on this index, not brought by the model."""

    @property
    def is_somebody(self) -> bool | None:
        """Whether the index knows the person. None if there is no threshold."""
        if self.threshold is None:
            return None
        return any(found.is_match for found in self.people)


def one_query(embeddings: np.ndarray) -> np.ndarray:
    """Join the photos of one person to one query: the mean of their embeddings, of length 1.

    Args:
        embeddings: float32 (n, d), rows of length 1.

    Returns:
        float32 (1, d). L. Zheng et al. 2015, section 5.3, pool multiple queries like this.
    """
    mean = embeddings.mean(axis=0, keepdims=True)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def find_people(
    index: Index,
    query: np.ndarray,
    model: str,
    false_alarms: FalseAlarms,
    rate: float,
    top: int,
    among: Filter = EVERYTHING,
    thresholds: Mapping[float, float] = MappingProxyType({}),
) -> Answer:
    """Find the people who look most like a query, each once.

    Args:
        index: the index.
        query: the embedding, float32 (1, d), of length 1.
        model: the hash of the model that made it.
        false_alarms: what a similarity means in this index.
        rate: the accepted share of false alarms.
        top: the largest number of people.
        among: which photos may be found.
        thresholds: the model's own (`reid.serving.thresholds`), for an index that is too small to
            measure the accepted share.
    """
    best = _best_of_each(index, query, model, top, among)
    of_person: dict[str, list[Sighting]] = {}
    for sighting in index.sightings([hit.sighting.person for hit in best if hit.sighting.person]):
        of_person.setdefault(str(sighting.person), []).append(sighting)
    measured = false_alarms.threshold(rate)
    threshold = threshold_of(thresholds, rate) if measured is None else measured
    people = [
        Found(
            hit.sighting.person,
            hit.sighting,
            hit.similarity,
            false_alarms.share(hit.similarity),
            None if threshold is None else hit.similarity >= threshold,
            sorted(of_person.get(hit.sighting.person or "", [hit.sighting]), key=Sighting.by_time),
        )
        for hit in best
    ]
    return Answer(people, threshold, rate, is_measured=measured is not None)


def _best_of_each(
    index: Index, query: np.ndarray, model: str, top: int, among: Filter
) -> Sequence[Hit]:
    """Return the most similar photo of each person. Somebody without a name is one each time."""
    count = HITS_PER_PERSON * top
    while True:
        (hits,) = index.search(query, model, count, among)
        best: dict[str | int, Hit] = {}
        for hit in hits:
            best.setdefault(hit.sighting.person or hit.sighting.id, hit)
        if len(best) >= top or len(hits) < count:
            return list(best.values())[:top]
        count *= 4
