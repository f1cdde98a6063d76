"""Time each way to re-rank at Market-1501's size, and measure the memory of the process.

Run from the repository's root: ``python -m benchmarks.reranking``. The numbers of people, cameras,
distractors and junk are those of Market-1501. The features form neighbourhoods as real ones do:
most of their variance is in few directions, some people look similar, and the photos of one person
form groups by camera.
"""

import resource
import time

import numpy as np
import typer

from benchmarks.evaluation import CAMERAS, PEOPLE, market_sized
from reid.common.arrays import FloatArray, IntArray
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.evaluation.reranking import Reranking
from reid.evaluation.reranking_method import WORDS
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import Similarities, dot_products, rank_queries, summarise

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


def timed(name: str, query: FeatureSet, gallery: FeatureSet, similarities: Similarities) -> None:
    """Evaluate, and print the time and the figures."""
    start = time.perf_counter()
    metrics = summarise(rank_queries(query, gallery, similarities=similarities), gallery.pids)
    seconds = time.perf_counter() - start
    print(f"{name:18} {seconds:6.2f} s   rank-1 {metrics.rank1:.3f}   mAP {metrics.mAP:.3f}")


def peak_mib() -> float:
    """Return the most memory that the process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(width: int = 1280) -> None:
    """Print seconds, figures and the peak memory of the process so far."""
    looks = Looks(width)
    query, gallery = (looks.draw(one.pids, one.camids) for one in market_sized(1))
    print(f"{len(query)} queries x {len(gallery)} gallery rows x {width}")
    print(f"peak memory {peak_mib():6.0f} MiB with the features drawn")
    timed("plain", query, gallery, dot_products)
    print(f"peak memory {peak_mib():6.0f} MiB")
    for method in sorted(WORDS, reverse=True):
        timed(method, query, gallery, Reranking(method=method).similarities)
        print(f"peak memory {peak_mib():6.0f} MiB, the features included")


if __name__ == "__main__":
    typer.run(main)
