"""Each way to re-rank at Market-1501's size.

The numbers of people, cameras, distractors and junk are those of Market-1501. The features form
neighbourhoods as real ones do: most of their variance is in few directions, some people look
similar, and the photos of one person form groups by camera.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.evaluation import CAMERAS, PEOPLE, WIDTH, market_sized
from benchmarks.figures import Figure, in_turns
from reid.common.arrays import FloatArray, IntArray
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.evaluation.reranking import Reranking
from reid.evaluation.reranking_method import WORDS, RerankingMethod
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import Metrics, rank_queries, summarise

ROWS_AT_ONCE = 1024
# Photos differ in this number of directions, in each 3 % less than in the one before.
DIRECTIONS = 128
DECAY = 0.97
# A sighting is a person under a camera.
PERSON, CAMERA, SIGHTING, PHOTO = 1.0, 0.4, 0.5, 0.5


class Looks:
    """The parts of features that come from people, cameras, sightings and chance."""

    def __init__(self, width: int) -> None:
        """Draw the parts that are the same in all photos of a person, camera or sighting."""
        self.rng = np.random.default_rng(1501)
        self.axes = np.linalg.qr(self.rng.standard_normal((width, DIRECTIONS)))[0].T
        self.people = self._vary(PERSON, PEOPLE + 1)
        self.cameras = self._vary(CAMERA, CAMERAS + 1)
        self.sightings = self._vary(SIGHTING, PEOPLE + 1, CAMERAS + 1)

    def draw(self, pids: IntArray, camids: IntArray) -> FeatureSet:
        """Draw the features of n photos: ``pids`` (n,) and ``camids`` (n,)."""
        looks = self.people[pids] + self.sightings[pids, camids]
        strangers = (pids == DISTRACTOR_PID) | (pids == JUNK_PID)
        looks[strangers] = self._vary(PERSON + SIGHTING, int(strangers.sum()))
        looks += self.cameras[camids] + self._vary(PHOTO, len(pids))
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        return FeatureSet((looks @ self.axes).astype(np.float32), pids, camids)

    def _vary(self, size: float, *shape: int) -> FloatArray:
        spread = size * DECAY ** np.arange(DIRECTIONS)
        return (spread * self.rng.standard_normal((*shape, DIRECTIONS))).astype(np.float32)


def figures() -> Iterator[Figure]:
    """Time each way to re-rank, figures included."""
    looks = Looks(WIDTH)
    query, gallery = (looks.draw(one.pids, one.camids) for one in market_sized(1))
    together = np.concatenate((query.features, gallery.features))

    def product() -> None:
        for start in range(0, len(together), ROWS_AT_ONCE):
            together[start : start + ROWS_AT_ONCE] @ together.T

    def ranked(method: RerankingMethod) -> Metrics:
        similarities = Reranking(method=method).similarities
        return summarise(rank_queries(query, gallery, similarities=similarities), gallery.pids)

    for method in WORDS:
        yield in_turns(
            f"re-ranking by {method}",
            partial(ranked, method),
            limits={"the product of all photos with all": product},
            turns=1,
        )
