"""Embeddings in memory: exact search, the compressed one above a size, removal, filters."""

import numpy as np
import pytest

from search import vectors as module
from search.vectors import Vectors
from tests.support.indexes import unit_vectors

DIMENSION = 16
EXACT_UP_TO, LISTS, PROBED = 1_000, 16, 6


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compression that begins early."""
    monkeypatch.setattr(module, "EXACT_UP_TO", EXACT_UP_TO)
    monkeypatch.setattr(module, "LISTS", LISTS)
    monkeypatch.setattr(module, "PROBED", PROBED)


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Return random embeddings in groups, as those of people are."""
    centres = unit_vectors(50, 99, DIMENSION)
    chosen = np.random.default_rng(seed).integers(0, 50, count)
    near = centres[chosen] + 0.4 * unit_vectors(count, seed, DIMENSION)
    return np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), np.float32)


def filled(embeddings: np.ndarray, at_once: int = 400) -> Vectors:
    """Add rows in parts; their ids are ten times their places."""
    own = Vectors(DIMENSION, lambda ids: embeddings[np.asarray(ids) // 10])
    for start in range(0, len(embeddings), at_once):
        part = embeddings[start : start + at_once]
        own.add(10 * np.arange(start, start + len(part)), part)
    return own


def naive(embeddings: np.ndarray, queries: np.ndarray, count: int, among: np.ndarray) -> np.ndarray:
    """Return the ids of the most similar rows among some places, int64 (m, count)."""
    order = np.argsort(-(queries @ embeddings[among].T), axis=1)[:, :count]
    return 10 * among[order]


@pytest.fixture(params=[EXACT_UP_TO, EXACT_UP_TO + 1, 3 * EXACT_UP_TO])
def embeddings(request: pytest.FixtureRequest) -> np.ndarray:
    """As many embeddings as are searched exactly, one more, and many more."""
    return rows(request.param)


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of the expected ids that were found."""
    shares = [len(set(f) & set(e)) / len(e) for f, e in zip(found, expected, strict=True)]
    return float(np.mean(shares))


def test_embeddings_are_compressed_above_a_size(embeddings: np.ndarray) -> None:
    own = filled(embeddings)
    assert own.is_exact == (len(embeddings) <= EXACT_UP_TO)
    assert len(own) == len(embeddings)
    assert sorted(own.ids().tolist()) == list(range(0, 10 * len(embeddings), 10))


def test_search_finds_what_a_naive_search_finds(embeddings: np.ndarray) -> None:
    own, queries = filled(embeddings), rows(50, seed=1)
    similarities, found = own.search(queries, 10)
    expected = naive(embeddings, queries, 10, np.arange(len(embeddings)))
    if own.is_exact:
        np.testing.assert_array_equal(found, expected)
    assert recall(found, expected) > 0.95
    exact = np.einsum("md,mkd->mk", queries, embeddings[found // 10])
    np.testing.assert_allclose(similarities, exact, atol=1e-6)
    assert (np.diff(similarities) <= 0).all()


@pytest.mark.parametrize("count", [1, 5, 300])
def test_few_ids_that_may_be_found_are_all_found(embeddings: np.ndarray, count: int) -> None:
    own, queries = filled(embeddings), rows(20, seed=2)
    among = np.random.default_rng(3).choice(len(embeddings), 5, replace=False)
    _, found = own.search(queries, count, 10 * among)
    expected = naive(embeddings, queries, min(count, 5), among)
    np.testing.assert_array_equal(found[:, : expected.shape[1]], expected)
    assert (found[:, expected.shape[1] :] == -1).all()


def test_nothing_is_found_among_no_ids(embeddings: np.ndarray) -> None:
    _, found = filled(embeddings).search(rows(2, seed=2), 3, [])
    assert (found == -1).all()


def test_all_embeddings_are_found_if_as_many_are_wanted(embeddings: np.ndarray) -> None:
    _, found = filled(embeddings).search(rows(3, seed=4), len(embeddings))
    assert [sorted(row) for row in found.tolist()] == 3 * [list(range(0, 10 * len(embeddings), 10))]


def test_removed_embeddings_are_not_found(embeddings: np.ndarray) -> None:
    own = filled(embeddings)
    gone = np.arange(0, len(embeddings), 3)
    own.remove(10 * gone)
    own.remove([10**9])
    own.remove([])
    kept = np.setdiff1d(np.arange(len(embeddings)), gone)
    assert sorted(own.ids().tolist()) == (10 * kept).tolist()
    _, found = own.search(embeddings[gone], 1)
    assert not set(found.ravel().tolist()) & set((10 * gone).tolist())
    own.add(10 * gone, embeddings[gone])
    _, found = own.search(embeddings[gone], 1)
    assert recall(found, 10 * gone[:, None]) > 0.99


def test_empty_set_finds_nothing() -> None:
    own = filled(np.empty((0, DIMENSION), np.float32))
    assert own.ids().tolist() == []
    _, found = own.search(rows(2), 3)
    assert (found == -1).all()


def test_set_whose_embeddings_were_all_removed_finds_nothing(embeddings: np.ndarray) -> None:
    own = filled(embeddings)
    own.remove(own.ids())
    assert own.ids().tolist() == []
    _, found = own.search(rows(2), 3)
    assert (found == -1).all()
