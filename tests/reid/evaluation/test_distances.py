"""Histograms of distances, compared with a count of the pairs one by one."""

import math
from collections import Counter

import numpy as np
import pytest

from reid.evaluation.distances import BINS, EUCLIDEAN, RERANKED, Distance, DistanceHistograms
from reid.evaluation.reranking import Reranking
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import Similarities, dot_products, rank_with_answers

GROUPS = ["same_person", "other_person", "distractor"]


def feature_set(rows: int, seed: int, pids: tuple[int, int]) -> FeatureSet:
    rng = np.random.default_rng(seed)
    features = normalised(rng.standard_normal((rows, 8)))
    return FeatureSet(features, rng.integers(*pids, rows), rng.integers(1, 4, rows))


def normalised(features: np.ndarray) -> np.ndarray:
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def group_of(query: FeatureSet, q: int, gallery: FeatureSet, g: int) -> str | None:
    """Return the group of a pair by the protocol; None if the protocol leaves the pair out."""
    if gallery.pids[g] == -1:
        return None
    if gallery.pids[g] == 0:
        return "distractor"
    if gallery.pids[g] != query.pids[q]:
        return "other_person"
    return "same_person" if gallery.camids[g] != query.camids[q] else None


def naive_counts(
    query: FeatureSet, gallery: FeatureSet, distances: np.ndarray, highest: float
) -> dict[str, Counter[int]]:
    counts: dict[str, Counter[int]] = {group: Counter() for group in GROUPS}
    for q in range(len(query)):
        for g in range(len(gallery)):
            group = group_of(query, q, gallery, g)
            if group:
                place = math.floor(float(distances[q, g]) / highest * BINS)
                counts[group][min(max(place, 0), BINS - 1)] += 1
    return counts


def histograms(
    query: FeatureSet, gallery: FeatureSet, distance: Distance, similarities: Similarities
) -> DistanceHistograms:
    made = DistanceHistograms(distance)
    rank_with_answers(query, gallery, k=3, block=4, similarities=similarities, watch=made.add)
    return made


def test_euclidean_distances_are_those_of_all_pairs_of_the_protocol() -> None:
    query, gallery = feature_set(13, 1, (1, 5)), feature_set(90, 2, (-1, 6))
    difference = query.features[:, None].astype(float) - gallery.features[None]
    distances = np.sqrt((difference**2).sum(axis=2))
    expected = naive_counts(query, gallery, distances, highest=2)
    made = histograms(query, gallery, EUCLIDEAN, dot_products)
    for group in GROUPS:
        assert sum(expected[group].values()) > 50
        assert made.counts[group].tolist() == [expected[group][place] for place in range(BINS)]
    table = made.table()
    assert table["measure"].unique() == ["Euclidean"]
    assert table["distance"].iloc[[0, -1]].tolist() == pytest.approx([1 / BINS, 2 - 1 / BINS])
    for group in GROUPS:
        share = expected[group][30] / sum(expected[group].values())
        assert table[group][30] == pytest.approx(share)
        assert table[group].sum() == pytest.approx(1)


def test_reranked_distances_are_the_final_distances() -> None:
    query, gallery = feature_set(13, 1, (1, 5)), feature_set(60, 2, (0, 6))
    reranking = Reranking(k1=5, k2=3)
    distances = -np.concatenate(list(reranking.similarities(query.features, gallery.features, 100)))
    expected = naive_counts(query, gallery, distances, highest=1)
    made = histograms(query, gallery, RERANKED, reranking.similarities)
    # In another order of rows, sums are rounded differently. A pair at the edge of a bin may move.
    for group in GROUPS:
        counts = np.array([expected[group][place] for place in range(BINS)])
        assert made.counts[group].sum() == counts.sum()
        assert np.abs(made.counts[group] - counts).sum() <= 4


def test_equal_and_opposite_photos_are_in_the_outermost_bins() -> None:
    axis = np.eye(2, dtype=np.float32)[:1]
    query = FeatureSet(axis, np.array([1]), np.array([1]))
    gallery = FeatureSet(np.concatenate((axis, -axis)), np.array([1, 2]), np.array([2, 2]))
    made = histograms(query, gallery, EUCLIDEAN, dot_products)
    assert made.counts["same_person"].nonzero()[0].tolist() == [0]
    assert made.counts["other_person"].nonzero()[0].tolist() == [BINS - 1]


def test_group_without_a_pair_has_no_share() -> None:
    query, gallery = feature_set(5, 1, (1, 3)), feature_set(30, 2, (1, 3))
    table = histograms(query, gallery, EUCLIDEAN, dot_products).table()
    assert table["distractor"].isna().all()
    assert table["same_person"].notna().all()


def test_reranked_distances_of_nearly_equal_photos_are_all_counted() -> None:
    query, gallery = (
        FeatureSet(normalised(made.features * 5e-7 + np.ones(8)), made.pids, made.camids)
        for made in (feature_set(13, 1, (1, 5)), feature_set(60, 2, (1, 6)))
    )
    similarities = Reranking(k1=5, k2=3).similarities
    assert min(-s.max() for s in similarities(query.features, gallery.features, 4)) < -1 / BINS
    made = histograms(query, gallery, RERANKED, similarities)
    pairs = sum(group_of(query, q, gallery, g) is not None for q in range(13) for g in range(60))
    assert sum(counts.sum() for counts in made.counts.values()) == pairs
