"""The exact nearest rows, against a sort of all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.evaluation import neighbours
from reid.evaluation.neighbours import nearest_rows


def naive_nearest(vectors: np.ndarray, k: int) -> tuple[list[list[int]], list[list[float]]]:
    """Sort all rows by similarity, then by number, each row itself ahead of the others."""
    products = vectors @ vectors.T
    np.fill_diagonal(products, np.inf)
    rows = np.argsort(-products, axis=1, kind="stable")[:, :k]
    similarity = np.take_along_axis(products, rows, axis=1)
    similarity[:, 0] = 1
    return rows.tolist(), similarity.tolist()


def small_integers(seed: int, rows: int, width: int = 4) -> np.ndarray:
    """Draw vectors whose products are exact in any order of summation, and often equal."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, width)).astype(np.float32)


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 60),
    k=st.integers(1, 70),
    block=st.integers(1, 70),
    groups=st.integers(1, 3),
)
def test_any_size_of_blocks_and_groups_finds_the_nearest(
    seed: int, rows: int, k: int, block: int, groups: int
) -> None:
    vectors = small_integers(seed, rows)
    expected_rows, expected_similarity = naive_nearest(vectors, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "ROWS_AT_ONCE", block)
        patch.setattr(neighbours, "GROUPS", groups)
        found = nearest_rows(vectors, k)
    assert found.rows.tolist() == expected_rows
    assert found.similarity.tolist() == expected_similarity
    products = vectors @ vectors.T
    np.fill_diagonal(products, np.inf)
    np.testing.assert_array_equal(found.least_similarity, products.min(axis=1))


@pytest.mark.parametrize("k", [1, 7, 21])
def test_nearest_are_found_in_several_blocks(k: int) -> None:
    vectors = small_integers(seed=k, rows=2 * neighbours.ROWS_AT_ONCE + 100, width=9)
    expected_rows, expected_similarity = naive_nearest(vectors, k)
    found = nearest_rows(vectors, k)
    assert found.rows.tolist() == expected_rows
    assert found.similarity.tolist() == expected_similarity


def test_a_row_is_its_own_nearest_although_another_is_longer() -> None:
    found = nearest_rows(np.array([[1.0, 0], [1.0005, 0]], np.float32), 2)
    assert found.rows.tolist() == [[0, 1], [1, 0]]


def test_a_row_alone_has_itself_as_neighbour() -> None:
    found = nearest_rows(np.ones((1, 3), np.float32), 5)
    assert found.rows.tolist() == [[0]]
    assert found.similarity.tolist() == [[1]]
    assert found.least_similarity.tolist() == [np.inf]
