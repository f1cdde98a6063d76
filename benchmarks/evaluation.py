"""The evaluation at Market-1501's size, by ``processor: this`` if nothing else is said.

The features are random around one direction per person. The numbers of people, cameras, distractors
and junk are those of Market-1501.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.figures import Figure, in_turns
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.evaluation.open_set import (
    SearchRecorder,
    error_curve,
    open_set_metrics,
)
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import (
    Metrics,
    Similarities,
    dot_products,
    portable_dot_products,
    rank_queries,
    rank_with_answers,
    summarise,
)

PEOPLE, CAMERAS = 750, 6
QUERIES, RIGHT, DISTRACTORS, JUNK = 3_368, 13_115, 2_798, 3_819
WIDTH = 1280
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


def by_sorting(query: FeatureSet, gallery: FeatureSet) -> tuple[float, float]:
    """Return rank-1 and mAP as common evaluators compute them: sort the whole gallery."""
    order = np.argsort(-(query.features @ gallery.features.T), axis=1)
    firsts, precisions = [], []
    for index, ranked in enumerate(order):
        pids, camids = gallery.pids[ranked], gallery.camids[ranked]
        is_own = (pids == query.pids[index]) & (camids == query.camids[index])
        right = pids[~is_own & (pids != JUNK_PID)] == query.pids[index]
        if right.any():
            ranks = np.flatnonzero(right) + 1
            firsts.append(right[0])
            precisions.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    return float(np.mean(firsts)), float(np.mean(precisions))


def figures() -> Iterator[Figure]:
    """Time the evaluation and the open-set figures, which come from the same pass."""
    query, gallery = market_sized(WIDTH)

    def features_to_metrics(similarities: Similarities = dot_products) -> Metrics:
        queries = FeatureSet(query.features, query.pids, query.camids)
        rows = FeatureSet(gallery.features, gallery.pids, gallery.camids)
        return summarise(rank_queries(queries, rows, similarities=similarities), rows.pids)

    metrics = features_to_metrics()
    if not np.allclose(by_sorting(query, gallery), (metrics.rank1, metrics.mAP), atol=1e-3):
        raise AssertionError("the peer has other figures")
    yield in_turns(
        f"evaluating {len(query):,} queries x {len(gallery):,} photos",
        features_to_metrics,
        peers={"sorting the whole gallery by numpy": lambda: by_sorting(query, gallery)},
        limits={"the matrix product alone": lambda: query.features @ gallery.features.T},
    )
    yield in_turns(
        "the same, processor: any",
        partial(features_to_metrics, portable_dot_products),
        peers={"processor: this": features_to_metrics},
    )
    recorder = SearchRecorder(len(query))
    rank_with_answers(query, gallery, k=10, watch=recorder.add)

    def open_set() -> object:
        searches = recorder.searches()
        return error_curve(searches), open_set_metrics(searches, query.pids)

    yield in_turns("open-set figures of the same, the ranking left out", open_set)
