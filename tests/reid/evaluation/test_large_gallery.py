"""A gallery on disk is ranked as one in memory is."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.common.errors import UserError
from reid.data.protocols import Protocol
from reid.evaluation.breakdown import camera_pairs, per_camera_pair
from reid.evaluation.distances import EUCLIDEAN, DistanceHistograms
from reid.evaluation.feature_file import read_feature_file
from reid.evaluation.large_gallery import LargeGallery, LargeRanking, rank_large_gallery
from reid.evaluation.open_set import SearchRecorder
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import (
    PairSimilarities,
    Ranking,
    Similarities,
    dot_products,
    portable_dot_products,
    rank_with_answers,
)
from tests.support.feature_sets import (
    OWN_FIXTURE,
    SHARED_FIXTURE,
    Problem,
    alike,
    assert_same,
    problems,
    unit_rows,
)

PROTOCOLS = st.sampled_from(get_args(Protocol))


def on_disk(gallery: FeatureSet, folder: Path) -> LargeGallery:
    file = folder / "gallery.npy"
    np.save(file, gallery.features)
    return LargeGallery(file, gallery.pids, gallery.camids)


def pairs_or_refusal(table: Callable[[], pd.DataFrame]) -> pd.DataFrame | str:
    try:
        return table()
    except UserError as error:
        return str(error)


def both(*watchers: Callable[[PairSimilarities], None]) -> Callable[[PairSimilarities], None]:
    def watch(pairs: PairSimilarities) -> None:
        for each in watchers:
            each(pairs)

    return watch


def assert_ranked_alike(
    query: FeatureSet,
    gallery: FeatureSet,
    k: int,
    rows_at_once: int,
    protocol: Protocol,
    similarities: Similarities = dot_products,
) -> LargeRanking:
    """Compare all figures of a gallery on disk with those of the gallery in memory, to the bit."""
    whole, parts = DistanceHistograms(EUCLIDEAN), DistanceHistograms(EUCLIDEAN)
    whole_searches, searches = SearchRecorder(len(query)), SearchRecorder(len(query))
    ranking, answers = rank_with_answers(
        query,
        gallery,
        k,
        similarities=similarities,
        watch=both(whole.add, whole_searches.add),
        protocol=protocol,
    )
    with TemporaryDirectory() as folder:
        found = rank_large_gallery(
            query,
            on_disk(gallery, Path(folder)),
            k,
            watch=both(parts.add, searches.add),
            similarities=similarities,
            protocol=protocol,
            by_camera=True,
            rows_at_once=rows_at_once,
        )
    assert_same(found.ranking, ranking)
    np.testing.assert_array_equal(found.answers.rows, answers.rows)
    np.testing.assert_array_equal(found.answers.right, answers.right)
    np.testing.assert_allclose(found.answers.similarity, answers.similarity, atol=1e-6)
    pd.testing.assert_frame_equal(parts.table(), whole.table())
    for name in ("own", "others"):
        one, other = (getattr(some.searches(), name) for some in (searches, whole_searches))
        np.testing.assert_allclose(one, other, atol=1e-6)
    one, other = (
        pairs_or_refusal(table)
        for table in (
            lambda: camera_pairs(query.camids, gallery.camids, found.under, protocol),
            lambda: per_camera_pair(query, gallery, protocol=protocol),
        )
    )
    if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    else:
        assert one == other
    return found


@settings(deadline=None, max_examples=150)
@given(problems(), st.integers(1, 50), st.integers(1, 45), PROTOCOLS)
def test_figures_of_small_galleries_with_many_ties(
    problem: Problem, k: int, rows_at_once: int, protocol: Protocol
) -> None:
    assert_ranked_alike(*problem, k, rows_at_once, protocol)


@pytest.mark.parametrize(
    "fixture",
    [
        OWN_FIXTURE,
        pytest.param(
            SHARED_FIXTURE,
            marks=pytest.mark.skipif(
                not SHARED_FIXTURE.exists(), reason=f"{SHARED_FIXTURE} is absent"
            ),
        ),
    ],
)
@pytest.mark.parametrize("rows_at_once", [97, 1024])
@pytest.mark.parametrize("similarities", [dot_products, portable_dot_products])
def test_figures_of_features_like_a_models(
    fixture: Path, rows_at_once: int, similarities: Similarities
) -> None:
    problem = read_feature_file(fixture)
    assert_ranked_alike(*problem, 10, rows_at_once, "cross_camera", similarities)


@pytest.mark.parametrize("rows_at_once", [1, 7, 64, 500])
def test_right_answers_rank_behind_equal_rows_of_other_blocks(rows_at_once: int) -> None:
    features = np.concatenate((alike(101, 257), -alike(99, 257)))
    pids = np.tile([1, 2, 0, 0], 50)
    gallery = FeatureSet(features, pids, np.full(200, 2))
    asked = unit_rows(np.random.default_rng(0), 9, 257)
    query = FeatureSet(asked, np.ones(9, int), np.ones(9, int))
    with TemporaryDirectory() as folder:
        found = rank_large_gallery(
            query, on_disk(gallery, Path(folder)), 1, rows_at_once=rows_at_once
        )
    wrong_first = np.where(asked @ features[0] > 0, 101 - 26, 99 - 24)
    np.testing.assert_array_equal(found.ranking.first_rank, wrong_first + 1)


def test_fault_in_the_file_is_named(tmp_path: Path) -> None:
    features = unit_rows(np.random.default_rng(0), 20, 4)
    query = FeatureSet(features[:1], np.array([1]), np.array([1]))
    gallery = on_disk(FeatureSet(features, np.ones(20, int), np.full(20, 2)), tmp_path)
    np.save(gallery.file, np.where(np.arange(20)[:, None] == 13, 0, features))
    with pytest.raises(
        UserError, match=r"gallery.npy from row 10: features: row 3 is not of length"
    ):
        rank_large_gallery(query, gallery, 5, rows_at_once=5)
    asked = FeatureSet(unit_rows(np.random.default_rng(0), 1, 3), np.array([1]), np.array([1]))
    with pytest.raises(UserError, match="features have 3 columns and gallery features 4"):
        rank_large_gallery(asked, gallery, 5)


def test_figures_need_no_right_answer(tmp_path: Path) -> None:
    features = unit_rows(np.random.default_rng(0), 20, 4)
    query = FeatureSet(features[:2], np.array([7, 8]), np.array([1, 1]))
    gallery = on_disk(FeatureSet(features, np.zeros(20, int), np.full(20, 2)), tmp_path)
    found = rank_large_gallery(query, gallery, 3)
    assert isinstance(found.ranking, Ranking)
    assert not found.ranking.has_match.any()
    assert (found.answers.rows >= 0).all()
