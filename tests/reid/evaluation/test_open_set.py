"""Open set: FPIR and FNIR compared with their definitions, and how thresholds are set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.evaluation.figures import OPEN_SET, OPEN_SET_FPIR, at_fpir
from reid.evaluation.open_set import (
    CURVE_POINTS,
    PARTS,
    Searches,
    SearchRecorder,
    crossed_thresholds,
    error_curve,
    false_negatives,
    false_positives,
    open_set_metrics,
    threshold_for,
)
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_with_answers
from tests.support.feature_sets import EXACT_VECTORS, Problem, permuted, problems, unit_rows
from tests.support.naive_evaluation import naive_order

THRESHOLDS = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0])
FOUND = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60)


def recorded(query: FeatureSet, gallery: FeatureSet) -> Searches:
    recorder = SearchRecorder(len(query))
    rank_with_answers(query, gallery, k=1, watch=recorder.add)
    return recorder.searches()


def naive_errors(
    query: FeatureSet, gallery: FeatureSet, threshold: float
) -> tuple[list[float], list[float]]:
    """Return each query's false positive and false negative: by searching twice, once without."""
    positives, negatives = [], []
    gf, g_pids, g_camids = gallery.features.tolist(), gallery.pids.tolist(), gallery.camids.tolist()
    for feature, pid, camid in zip(query.features.tolist(), query.pids, query.camids, strict=True):

        def similarity(row: int, asked: list[float] = feature) -> float:
            return sum(a * b for a, b in zip(asked, gf[row], strict=True))

        order = naive_order(
            query_feature=feature,
            query_pid=int(pid),
            query_camid=int(camid),
            gf=gf,
            g_pids=g_pids,
            g_camids=g_camids,
        )
        is_known = any(g_pids[row] == pid for row in order)
        is_found = is_known and g_pids[order[0]] == pid and similarity(order[0]) >= threshold
        negatives.append(float(not is_found) if is_known else np.nan)
        without = [row for row in range(len(gf)) if g_pids[row] not in (pid, -1)]
        positives.append(float(any(similarity(row) >= threshold for row in without)))
    return positives, negatives


class TestErrors:
    @settings(deadline=None, max_examples=80)
    @given(problems(), THRESHOLDS)
    def test_are_as_defined(self, problem: Problem, threshold: float) -> None:
        query, gallery = problem
        searches = recorded(query, gallery)
        positives, negatives = naive_errors(query, gallery, threshold)
        np.testing.assert_array_equal(false_positives(searches, threshold), positives)
        np.testing.assert_array_equal(false_negatives(searches, threshold), negatives)

    def test_missing_is_what_rank_1_leaves_if_there_is_no_threshold(self) -> None:
        query, gallery = people(np.random.default_rng(1))
        ranking, _ = rank_with_answers(query, gallery, k=1)
        missed = false_negatives(recorded(query, gallery), -1)
        np.testing.assert_array_equal(missed, 1 - ranking.found_first)

    def test_a_stranger_is_not_found_by_photos_of_the_own_camera(self) -> None:
        own = EXACT_VECTORS[:1]
        query = FeatureSet(own, np.array([1]), np.array([1]))
        gallery = FeatureSet(EXACT_VECTORS[[0, 1, 2]], np.array([1, 1, 2]), np.array([1, 2, 1]))
        searches = recorded(query, gallery)
        assert searches.others[0] == own[0] @ EXACT_VECTORS[2]
        assert searches.own[0] == own[0] @ EXACT_VECTORS[1]


class TestCurve:
    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 1000))
    def test_goes_from_few_false_alarms_to_all_and_from_many_misses_to_few(self, seed: int) -> None:
        searches = recorded(*people(np.random.default_rng(seed)))
        curve = error_curve(searches)
        assert len(curve.FPIR) <= CURVE_POINTS
        assert (np.diff(curve.FPIR) > 0).all()
        assert (np.diff(curve.FNIR) <= 0).all()
        assert (np.diff(curve.threshold) < 0).all()
        assert curve.FPIR[-1] == 1
        for threshold, fpir, fnir in zip(*curve, strict=True):
            assert fpir == false_positives(searches, threshold).mean()
            assert fnir == np.nanmean(false_negatives(searches, threshold))

    def test_no_other_threshold_misses_fewer_at_the_same_false_alarms(self) -> None:
        searches = recorded(*people(np.random.default_rng(3)))
        curve = error_curve(searches)
        for threshold in np.linspace(-1, 1, 2001):
            fpir = false_positives(searches, threshold).mean()
            fnir = np.nanmean(false_negatives(searches, threshold))
            as_few = fpir >= curve.FPIR
            assert not as_few.any() or fnir >= curve.FNIR[as_few].min()


class TestThreshold:
    @given(FOUND, st.floats(0.001, 1))
    def test_is_the_lowest_that_lets_through_few_enough(
        self, found: list[float], fpir: float
    ) -> None:
        scores = np.array(found, np.float32)
        threshold = threshold_for(scores, fpir)
        n = len(found)
        if threshold is None:
            assert 1 / (1 + n) > fpir
            return

        def share(least: np.floating | float) -> float:
            return (1 + sum(score >= least for score in found)) / (1 + n)

        assert share(threshold) <= fpir
        if threshold > -1:
            assert share(np.nextafter(np.float32(threshold), np.float32(-2))) > fpir

    @pytest.mark.parametrize(("strangers", "fpir"), [(99, 0.01), (9, 0.1), (199, 0.25)])
    def test_needs_no_more_strangers_than_the_share_says(self, strangers: int, fpir: float) -> None:
        found = np.linspace(0, 0.9, strangers, dtype=np.float32)
        threshold = threshold_for(found, fpir)
        assert threshold is not None
        assert np.count_nonzero(found >= threshold) == round(fpir * (strangers + 1)) - 1
        assert threshold_for(found[: int(1 / fpir) - 2], fpir) is None

    def test_keeps_its_promise_for_new_strangers(self) -> None:
        rng = np.random.default_rng(5)
        shares = []
        for _ in range(300):
            drawn = rng.beta(5, 2, 400).astype(np.float32)
            threshold = threshold_for(drawn[:150], 0.1)
            assert threshold is not None
            shares.append((drawn[150:] >= threshold).mean())
        # 14 of the 150 are above the threshold, and the next below it.
        assert np.mean(shares) == pytest.approx(15 / 151, abs=0.005)


def people(rng: np.random.Generator, count: int = 40) -> Problem:
    """Draw two photos of each of some people by two cameras, and distractors."""
    looks = rng.standard_normal((count, 24))
    photos = looks[:, None] + 0.7 * rng.standard_normal((count, 2, 24))
    photos = (photos / np.linalg.norm(photos, axis=2, keepdims=True)).astype(np.float32)
    pids = np.arange(1, count + 1)
    query = FeatureSet(photos[:, 0], pids, np.ones(count, int))
    rows = np.concatenate((photos[:, 1], unit_rows(rng, 30, 24)))
    ids = np.concatenate((pids, np.zeros(30, int)))
    return query, FeatureSet(rows, ids, np.full(len(ids), 2))


class TestCrossedThresholds:
    def test_do_not_depend_on_the_own_person(self) -> None:
        rng = np.random.default_rng(4)
        pids = rng.integers(1, 30, 300)
        found = rng.random(300, np.float32)
        crossed = crossed_thresholds(found, pids, 0.1)
        assert crossed is not None
        for pid in np.unique(pids):
            changed = np.where(pids == pid, np.float32(1), found)
            again = crossed_thresholds(changed, pids, 0.1)
            assert again is not None
            np.testing.assert_array_equal(again[pids == pid], crossed[pids == pid])
        assert 1 < len(np.unique(crossed)) <= PARTS

    def test_keep_their_promise_for_people_whose_photos_are_alike(self) -> None:
        rng = np.random.default_rng(5)
        pids = np.repeat(np.arange(80), 5)
        shares = []
        for seed in range(200):
            of_people = rng.beta(5, 2, 80)[pids]
            found = (of_people + 0.02 * rng.random(400)).astype(np.float32)
            crossed = crossed_thresholds(found, pids, 0.1, seed)
            assert crossed is not None
            shares.append((found >= crossed).mean())
        assert np.mean(shares) == pytest.approx(0.1, abs=0.01)

    def test_are_none_if_the_other_people_are_too_few(self) -> None:
        pids = np.arange(12)
        found = np.linspace(0, 1, 12, dtype=np.float32)
        assert crossed_thresholds(found, pids, 0.1) is not None
        # A part of 3 people leaves 8: none of 9 is a tenth.
        assert crossed_thresholds(found[:11], pids[:11], 0.1) is None


class TestMetrics:
    def test_are_measured_on_queries_of_other_people(self) -> None:
        query, gallery = people(np.random.default_rng(2), 150)
        searches = recorded(query, gallery)
        metrics = open_set_metrics(searches, query.pids, resamples=1000, seed=3)
        for fpir in OPEN_SET_FPIR:
            threshold = metrics[at_fpir("threshold", fpir)]
            assert np.count_nonzero(searches.others >= threshold) == int(fpir * 151) - 1
            crossed = crossed_thresholds(searches.others, query.pids, fpir, 3)
            assert crossed is not None
            errors = {value: naive_errors(query, gallery, value) for value in set(crossed)}
            positives, negatives = (
                [errors[value][kind][row] for row, value in enumerate(crossed)] for kind in (0, 1)
            )
            assert metrics[at_fpir("FPIR", fpir)] == np.mean(positives)
            fnir = at_fpir("FNIR", fpir)
            assert metrics[fnir] == np.nanmean(negatives)
            assert metrics[f"{fnir}_low"] <= metrics[fnir] <= metrics[f"{fnir}_high"]
        assert set(OPEN_SET) <= set(metrics)

    def test_rate_that_few_queries_cannot_tell_is_left_out(self) -> None:
        query, gallery = people(np.random.default_rng(2))
        metrics = open_set_metrics(recorded(query, gallery), query.pids, resamples=1000)
        assert "FNIR_at_10pct" in metrics
        assert not [name for name in metrics if "_1pct" in name]

    def test_the_order_of_the_gallery_changes_nothing(self) -> None:
        query, gallery = people(np.random.default_rng(2))
        order = np.random.default_rng(1).permutation(len(gallery))
        one, other = (
            open_set_metrics(recorded(query, rows), query.pids, resamples=1000)
            for rows in (gallery, permuted(gallery, order))
        )
        assert one == other

    def test_a_query_that_finds_nobody_else_is_no_false_alarm(self) -> None:
        searches = Searches(np.full(100, 0.5, np.float32), np.full(100, -np.inf, np.float32))
        metrics = open_set_metrics(searches, np.arange(100), resamples=1000)
        assert metrics["threshold_at_10pct"] == -1
        assert metrics["FPIR_at_10pct"] == metrics["FNIR_at_10pct"] == 0
