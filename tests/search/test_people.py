from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

from search.false_alarms import FalseAlarms
from search.people import Answer, find_people, one_query
from search.records import EVERYTHING, Filter
from search.sqlite_index import SqliteIndex
from tests.support.indexes import add_vectors, unit_vectors

NOT_MEASURED = FalseAlarms([])


def find(
    index: SqliteIndex,
    query: np.ndarray,
    model: str,
    alarms: FalseAlarms = NOT_MEASURED,
    rate: float = 0.1,
    top: int = 5,
    among: Filter = EVERYTHING,
    thresholds: Mapping[float, float] = MappingProxyType({}),
) -> Answer:
    return find_people(index, query[None], model, alarms, rate, top, among, thresholds)


def forty_people(index: SqliteIndex) -> tuple[np.ndarray, str, FalseAlarms]:
    """Add forty people, and return their embeddings, the model, and false alarms up to 0.6."""
    vectors = unit_vectors(40)
    model = add_vectors(index, vectors, [f"person {number}" for number in range(40)])
    return vectors, model, FalseAlarms(np.linspace(0.0, 0.6, 99).tolist())


def test_each_person_is_found_once_with_the_photo_that_is_most_similar(
    sqlite_index: SqliteIndex,
) -> None:
    names = [f"person {number % 30}" for number in range(300)]
    vectors, (query,) = unit_vectors(300), unit_vectors(1, seed=1)
    model = add_vectors(sqlite_index, vectors, names)
    similarities = vectors @ query
    best: dict[str, float] = {}
    for name, similarity in zip(names, similarities.tolist(), strict=True):
        best[name] = max(similarity, best.get(name, -1))
    expected = sorted(best.items(), key=lambda item: -item[1])[:7]
    found = find(sqlite_index, query, model, top=7).people
    assert [person.person for person in found] == [name for name, _ in expected]
    assert [person.similarity for person in found] == pytest.approx([s for _, s in expected])
    assert all(len(person.sightings) == 10 for person in found)


def test_people_behind_somebody_with_very_many_photos_are_found(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(503)
    vectors[:500] = vectors[0]
    model = add_vectors(sqlite_index, vectors, ["often"] * 500 + ["a", "b", "c"])
    found = find(sqlite_index, vectors[0], model, top=3).people
    assert found[0].person == "often"
    assert {person.person for person in found[1:]} < {"a", "b", "c"}


def test_photos_that_nobody_named_are_one_person_each(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(6)
    model = add_vectors(sqlite_index, vectors, [None] * 4 + ["a", "a"])
    found = find(sqlite_index, vectors[0], model, top=10).people
    assert sorted(person.person or "" for person in found) == ["", "", "", "", "a"]
    assert all(len(person.sightings) == 1 for person in found if person.person is None)


def test_sightings_are_sorted_by_time_and_not_by_similarity(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(5)
    model = add_vectors(sqlite_index, vectors, ["a"] * 5)
    (found,) = find(sqlite_index, vectors[3], model).people
    assert found.best.sequence == 3
    assert [sighting.sequence for sighting in found.sightings] == [0, 1, 2, 3, 4]


def test_filter_holds_for_the_photo_that_answers(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(4)
    model = add_vectors(sqlite_index, vectors, ["a", "a", "b", "b"], cameras=[1, 2, 1, 2])
    found = find(sqlite_index, vectors[0], model, among=Filter(not_cameras=[1])).people
    assert [person.best.camera for person in found] == [2, 2]


def test_answer_says_on_which_side_of_the_threshold_each_person_is(
    sqlite_index: SqliteIndex,
) -> None:
    vectors, model, alarms = forty_people(sqlite_index)
    answer = find(sqlite_index, vectors[7], model, alarms, rate=0.05)
    assert answer.is_somebody
    assert answer.threshold is not None
    assert [p.is_match for p in answer.people] == [
        person.similarity >= answer.threshold for person in answer.people
    ]
    assert answer.people[0].is_match
    assert not answer.people[-1].is_match


def test_stranger_is_nobody(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(40)
    model = add_vectors(sqlite_index, vectors, [f"person {number}" for number in range(40)])
    answer = find(sqlite_index, -vectors[7], model, FalseAlarms([0.95] * 99), rate=0.01)
    assert answer.is_somebody is False
    assert answer.people


def test_small_index_gives_people_and_no_verdict(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(2)
    model = add_vectors(sqlite_index, vectors, ["a", "b"])
    answer = find(sqlite_index, vectors[0], model)
    assert answer.is_somebody is None
    assert [person.is_match for person in answer.people] == [None, None]


def test_small_index_goes_by_the_threshold_of_the_model(sqlite_index: SqliteIndex) -> None:
    vectors = unit_vectors(2)
    model = add_vectors(sqlite_index, vectors, ["a", "b"])
    answer = find(sqlite_index, vectors[0], model, thresholds={0.01: 0.9, 0.1: 0.8})
    assert (answer.is_somebody, answer.threshold, answer.is_measured) == (True, 0.8, False)
    assert [person.is_match for person in answer.people] == [True, False]
    stranger = find(sqlite_index, -vectors[0], model, thresholds={0.01: 0.9, 0.1: 0.8})
    assert stranger.is_somebody is False
    strict = find(sqlite_index, vectors[0], model, rate=0.001, thresholds={0.01: 0.9})
    assert strict.is_somebody is None


def test_index_that_can_be_measured_does_not_go_by_the_threshold_of_the_model(
    sqlite_index: SqliteIndex,
) -> None:
    vectors, model, alarms = forty_people(sqlite_index)
    answer = find(sqlite_index, vectors[7], model, alarms, rate=0.1, thresholds={0.1: 0.99})
    assert answer.threshold == alarms.threshold(0.1)
    assert answer.is_measured


def test_several_photos_are_the_mean_of_their_embeddings() -> None:
    vectors = unit_vectors(3)
    mean = vectors.mean(axis=0)
    assert one_query(vectors) == pytest.approx(mean[None] / np.linalg.norm(mean), abs=1e-6)
