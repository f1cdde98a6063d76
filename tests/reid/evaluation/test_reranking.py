"""Each way to re-rank, compared with its definition and the authors' figures; edge cases."""

import json
import tracemalloc
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from reid.__main__ import app
from reid.common.errors import UserError
from reid.common.settings import checked
from reid.evaluation.feature_file import read_feature_file
from reid.evaluation.k_reciprocal import KReciprocal
from reid.evaluation.reranking import Reranking
from reid.evaluation.reranking_method import (
    WORDS,
    RerankingMethod,
    reranking_number,
    words_for_reranking,
)
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_queries, rank_with_answers, summarise
from tests.support.feature_sets import (
    OWN_FIXTURE,
    SHARED_FIXTURE,
    Problem,
    alike,
    assert_same,
    permuted,
    problems,
    unit_rows,
)
from tests.support.naive_reranking import (
    naive_expanded_similarities,
    naive_final_distances,
    naive_final_distances_alone,
)

DEFAULT = Reranking()
ALONE: tuple[RerankingMethod, ...] = ("k_reciprocal_alone", "query_expansion")
"""The ways that look at one query at a time."""


def rerankings(method: RerankingMethod = "k_reciprocal") -> st.SearchStrategy[Reranking]:
    return st.builds(
        Reranking,
        method=st.just(method),
        expansion=st.integers(1, 8),
        k1=st.integers(1, 12),
        k2=st.integers(1, 15),
        original_weight=st.sampled_from([0.0, 0.3, 1.0]),
    )


def final_distances(
    queries: np.ndarray, gallery: np.ndarray, reranking: Reranking, block: int = 256
) -> np.ndarray:
    return -np.concatenate(list(reranking.similarities(queries, gallery, block)))


def naive(queries: np.ndarray, gallery: np.ndarray, reranking: Reranking) -> np.ndarray:
    own = reranking.model_dump(include=set(KReciprocal.model_fields))
    return np.array(naive_final_distances(queries.tolist(), gallery.tolist(), **own))


def naive_alone(queries: np.ndarray, gallery: np.ndarray, reranking: Reranking) -> np.ndarray:
    own = reranking.model_dump(include=set(KReciprocal.model_fields))
    rows = gallery.tolist()
    return np.array([naive_final_distances_alone(query, rows, **own) for query in queries.tolist()])


def clustered(rng: np.random.Generator, rows: int, clusters: int, width: int = 16) -> np.ndarray:
    """Draw unit vectors around a few directions, so that neighbourhoods overlap."""
    features = unit_rows(rng, clusters, width)[rng.integers(0, clusters, rows)]
    features = features + 0.6 * unit_rows(rng, rows, width)
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def people_who_change(rng: np.random.Generator) -> Problem:
    """Draw people who look more and more unlike their query from photo to photo.

    Each person's photos lie along an arc of 80 degrees, with the query at one end. The other end
    is no more similar to the query than strangers are, but each photo is similar to the next.
    """
    people, photos, width = 30, 12, 24
    angles = np.linspace(0, np.radians(80), photos)
    arcs = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    ends = np.stack([np.linalg.qr(rng.standard_normal((width, 2)))[0].T for _ in range(people)])
    features = np.einsum("ta,paw->ptw", arcs, ends) + 0.02 * rng.standard_normal(
        (people, photos, width)
    )
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    pids = np.arange(1, people + 1)
    query = FeatureSet(features[:, 0], pids, np.ones(people, int))
    rest = features[:, 1:].reshape(-1, width)
    return query, FeatureSet(rest, np.repeat(pids, photos - 1), np.full(len(rest), 2))


class TestAgainstTheDefinition:
    @pytest.mark.parametrize("k1", [1, 2, 5, 7, 20])
    @pytest.mark.parametrize("k2", [1, 3, 6])
    @pytest.mark.parametrize("original_weight", [0.0, 0.3])
    def test_clusters(self, k1: int, k2: int, original_weight: float) -> None:
        rng = np.random.default_rng(k1)
        features = clustered(rng, 90, clusters=9)
        reranking = Reranking(k1=k1, k2=k2, original_weight=original_weight)
        queries, gallery = features[:12], features[12:]
        np.testing.assert_allclose(
            final_distances(queries, gallery, reranking),
            naive(queries, gallery, reranking),
            atol=2e-6,
        )

    @settings(deadline=None, max_examples=60)
    @given(problems(), rerankings(), st.integers(1, 8))
    def test_equal_features_and_equal_distances(
        self, problem: Problem, reranking: Reranking, block: int
    ) -> None:
        queries, gallery = problem[0].features, problem[1].features
        np.testing.assert_allclose(
            final_distances(queries, gallery, reranking, block),
            naive(queries, gallery, reranking),
            atol=2e-6,
        )

    @pytest.mark.skipif(not SHARED_FIXTURE.exists(), reason=f"{SHARED_FIXTURE} is absent")
    def test_figures_are_those_of_the_authors_code(self) -> None:
        query, gallery = read_feature_file(SHARED_FIXTURE)
        metrics = summarise(
            rank_queries(query, gallery, similarities=DEFAULT.similarities), gallery.pids
        )
        assert metrics.rank1 == pytest.approx(0.614362, abs=1e-6)
        assert metrics.rank5 == pytest.approx(0.819149, abs=1e-6)
        assert metrics.rank10 == pytest.approx(0.853723, abs=1e-6)
        # Two distances that differ only by rounding may change places.
        assert metrics.mAP == pytest.approx(0.573961, abs=1e-5)
        assert metrics.mINP == pytest.approx(0.410152, abs=1e-5)


class TestOneQueryAtATime:
    @pytest.mark.parametrize("k1", [1, 2, 5, 7, 20])
    @pytest.mark.parametrize("k2", [1, 3, 6])
    @pytest.mark.parametrize("original_weight", [0.0, 0.3])
    def test_is_as_defined_among_clusters(self, k1: int, k2: int, original_weight: float) -> None:
        features = clustered(np.random.default_rng(k1), 70, clusters=7)
        queries, gallery = features[:6], features[6:]
        reranking = Reranking(
            method="k_reciprocal_alone", k1=k1, k2=k2, original_weight=original_weight
        )
        np.testing.assert_allclose(
            final_distances(queries, gallery, reranking),
            naive_alone(queries, gallery, reranking),
            atol=2e-6,
        )

    @settings(deadline=None, max_examples=60)
    @given(problems(), rerankings("k_reciprocal_alone"), st.integers(1, 8))
    def test_is_as_defined_with_equal_features_and_distances(
        self, problem: Problem, reranking: Reranking, block: int
    ) -> None:
        # The protocol hands over galleries in the order of their values.
        queries, gallery = problem[0].features, np.unique(problem[1].features, axis=0)
        np.testing.assert_allclose(
            final_distances(queries, gallery, reranking, block),
            naive_alone(queries, gallery, reranking),
            atol=2e-6,
        )

    def test_is_nearly_the_authors_reranking_of_a_single_query(self) -> None:
        features = clustered(np.random.default_rng(2), 400, clusters=30)
        queries, gallery = features[:20], features[20:]
        authors = np.concatenate([final_distances(one[None], gallery, DEFAULT) for one in queries])
        alone = final_distances(queries, gallery, Reranking(method="k_reciprocal_alone"))
        assert np.median(np.abs(alone - authors)) < 0.01
        assert np.corrcoef(alone.ravel(), authors.ravel())[0, 1] > 0.99

    def test_finds_neighbours_of_neighbours(self) -> None:
        query, gallery = people_who_change(np.random.default_rng(8))
        reranking = Reranking(method="k_reciprocal_alone", k1=6, k2=3)
        plain = summarise(rank_queries(query, gallery), gallery.pids)
        reranked = summarise(
            rank_queries(query, gallery, similarities=reranking.similarities), gallery.pids
        )
        assert reranked.mAP > plain.mAP + 0.05

    @pytest.mark.parametrize("method", ALONE)
    def test_no_query_changes_the_answers_to_another(self, method: RerankingMethod) -> None:
        features = clustered(np.random.default_rng(7), 250, clusters=12)
        queries, gallery = features[:50], features[50:]
        reranking = Reranking(method=method)
        together = final_distances(queries, gallery, reranking)
        for number, query in enumerate(queries):
            np.testing.assert_allclose(
                final_distances(query[None], gallery, reranking)[0], together[number], atol=1e-6
            )

    def test_queries_together_do_change_each_others_answers(self) -> None:
        features = clustered(np.random.default_rng(7), 250, clusters=12)
        queries, gallery = features[:50], features[50:]
        together = final_distances(queries, gallery, DEFAULT)
        first = final_distances(queries[:1], gallery, DEFAULT)
        assert np.abs(together[0] - first[0]).max() > 0.05

    @pytest.mark.parametrize("method", ALONE)
    @pytest.mark.parametrize("rows", [1, 2, 5, 30])
    def test_gallery_may_be_smaller_than_a_neighbourhood(
        self, rows: int, method: RerankingMethod
    ) -> None:
        features = clustered(np.random.default_rng(rows), rows + 3, clusters=3)
        queries, gallery = features[:3], features[3:]
        reranking = Reranking(method=method, k2=25, expansion=9)
        found = final_distances(queries, gallery, reranking)
        assert found.shape == (3, rows)
        assert np.isfinite(found).all()

    @pytest.mark.parametrize("method", ALONE)
    def test_the_order_of_the_gallery_changes_no_bit(self, method: RerankingMethod) -> None:
        rng = np.random.default_rng(4)
        features = np.repeat(clustered(rng, 110, clusters=6), 2, axis=0)
        query = FeatureSet(features[:20], rng.integers(1, 7, 20), np.ones(20, int))
        gallery = FeatureSet(features[20:], rng.integers(-1, 7, 200), np.full(200, 2))
        similarities = Reranking(method=method).similarities
        assert_same(
            rank_queries(query, gallery, similarities=similarities),
            rank_queries(query, permuted(gallery, rng.permutation(200)), similarities=similarities),
        )


class TestQueryExpansion:
    @settings(deadline=None, max_examples=60)
    @given(problems(), rerankings("query_expansion"), st.integers(1, 8))
    def test_is_as_defined(self, problem: Problem, reranking: Reranking, block: int) -> None:
        queries, gallery = problem[0].features, problem[1].features
        rows = gallery.tolist()
        expected = [
            naive_expanded_similarities(query, rows, reranking.expansion)
            for query in queries.tolist()
        ]
        np.testing.assert_allclose(
            -final_distances(queries, gallery, reranking, block), expected, atol=1e-6
        )

    def test_finds_photos_that_are_similar_to_the_first_answers(self) -> None:
        query, gallery = people_who_change(np.random.default_rng(8))
        reranking = Reranking(method="query_expansion")
        plain = summarise(rank_queries(query, gallery), gallery.pids)
        reranked = summarise(
            rank_queries(query, gallery, similarities=reranking.similarities), gallery.pids
        )
        assert reranked.mAP > plain.mAP + 0.01


class TestWords:
    def test_each_way_has_words_of_its_own(self) -> None:
        said = [words_for_reranking(reranking_number(method)) for method in WORDS]
        assert len(set(said)) == len(WORDS)
        assert all("re-ranked" in words for words in said)

    def test_nothing_is_said_of_figures_that_are_not_re_ranked(self) -> None:
        assert words_for_reranking(0) == ""


class TestProperties:
    @settings(deadline=None, max_examples=40)
    @given(problems(), rerankings())
    def test_the_original_distance_alone_ranks_as_without(
        self, problem: Problem, reranking: Reranking
    ) -> None:
        query, gallery = problem
        alone = reranking.model_copy(update={"original_weight": 1.0})
        assert_same(
            rank_queries(query, gallery),
            rank_queries(query, gallery, similarities=alone.similarities),
        )
        np.testing.assert_array_equal(
            rank_with_answers(query, gallery, k=5)[1].rows,
            rank_with_answers(query, gallery, k=5, similarities=alone.similarities)[1].rows,
        )

    @settings(deadline=None, max_examples=40)
    @given(problems(), rerankings(), st.integers(0, 2**32 - 1))
    def test_the_order_of_the_gallery_changes_no_bit(
        self, problem: Problem, reranking: Reranking, seed: int
    ) -> None:
        query, gallery = problem
        shuffled = permuted(gallery, np.random.default_rng(seed).permutation(len(gallery)))
        assert_same(
            rank_queries(query, gallery, similarities=reranking.similarities),
            rank_queries(query, shuffled, similarities=reranking.similarities),
        )

    def test_permuting_the_gallery_permutes_the_answers(self) -> None:
        rng = np.random.default_rng(5)
        features = clustered(rng, 300, clusters=20)
        query = FeatureSet(features[:20], np.full(20, 99), np.ones(20, int))
        gallery = FeatureSet(features[20:], rng.integers(1, 9, 280), rng.integers(1, 4, 280))
        order = rng.permutation(280)
        _, matches = rank_with_answers(query, gallery, k=280, similarities=DEFAULT.similarities)
        _, shuffled = rank_with_answers(
            query, permuted(gallery, order), k=280, similarities=DEFAULT.similarities
        )
        np.testing.assert_array_equal(matches.similarity, shuffled.similarity)
        np.testing.assert_array_equal(matches.rows, order[shuffled.rows])

    def test_junk_takes_no_part(self) -> None:
        rng = np.random.default_rng(6)
        features = clustered(rng, 120, clusters=6)
        query = FeatureSet(features[:10], rng.integers(1, 7, 10), np.ones(10, int))
        pids = rng.integers(-1, 7, 110)
        gallery = FeatureSet(features[10:], pids, np.full(110, 2))
        assert_same(
            rank_queries(query, gallery, similarities=DEFAULT.similarities),
            rank_queries(
                query,
                permuted(gallery, np.flatnonzero(pids >= 0)),
                similarities=DEFAULT.similarities,
            ),
        )

    @pytest.mark.parametrize("block", [1, 7, 50])
    def test_number_of_queries_at_once_changes_nothing(self, block: int) -> None:
        features = clustered(np.random.default_rng(7), 250, clusters=12)
        queries, gallery = features[:50], features[50:]
        np.testing.assert_allclose(
            final_distances(queries, gallery, DEFAULT, block),
            final_distances(queries, gallery, DEFAULT),
            atol=1e-6,
        )

    def test_neighbours_of_neighbours_are_found(self) -> None:
        query, gallery = people_who_change(np.random.default_rng(8))
        reranking = Reranking(k1=6, k2=3)
        plain = summarise(rank_queries(query, gallery), gallery.pids)
        reranked = summarise(
            rank_queries(query, gallery, similarities=reranking.similarities), gallery.pids
        )
        assert reranked.mAP > plain.mAP + 0.05

    @pytest.mark.parametrize("copies", [1, 3, 40])
    def test_a_copy_under_another_name_ranks_ahead(self, copies: int) -> None:
        rng = np.random.default_rng(copies)
        own = unit_rows(rng, 50, 130)
        pids = np.repeat([1] + [2] * copies, 50)
        gallery = FeatureSet(np.tile(own, (copies + 1, 1)), pids, np.full(len(pids), 2))
        query = FeatureSet(unit_rows(rng, 9, 130), np.ones(9, int), np.ones(9, int))
        for order in (np.arange(len(pids)), rng.permutation(len(pids))):
            ranking = rank_queries(
                query, permuted(gallery, order), similarities=DEFAULT.similarities
            )
            np.testing.assert_array_equal(ranking.first_rank, copies + 1)
            np.testing.assert_allclose(ranking.inverse_negative_penalty, 1 / (copies + 1))


class TestEdgeCases:
    @pytest.mark.parametrize("rows", [1, 2, 5, 30])
    @pytest.mark.parametrize("queries", [1, 3])
    def test_galleries_smaller_than_a_neighbourhood(self, rows: int, queries: int) -> None:
        rng = np.random.default_rng(rows)
        features = clustered(rng, rows + queries, clusters=3)
        reranking = Reranking(k1=20, k2=25)
        np.testing.assert_allclose(
            final_distances(features[:queries], features[queries:], reranking),
            naive(features[:queries], features[queries:], reranking),
            atol=2e-6,
        )

    @pytest.mark.parametrize("rows", [2, 30, 5000])
    def test_the_same_feature_everywhere(self, rows: int) -> None:
        pids = np.full(rows, 2)
        pids[0] = 1
        gallery = FeatureSet(alike(rows), pids, np.full(rows, 2))
        query = FeatureSet(alike(3), np.ones(3, int), np.ones(3, int))
        ranking = rank_queries(query, gallery, similarities=DEFAULT.similarities)
        np.testing.assert_array_equal(ranking.first_rank, rows)

    def test_different_features_at_no_distance(self) -> None:
        # Their product is exactly 1 in float32, so no row is farther than another.
        features = np.array([[1, 0], [1, 1e-5], [1, -1e-5]], np.float32)
        found = final_distances(features[:1], features[1:], DEFAULT)
        np.testing.assert_allclose(found, 0, atol=1e-6)

    def test_gallery_of_junk_has_no_right_answer(self) -> None:
        query = FeatureSet(alike(2), np.ones(2, int), np.ones(2, int))
        gallery = FeatureSet(alike(3), np.full(3, -1), np.full(3, 2))
        assert not rank_queries(query, gallery, similarities=DEFAULT.similarities).has_match.any()

    def test_features_normalised_in_half_precision(self) -> None:
        features = clustered(np.random.default_rng(9), 100, clusters=4, width=256)
        features = features.astype(np.float16).astype(np.float32)
        found = final_distances(features[:9], features[9:], DEFAULT)
        difference = np.abs(found - naive(features[:9], features[9:], DEFAULT))
        # Lengths that differ a little from 1 exchange neighbours at nearly the same distance.
        assert difference.max() < 0.02
        assert np.median(difference) < 1e-3

    @pytest.mark.parametrize(
        ("name", "value"), [("k1", 0), ("k2", 0), ("original_weight", 1.5), ("k1", 2.5)]
    )
    def test_parameters_out_of_range_are_refused(self, name: str, value: float) -> None:
        with pytest.raises(UserError, match=name):
            checked(Reranking, {name: value}, "params.yaml")

    def test_no_matrix_of_all_pairs_is_held(self) -> None:
        rng = np.random.default_rng(0)
        queries, rows = 500, 5500
        query = FeatureSet(unit_rows(rng, queries, 8), np.ones(queries, int), np.ones(queries, int))
        gallery = FeatureSet(unit_rows(rng, rows, 8), np.arange(1, rows + 1), np.full(rows, 2))
        tracemalloc.start()
        rank_queries(query, gallery, block=32, similarities=DEFAULT.similarities)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < (queries + rows) ** 2 * np.dtype(np.float32).itemsize / 2


class TestCommand:
    def score(self, *options: str) -> dict[str, object]:
        result = CliRunner().invoke(app, ["score", str(OWN_FIXTURE), *options])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def test_score_can_rerank(self) -> None:
        query, gallery = read_feature_file(OWN_FIXTURE)
        reranked = summarise(
            rank_queries(query, gallery, similarities=DEFAULT.similarities), gallery.pids
        )
        expected = asdict(reranked) | {"reranking": DEFAULT.model_dump()}
        assert self.score("--rerank", "k_reciprocal") == expected

    def test_score_does_not_rerank_by_default(self) -> None:
        query, gallery = read_feature_file(OWN_FIXTURE)
        assert self.score() == asdict(summarise(rank_queries(query, gallery), gallery.pids))
