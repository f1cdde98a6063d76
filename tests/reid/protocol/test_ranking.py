"""The protocol: compared with its definitions and with other evaluators; edge cases."""

import json
import math
import tracemalloc
from dataclasses import asdict, fields
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.common.errors import UserError
from reid.data.protocols import ANY_CAMERA, Protocol
from reid.evaluation.feature_file import read_feature_file
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import (
    SORT_FROM_RIGHT_ANSWERS,
    Metrics,
    Ranking,
    cmc_curve,
    portable_dot_products,
    rank_queries,
    rank_with_answers,
    summarise,
)
from tests.support.feature_sets import (
    EXACT_VECTORS,
    OWN_FIXTURE,
    SHARED_FIXTURE,
    Problem,
    alike,
    assert_same,
    permuted,
    problems,
    unit_rows,
)
from tests.support.naive_evaluation import (
    naive_average_precision,
    naive_average_precision_official,
    naive_metrics,
    naive_order,
)


def evaluate(query: FeatureSet, gallery: FeatureSet, block: int = 256) -> Metrics:
    return summarise(rank_queries(query, gallery, block), gallery.pids)


def naive(query: FeatureSet, gallery: FeatureSet, any_camera: bool = False) -> dict[str, Any]:
    return naive_metrics(
        qf=query.features.tolist(),
        q_pids=query.pids.tolist(),
        q_camids=query.camids.tolist(),
        gf=gallery.features.tolist(),
        g_pids=gallery.pids.tolist(),
        g_camids=gallery.camids.tolist(),
        any_camera=any_camera,
    )


PROTOCOLS = st.sampled_from(get_args(Protocol))


class TestAgainstOtherEvaluators:
    @pytest.mark.skipif(not SHARED_FIXTURE.exists(), reason=f"{SHARED_FIXTURE} is absent")
    def test_torchreid_fastreid_and_the_official_code(self) -> None:
        metrics = evaluate(*read_feature_file(SHARED_FIXTURE))
        assert metrics.rank1 == pytest.approx(0.571809, abs=1e-6)
        assert metrics.rank5 == pytest.approx(0.800532, abs=1e-6)
        assert metrics.rank10 == pytest.approx(0.856383, abs=1e-6)
        assert metrics.mAP == pytest.approx(0.453994, abs=1e-6)
        assert metrics.mINP == pytest.approx(0.247393, abs=1e-6)
        # The official code counts the 24 queries without a match as 0.
        assert metrics.mAP_official * 376 / 400 == pytest.approx(0.392646, abs=1e-6)
        assert (metrics.queries, metrics.queries_without_match) == (400, 24)
        assert (metrics.gallery, metrics.junk, metrics.distractors) == (2589, 411, 315)

    def test_own_fixture(self) -> None:
        expected = json.loads(OWN_FIXTURE.with_suffix(".json").read_text())
        query, gallery = read_feature_file(OWN_FIXTURE)
        assert asdict(evaluate(query, gallery)) == pytest.approx(expected, abs=1e-12)
        from_definitions = naive(query, gallery)
        assert {key: from_definitions[key] for key in expected} == pytest.approx(expected)


class TestAgainstTheDefinitions:
    @settings(deadline=None, max_examples=150)
    @given(problems(), st.integers(1, 8), PROTOCOLS)
    def test_every_query(self, problem: Problem, block: int, protocol: Protocol) -> None:
        query, gallery = problem
        expected = naive(query, gallery, protocol == ANY_CAMERA)
        ranking = rank_queries(query, gallery, block, protocol=protocol)
        for index, ranks in enumerate(expected["ranks"]):
            assert ranking.has_match[index] == bool(ranks)
            if ranks:
                assert ranking.first_rank[index] == ranks[0]
                assert ranking.average_precision[index] == pytest.approx(
                    naive_average_precision(ranks)
                )
                assert ranking.average_precision_official[index] == pytest.approx(
                    naive_average_precision_official(ranks)
                )
                assert ranking.inverse_negative_penalty[index] == pytest.approx(
                    len(ranks) / ranks[-1]
                )
            else:
                assert all(
                    np.isnan(getattr(ranking, field.name)[index]) for field in fields(Ranking)
                )

    @settings(deadline=None, max_examples=50)
    @given(problems())
    def test_averages(self, problem: Problem) -> None:
        query, gallery = problem
        expected = naive(query, gallery)
        del expected["ranks"]
        if "mAP" in expected:
            assert asdict(evaluate(query, gallery)) == pytest.approx(expected)
        else:
            with pytest.raises(UserError, match="has a right answer"):
                evaluate(query, gallery)

    @settings(deadline=None, max_examples=50)
    @given(problems(), st.integers(1, 50), st.integers(1, 8), PROTOCOLS)
    def test_best_rows(self, problem: Problem, k: int, block: int, protocol: Protocol) -> None:
        query, gallery = problem
        _, matches = rank_with_answers(query, gallery, k, block, protocol=protocol)
        for index in range(len(query)):
            order = naive_order(
                query_feature=query.features[index].tolist(),
                query_pid=query.pids[index],
                query_camid=query.camids[index],
                gf=gallery.features.tolist(),
                g_pids=gallery.pids.tolist(),
                g_camids=gallery.camids.tolist(),
                any_camera=protocol == ANY_CAMERA,
            )[:k]
            found = len(order)
            assert matches.rows[index].tolist() == order + [-1] * (k - found)
            np.testing.assert_array_equal(
                matches.similarity[index, :found], gallery.features[order] @ query.features[index]
            )
            assert np.isnan(matches.similarity[index, found:]).all()
            np.testing.assert_array_equal(
                matches.right[index, :found], gallery.pids[order] == query.pids[index]
            )
            assert not matches.right[index, found:].any()

    @settings(deadline=None, max_examples=50)
    @given(problem=problems(), k=st.integers(1, 12), block=st.integers(1, 9), protocol=PROTOCOLS)
    def test_matching_does_not_disturb_the_ranking(
        self, problem: Problem, k: int, block: int, protocol: Protocol
    ) -> None:
        query, gallery = problem
        ranking, _ = rank_with_answers(query, gallery, k, block, protocol=protocol)
        assert_same(ranking, rank_queries(query, gallery, block, protocol=protocol))

    @settings(deadline=None, max_examples=50)
    @given(problems())
    def test_best_rows_show_the_first_rank(self, problem: Problem) -> None:
        query, gallery = problem
        ranking, matches = rank_with_answers(query, gallery, k=len(gallery))
        right = matches.right
        np.testing.assert_array_equal(right.any(axis=1), ranking.has_match)
        matched = ranking.has_match
        np.testing.assert_array_equal(
            right[matched].argmax(axis=1) + 1, ranking.first_rank[matched]
        )

    @pytest.mark.parametrize(
        "right", [1, SORT_FROM_RIGHT_ANSWERS, SORT_FROM_RIGHT_ANSWERS + 1, 200]
    )
    def test_any_number_of_right_answers(self, right: int) -> None:
        rng = np.random.default_rng(right)
        vectors = EXACT_VECTORS[rng.integers(0, len(EXACT_VECTORS), right + 300)]
        gallery = FeatureSet(vectors, np.repeat([1, 2], [right, 300]), np.full(right + 300, 2))
        query = FeatureSet(EXACT_VECTORS[:3], np.ones(3, int), np.ones(3, int))
        expected = naive(query, gallery)
        del expected["ranks"]
        assert asdict(evaluate(query, gallery)) == pytest.approx(expected)


class TestTies:
    @pytest.mark.parametrize("width", [2, 64, 257, 1280])
    @pytest.mark.parametrize("rows", [2, 3, 17, 41, 128, 999, 5000])
    @pytest.mark.parametrize("queries", [1, 3, 7, 40])
    def test_equal_features_rank_right_answers_last(
        self, width: int, rows: int, queries: int
    ) -> None:
        pids = np.full(rows, 2)
        pids[:: max(rows // 10, 2)] = 1
        right = np.count_nonzero(pids == 1)
        gallery = FeatureSet(alike(rows, width), pids, np.full(rows, 2))
        features = unit_rows(np.random.default_rng(width), queries, width)
        query = FeatureSet(features, np.ones(queries, int), np.ones(queries, int))
        ranking = rank_queries(query, gallery, block=16)
        np.testing.assert_array_equal(ranking.first_rank, rows - right + 1)
        np.testing.assert_array_equal(ranking.inverse_negative_penalty, right / rows)

    @pytest.mark.parametrize("width", [3, 130, 1280])
    def test_a_copy_under_another_name_ranks_ahead(self, width: int) -> None:
        rng = np.random.default_rng(width)
        own = unit_rows(rng, 100, width)
        gallery = FeatureSet(np.concatenate((own, own)), np.repeat([1, 2], 100), np.full(200, 2))
        query = FeatureSet(unit_rows(rng, 37, width), np.ones(37, int), np.ones(37, int))
        for order in (np.arange(200), np.arange(200)[::-1], rng.permutation(200)):
            # The k-th right answer ranks behind k copies and k - 1 right ones.
            ranking = rank_queries(query, permuted(gallery, order), block=16)
            np.testing.assert_array_equal(ranking.first_rank, 2)
            np.testing.assert_allclose(ranking.average_precision, 0.5)

    @pytest.mark.parametrize("width", [131, 513, 1281])
    @pytest.mark.parametrize("rows", [3, 7, 11, 37])
    def test_zeros_of_either_sign_are_equal(self, width: int, rows: int) -> None:
        rng = np.random.default_rng(rows)
        own = unit_rows(rng, rows, width)
        own[:, ::2] = 0
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        twin = np.where(own == 0, np.float32(-0.0), own)
        gallery = FeatureSet(
            np.concatenate((own, twin)), np.repeat([1, 2], rows), np.full(2 * rows, 2)
        )
        query = FeatureSet(unit_rows(rng, 45, width), np.ones(45, int), np.ones(45, int))
        for block in (1, 3, 7):
            np.testing.assert_array_equal(rank_queries(query, gallery, block).first_rank, 2)

    @pytest.mark.parametrize("width", [16, 130, 1280])
    @pytest.mark.parametrize("rows", [7, 50, 201])
    def test_the_order_of_the_gallery_changes_no_bit(self, width: int, rows: int) -> None:
        rng = np.random.default_rng(rows)
        # Except for rounding, a flat query is equally similar to all permutations of one vector.
        values = unit_rows(rng, 1, width)[0]
        features = np.array([rng.permutation(values) for _ in range(rows)])
        gallery = FeatureSet(features, rng.integers(-1, 4, rows), rng.integers(1, 4, rows))
        flat = np.full((9, width), width**-0.5, np.float32)
        query = FeatureSet(flat, rng.integers(1, 4, 9), rng.integers(1, 4, 9))
        ranking = rank_queries(query, gallery)
        assert_same(ranking, rank_queries(query, permuted(gallery, np.arange(rows)[::-1])))
        for _ in range(5):
            assert_same(ranking, rank_queries(query, permuted(gallery, rng.permutation(rows))))


class TestPortableDotProducts:
    @pytest.mark.parametrize("block", [1, 7, 64])
    def test_each_is_the_exact_sum_rounded_once(self, block: int) -> None:
        rng = np.random.default_rng(2)
        query, gallery = unit_rows(rng, 20, 1280), unit_rows(rng, 30, 1280)
        found = np.concatenate([*portable_dot_products(query, gallery, block)])
        exact = [
            [math.fsum(float(a) * float(b) for a, b in zip(q, g, strict=True)) for g in gallery]
            for q in query
        ]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.array(exact).astype(np.float32))


class TestEdgeCases:
    def test_gallery_of_one_right_row_is_perfect(self) -> None:
        query = FeatureSet(alike(1), np.array([7]), np.array([1]))
        metrics = evaluate(query, FeatureSet(alike(1), np.array([7]), np.array([2])))
        assert (metrics.rank1, metrics.rank20, metrics.mAP) == (1, 1, 1)
        assert (metrics.mAP_official, metrics.mINP) == (1, 1)

    def test_cmc_stays_flat_beyond_a_tiny_gallery(self) -> None:
        query = FeatureSet(np.eye(2, dtype=np.float32), np.array([1, 2]), np.array([1, 1]))
        gallery = FeatureSet(
            np.eye(2, dtype=np.float32)[[0, 0, 1]], np.array([1, 2, 0]), np.array([2, 2, 2])
        )
        # Query 1 ties with a wrong row: rank 2. Query 2's answer stands behind the distractor and
        # ties with the row of person 1: rank 3.
        np.testing.assert_array_equal(
            cmc_curve(rank_queries(query, gallery), max_rank=50), [0, 0.5] + [1] * 48
        )

    def test_a_query_without_match_is_counted_and_left_out(self) -> None:
        features = np.eye(3, dtype=np.float32)
        query = FeatureSet(features, np.array([1, 2, 9]), np.array([1, 1, 1]))
        # Person 2 is seen only by the query's camera, person 9 by no camera.
        gallery = FeatureSet(features, np.array([1, 2, 3]), np.array([2, 1, 1]))
        ranking = rank_queries(query, gallery)
        assert ranking.has_match.tolist() == [True, False, False]
        metrics = summarise(ranking, gallery.pids)
        assert (metrics.queries, metrics.queries_without_match) == (3, 2)
        assert (metrics.rank1, metrics.mAP, metrics.mAP_official, metrics.mINP) == (1, 1, 1, 1)

    @pytest.mark.parametrize("pid", [-1, 0, 4])
    def test_no_match_at_all_is_an_error(self, pid: int) -> None:
        query = FeatureSet(alike(2), np.array([1, 2]), np.array([1, 1]))
        ranking = rank_queries(query, FeatureSet(alike(3), np.full(3, pid), np.full(3, 2)))
        with pytest.raises(UserError, match="none of the 2 queries has a right answer"):
            summarise(ranking, np.full(3, pid))
        with pytest.raises(UserError, match="none of the 2 queries"):
            cmc_curve(ranking)

    def test_no_similarity_matrix_is_held(self) -> None:
        rng = np.random.default_rng(0)
        queries, rows = 500, 4000
        query = FeatureSet(unit_rows(rng, queries, 4), np.ones(queries, int), np.ones(queries, int))
        gallery = FeatureSet(unit_rows(rng, rows, 4), np.arange(1, rows + 1), np.full(rows, 2))
        tracemalloc.start()
        rank_queries(query, gallery, block=32)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < queries * rows * np.dtype(np.float32).itemsize / 4


class TestFeatureSet:
    @pytest.mark.parametrize(
        ("features", "message"),
        [
            (np.ones(3), r"features has shape \(3,\)"),
            (np.ones((0, 4)), r"features has shape \(0, 4\)"),
            (np.ones((3, 0)), r"features has shape \(3, 0\)"),
            (np.ones((3, 1), int), "features holds int64"),
            (np.array([[1.0], [np.nan], [1.0]]), "features: row 1 holds NaN"),
            (np.array([[1.0], [1.0], [-np.inf]]), "features: row 2 holds NaN or infinity"),
            (np.array([[1.0], [1e300], [1.0]]), "features: row 1 holds NaN or infinity"),
            (np.array([[1.0], [1.0], [1.1]]), "features: row 2 is not of length 1"),
            (np.array([[1.0], [0.0], [1.0]]), "features: row 1 is not of length 1"),
        ],
    )
    def test_refuses_features(self, features: Any, message: str) -> None:
        with pytest.raises(UserError, match=message):
            FeatureSet(features, np.ones(3, int), np.ones(3, int))

    @pytest.mark.parametrize(
        ("pids", "message"),
        [
            (np.ones(2, int), r"pids has shape \(2,\): it must be \(3,\)"),
            (np.ones((3, 1), int), r"pids has shape \(3, 1\)"),
            (np.ones(3), "pids holds float64"),
            (np.ones(3, bool), "pids holds bool"),
            (np.ones(3, np.uint64), "pids holds uint64"),
            (np.array([1, 1, -2]), "pids: row 2 is below -1"),
        ],
    )
    def test_refuses_pids(self, pids: np.ndarray, message: str) -> None:
        with pytest.raises(UserError, match=message):
            FeatureSet(np.ones((3, 1), np.float32), pids, np.ones(3, int))

    def test_refuses_camids(self) -> None:
        with pytest.raises(UserError, match="camids holds <U1"):
            FeatureSet(np.ones((3, 1), np.float32), np.ones(3, int), np.array(["a", "b", "c"]))

    def test_takes_features_normalised_in_half_precision(self) -> None:
        features: Any = unit_rows(np.random.default_rng(0), 50, 1280).astype(np.float16)
        assert FeatureSet(features, np.ones(50, int), np.ones(50, int)).features.dtype == np.float32

    def test_copies_nothing_that_is_right_already(self) -> None:
        features = alike(3)
        assert FeatureSet(features, np.ones(3, int), np.ones(3, int)).features is features

    @pytest.mark.parametrize("pid", [-1, 0])
    def test_a_query_must_show_a_person(self, pid: int) -> None:
        query = FeatureSet(alike(2), np.array([1, pid]), np.array([1, 1]))
        gallery = FeatureSet(alike(2), np.array([1, 2]), np.array([2, 2]))
        with pytest.raises(UserError, match="query pids: row 1 is no person"):
            rank_queries(query, gallery)
        with pytest.raises(UserError, match="query pids: row 1 is no person"):
            rank_with_answers(query, gallery, k=1)

    def test_both_sets_come_from_one_model(self) -> None:
        query = FeatureSet(alike(2, width=4), np.ones(2, int), np.ones(2, int))
        gallery = FeatureSet(alike(2, width=8), np.ones(2, int), np.ones(2, int))
        with pytest.raises(UserError, match="query features have 4 columns and gallery features 8"):
            rank_queries(query, gallery)
