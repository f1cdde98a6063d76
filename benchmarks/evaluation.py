"""Time the evaluation at Market-1501's size, and the matrix product that it needs in any case.

Run from the repository's root: ``python -m benchmarks.evaluation``. The features are random
around one direction per person. The numbers of people, cameras, distractors and junk are those of
Market-1501.
"""

import resource
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import typer

from reid.common.arrays import FloatArray
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.evaluation.open_set import (
    SearchRecorder,
    error_curve,
    highest_similarities,
    open_set_metrics,
)
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_queries, rank_with_answers, summarise

PEOPLE, CAMERAS = 750, 6
QUERIES, RIGHT, DISTRACTORS, JUNK = 3_368, 13_115, 2_798, 3_819
# A fifth of the training images.
STRANGERS = 2_588
# A model of medium quality.
NOISE = 4.0


def market_sized(width: int, noise: float = NOISE) -> tuple[FeatureSet, FeatureSet]:
    """Draw a query set, at most one query per person and camera, and a gallery.

    ``noise``: the length of a feature's own part if that of its person is 1.
    """
    rng = np.random.default_rng(1501)
    directions = rng.standard_normal((PEOPLE + 1, width), dtype=np.float32)
    directions[0] = 0  # Distractors and junk look like nobody.

    def feature_set(pids: np.ndarray, camids: np.ndarray) -> FeatureSet:
        features = rng.standard_normal((len(pids), width), dtype=np.float32)
        features *= noise
        for row, pid in enumerate(pids):
            features[row] += directions[max(pid, 0)]
            features[row] /= np.linalg.norm(features[row])
        return FeatureSet(features, pids, camids)

    seen = rng.permutation(PEOPLE * CAMERAS)[:QUERIES]
    query = feature_set(seen // CAMERAS + 1, seen % CAMERAS + 1)
    people = rng.integers(1, PEOPLE + 1, RIGHT)
    pids = np.repeat([JUNK_PID, DISTRACTOR_PID], [JUNK, DISTRACTORS])
    pids = rng.permutation(np.concatenate((pids, people)))
    return query, feature_set(pids, rng.integers(1, CAMERAS + 1, len(pids)))


def unit_rows(rows: int, width: int) -> FloatArray:
    """Draw features of length 1: float32 (rows, width)."""
    features = np.random.default_rng(751).standard_normal((rows, width), dtype=np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Run an action several times and take the median of its wall-clock times."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def main(width: int = 1280, repeats: int = 3) -> None:
    """Print both times, their ratio and the peak memory of the process."""
    query, gallery = market_sized(width)

    def features_to_metrics() -> object:
        queries = FeatureSet(query.features, query.pids, query.camids)
        rows = FeatureSet(gallery.features, gallery.pids, gallery.camids)
        return summarise(rank_queries(queries, rows), rows.pids)

    recorder = SearchRecorder(len(query))
    rank_with_answers(query, gallery, k=10, watch=recorder.add)
    strangers = unit_rows(STRANGERS, width)

    def open_set() -> object:
        searches = recorder.searches()
        found = highest_similarities(strangers, gallery)
        return error_curve(searches), open_set_metrics(searches, found, query.pids)

    evaluation = median_seconds(features_to_metrics, repeats)
    open_set_seconds = median_seconds(open_set, repeats)
    # Read this before the matrix product, which holds the whole matrix.
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    product = median_seconds(lambda: query.features @ gallery.features.T, repeats)

    print(f"{len(query)} queries x {len(gallery)} gallery rows x {width}, median of {repeats}")
    print(f"matrix product alone  {product:6.2f} s")
    print(
        f"features to metrics   {evaluation:6.2f} s, {evaluation / product:.2f} times the product"
    )
    print(f"open set, from what the same pass finds {open_set_seconds:6.2f} s")
    print(f"peak memory           {peak_mib:6.0f} MiB, the features included")
    print(features_to_metrics())


if __name__ == "__main__":
    typer.run(main)
