import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.false_alarms import FEWEST_PEOPLE, FalseAlarms, measure_false_alarms
from search.index import Index
from search.sqlite_index import SqliteIndex
from tests.support.indexes import add_vectors, unit_vectors

SCORES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40)


@given(SCORES, st.floats(-1, 1, width=32))
def test_share_counts_the_strangers_that_find_somebody_as_similar(
    scores: list[float], similarity: float
) -> None:
    as_similar = sum(score >= similarity for score in scores)
    expected = (1 + as_similar) / (1 + len(scores))
    assert FalseAlarms(scores).share(similarity) == pytest.approx(expected)


@given(SCORES, st.floats(0.01, 1))
def test_threshold_is_the_lowest_similarity_with_a_share_that_is_small_enough(
    scores: list[float], rate: float
) -> None:
    alarms = FalseAlarms(scores)
    threshold = alarms.threshold(rate)
    if threshold is None:
        assert 1 / (1 + len(scores)) > rate
        return
    share = alarms.share(threshold)
    assert share is not None
    assert share <= rate
    if threshold > -1:
        below = alarms.share(np.nextafter(threshold, -2))
        assert below is not None
        assert below > rate


def test_nothing_is_said_without_strangers() -> None:
    alarms = FalseAlarms([])
    assert alarms.share(0.9) is None
    assert alarms.threshold(0.01) is None


def people(count: int, photos: int) -> list[str]:
    return [f"person {number}" for number in range(count) for _ in range(photos)]


def test_everybody_is_compared_with_the_most_similar_photo_of_somebody_else(
    sqlite_index: SqliteIndex,
) -> None:
    names = people(count=FEWEST_PEOPLE + 5, photos=4)
    vectors = unit_vectors(len(names))
    # Photos of one person are more alike than those of strangers.
    for number in range(len(names)):
        vectors[number] += 3 * vectors[number - number % 4]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = add_vectors(sqlite_index, vectors, names)
    same = np.array(names)[:, None] == np.array(names)[None, :]
    naive = np.where(same, -np.inf, vectors @ vectors.T).max(axis=1)
    alarms = measure_false_alarms(sqlite_index, model)
    for similarity in np.linspace(-1, 1, 41):
        expected = (1 + (naive >= similarity).sum()) / (1 + len(names))
        assert alarms.share(float(similarity)) == pytest.approx(expected)


def test_person_with_many_photos_finds_a_stranger_all_the_same(sqlite_index: SqliteIndex) -> None:
    names = ["often seen"] * 100 + people(count=FEWEST_PEOPLE, photos=1)
    vectors = unit_vectors(len(names))
    vectors[:100] = vectors[0]
    model = add_vectors(sqlite_index, vectors, names)
    alarms = measure_false_alarms(sqlite_index, model)
    nearest_stranger = float((vectors[100:] @ vectors[0]).max())
    assert alarms.share(nearest_stranger - 1e-3) >= 100 / (1 + len(names))  # type: ignore[operator]


def test_index_of_few_people_says_nothing(sqlite_index: Index) -> None:
    names = people(count=FEWEST_PEOPLE - 1, photos=3)
    model = add_vectors(sqlite_index, unit_vectors(len(names)), names)
    assert measure_false_alarms(sqlite_index, model).threshold(0.01) is None
