"""Figures by camera and the people of wrong answers, compared with the definitions."""

import math
from collections.abc import Iterable
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.common.errors import UserError
from reid.data.protocols import Protocol
from reid.evaluation.breakdown import (
    WrongFirstAnswers,
    camera_metrics,
    first_answers,
    per_camera,
    per_camera_pair,
    wrong_first_answers,
)
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_queries, rank_with_answers, summarise
from tests.support.feature_sets import Problem, alike, problems
from tests.support.naive_evaluation import naive_metrics, naive_order, naive_ranks


def naive_row(
    query: FeatureSet,
    query_rows: list[int],
    gallery: FeatureSet,
    gallery_rows: list[int],
    any_camera: bool = False,
) -> dict[str, Any]:
    """Compute the figures of some queries against some gallery rows."""
    expected = naive_metrics(
        qf=[query.features[row].tolist() for row in query_rows],
        q_pids=[query.pids[row] for row in query_rows],
        q_camids=[query.camids[row] for row in query_rows],
        gf=[gallery.features[row].tolist() for row in gallery_rows],
        g_pids=[gallery.pids[row] for row in gallery_rows],
        g_camids=[gallery.camids[row] for row in gallery_rows],
        any_camera=any_camera,
    )
    return {
        "queries": len(query_rows),
        "queries_with_match": len(query_rows) - expected["queries_without_match"],
        "rank1": expected.get("rank1", math.nan),
        "mAP": expected.get("mAP", math.nan),
    }


def rows_of(images: FeatureSet, camid: int) -> list[int]:
    return [row for row, seen_by in enumerate(images.camids) if seen_by == camid]


def cameras_of(images: FeatureSet) -> list[int]:
    return sorted(set(images.camids.tolist()))


def assert_table(table: pd.DataFrame, expected: Iterable[dict[str, Any]]) -> None:
    pd.testing.assert_frame_equal(table, pd.DataFrame(list(expected)), check_dtype=False)


class TestPerCamera:
    @settings(deadline=None, max_examples=30)
    @given(problems())
    def test_against_the_definitions(self, problem: Problem) -> None:
        query, gallery = problem
        everything = list(range(len(gallery)))
        assert_table(
            per_camera(rank_queries(query, gallery), query.camids),
            (
                {"camera": camid, **naive_row(query, rows_of(query, camid), gallery, everything)}
                for camid in cameras_of(query)
            ),
        )

    @settings(deadline=None, max_examples=30)
    @given(problems())
    def test_cameras_average_to_the_whole(self, problem: Problem) -> None:
        query, gallery = problem
        ranking = rank_queries(query, gallery)
        cameras = per_camera(ranking, query.camids)
        assert cameras["queries"].sum() == len(query)
        weight = cameras["queries_with_match"]
        if weight.sum():
            whole = summarise(ranking, gallery.pids)
            assert weight.sum() == whole.queries - whole.queries_without_match
            for figure in ("rank1", "mAP"):
                average = (cameras[figure] * weight).sum() / weight.sum()
                assert average == pytest.approx(getattr(whole, figure))

    def test_table_is_nested_for_json(self) -> None:
        features = np.eye(4, dtype=np.float32)
        query = FeatureSet(features[:3], np.array([1, 2, 3]), np.array([1, 1, 6]))
        # Person 1 is found, person 2 ranks behind the photo of person 3, and person 3 is seen only
        # by the camera of the query.
        gallery = FeatureSet(features[[0, 3, 1]], np.array([1, 2, 3]), np.array([2, 2, 6]))
        assert camera_metrics(per_camera(rank_queries(query, gallery), query.camids), "camera") == {
            "c1": {"queries": 2, "queries_with_match": 2, "rank1": 0.5, "mAP": (1 + 1 / 3) / 2},
            "c6": {"queries": 1, "queries_with_match": 0},
        }


class TestPerCameraPair:
    @settings(deadline=None, max_examples=30)
    @given(problems(), st.integers(1, 8), st.sampled_from(get_args(Protocol)))
    def test_against_the_definitions(
        self, problem: Problem, block: int, protocol: Protocol
    ) -> None:
        query, gallery = problem
        is_any = protocol == "any_camera"
        expected = [
            {
                "query_camera": asking,
                "gallery_camera": asked,
                **naive_row(
                    query, rows_of(query, asking), gallery, rows_of(gallery, asked), is_any
                ),
            }
            for asking in cameras_of(query)
            for asked in cameras_of(gallery)
            if asking != asked or is_any
        ]
        if expected:
            assert_table(per_camera_pair(query, gallery, block, protocol), expected)
        else:
            with pytest.raises(UserError, match=f"show only camera {query.camids[0]}"):
                per_camera_pair(query, gallery, block)

    def test_only_the_other_camera_is_searched(self) -> None:
        features = np.eye(3, dtype=np.float32)
        query = FeatureSet(features[:1], np.array([1]), np.array([1]))
        # Under camera 3, the distractor ranks ahead of the person. Camera 2 has only a worse photo.
        gallery = FeatureSet(features[[0, 1, 2]], np.array([0, 1, 1]), np.array([3, 3, 2]))
        pairs = per_camera_pair(query, gallery).set_index(["query_camera", "gallery_camera"])
        assert pairs.index.tolist() == [(1, 2), (1, 3)]
        assert pairs["rank1"].tolist() == [1, 0]
        assert pairs["mAP"].tolist() == [1, 0.5]
        counts = {"queries": 1, "queries_with_match": 1}
        assert camera_metrics(pairs.reset_index(), "query_camera", "gallery_camera") == {
            "c1-c2": counts | {"rank1": 1, "mAP": 1},
            "c1-c3": counts | {"rank1": 0, "mAP": 0.5},
        }

    def test_a_camera_of_junk_finds_nobody(self) -> None:
        query = FeatureSet(alike(1), np.array([1]), np.array([1]))
        gallery = FeatureSet(alike(2), np.array([1, -1]), np.array([2, 3]))
        pairs = per_camera_pair(query, gallery)
        assert pairs["queries_with_match"].tolist() == [1, 0]
        assert pairs["rank1"].tolist() == pytest.approx([1, math.nan], nan_ok=True)


def found_wrong(query: FeatureSet, gallery: FeatureSet, k: int = 1) -> WrongFirstAnswers:
    ranking, matches = rank_with_answers(query, gallery, k)
    return wrong_first_answers(ranking, matches, gallery.pids)


class TestWrongFirstAnswers:
    @settings(deadline=None, max_examples=30)
    @given(problems(), st.integers(1, 5))
    def test_against_the_definitions(self, problem: Problem, k: int) -> None:
        query, gallery = problem
        wrong = []
        for feature, pid, camid in zip(
            query.features, query.pids.tolist(), query.camids.tolist(), strict=True
        ):
            order = naive_order(
                query_feature=feature.tolist(),
                query_pid=pid,
                query_camid=camid,
                gf=gallery.features.tolist(),
                g_pids=gallery.pids.tolist(),
                g_camids=gallery.camids.tolist(),
            )
            ranks = naive_ranks(order, pid, gallery.pids.tolist())
            if ranks and ranks[0] > 1:
                wrong.append(int(gallery.pids[order[0]]))
        assert found_wrong(query, gallery, k) == WrongFirstAnswers(
            queries=len(wrong), distractor=wrong.count(0), other_person=len(wrong) - wrong.count(0)
        )

    def test_wrong_first_answers_are_counted_by_whom_they_show(self) -> None:
        features = np.eye(5, dtype=np.float32)
        query = FeatureSet(features, np.arange(1, 6), np.ones(5, int))
        # People 1 and 2 are mistaken for distractors, and person 3 for person 4. Person 4 is found.
        # Person 5 has no right answer.
        gallery = FeatureSet(
            features[[0, 1, 2, 3, 4, 4, 4, 3]],
            np.array([0, 0, 4, 4, 1, 2, 3, 4]),
            np.array([2, 2, 2, 2, 2, 2, 2, 1]),
        )
        found = found_wrong(query, gallery)
        assert found == WrongFirstAnswers(queries=3, distractor=2, other_person=1)
        assert found.distractor_share == 2 / 3
        # The shares are of the four queries with a right answer.
        assert first_answers(rank_queries(query, gallery), found).to_dict("list") == {
            "answer": ["right", "another person", "distractor"],
            "queries": [1, 1, 2],
            "share": [0.25, 0.25, 0.5],
        }

    def test_no_wrong_answer_gives_a_share_of_zero(self) -> None:
        query = FeatureSet(alike(1), np.array([1]), np.array([1]))
        gallery = FeatureSet(alike(1), np.array([1]), np.array([2]))
        found = found_wrong(query, gallery)
        assert found == WrongFirstAnswers(queries=0, distractor=0, other_person=0)
        assert found.distractor_share == 0
