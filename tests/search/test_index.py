"""What an index does, whatever stores it: the same tests for SQLite and for Milvus."""

import base64
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid.common.errors import UserError
from search.index import Index, StaleModelError, UnknownPhotoError
from search.records import Filter, Hit, Judgement, NewPhoto, Person
from tests.support.indexes import (
    DIMENSION,
    FIRST,
    SECOND,
    add,
    new_photo,
    unit_vectors,
    vectors_of,
)
from tests.support.stores import MilvusStore, Store

NAMES = [
    "Zoë Müller",
    "Seán O'Neill",
    'a "quoted" name',
    r"back\slash \" or",
    '" or person_key != 0 or person == "',
    "x' OR '1'='1",
    "%",
    "{name}",
    "王小明",
]


def judgement(photo: int, right: bool = True, when: float = 1.0) -> Judgement:
    return Judgement(b"a photo", photo, None, 0.5, FIRST.sha256, right, when)


def files(hits: list[Hit]) -> list[str]:
    return [hit.sighting.file for hit in hits]


def all_files(index: Index, among: Filter = Filter()) -> set[str]:  # noqa: B008 - it is frozen
    (hits,) = index.search(unit_vectors(1), index.current_model().sha256, 100, among)
    return {hit.sighting.file for hit in hits}


def test_empty_index_holds_nothing(store: Store) -> None:
    index = store.open()
    assert (index.models(), index.people(), index.size()) == ([], [], 0)
    assert (index.known([64 * "a"]), index.photo(1), index.sightings(["Ada"])) == ({}, None, [])
    assert list(index.judgements()) == []
    assert (index.forget("Ada"), index.expire(1e12)) == (0, 0)
    with pytest.raises(UserError, match="the index is empty"):
        index.add([new_photo(1)], {})


def test_added_photo_comes_back_with_all_its_facts(store: Store) -> None:
    before = time.time()
    index = store.opened(FIRST)
    photo = new_photo(1, "Ada", camera=3, time=1e9 + 0.25)
    assert add(index, photo) == 1
    assert index.size() == 1
    (sighting,) = index.sightings(["Ada"])
    assert index.photo(sighting.id) == (sighting, photo.content)
    assert before - 1 <= sighting.added <= time.time() + 1
    expected = (photo.person, photo.camera, photo.time, photo.sequence, photo.frame, photo.file)
    found = sighting
    assert expected == (
        *(found.person, found.camera, found.time),
        *(found.sequence, found.frame, found.file),
    )


def test_photo_with_unknown_facts_has_none_of_them(store: Store) -> None:
    index = store.opened(FIRST)
    photo = new_photo(1)
    add(index, NewPhoto(photo.content, photo.sha256, photo.file, None))
    (hits,) = index.search(vectors_of([photo]), FIRST.sha256, 1)
    found = hits[0].sighting
    assert {found.person, found.camera, found.time, found.sequence, found.frame} == {None}
    assert index.people() == []
    assert index.known([photo.sha256]) == {photo.sha256: None}


def test_photo_that_is_added_twice_is_one_row(store: Store) -> None:
    index = store.opened(FIRST)
    assert add(index, new_photo(1), new_photo(2)) == 2
    assert add(index, new_photo(2), new_photo(3)) == 1
    assert index.size() == 3
    assert len(all_files(index)) == 3


def test_photo_that_two_processes_add_at_once_is_one_row(store: Store) -> None:
    index = store.opened(FIRST)
    photos = [new_photo(number) for number in range(20)]
    others = [store.open() for _ in range(3)]
    threads = [threading.Thread(target=add, args=(other, *photos)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.size() == 20
    assert len(index.sightings(["Ada"])) == 20


def test_known_photos_are_given_with_their_person(store: Store) -> None:
    index = store.opened(FIRST)
    ada, nobody, absent = new_photo(1), new_photo(2, None), new_photo(3)
    add(index, ada, nobody)
    asked = [photo.sha256 for photo in (ada, nobody, absent)]
    assert index.known(asked) == {ada.sha256: "Ada", nobody.sha256: None}
    assert index.known([]) == {}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_found_filtered_and_forgotten(name: str, store: Store) -> None:
    index = store.opened(FIRST)
    add(index, new_photo(1, name), new_photo(2, "Ada"))
    assert {person.name for person in index.people()} == {name, "Ada"}
    assert [sighting.person for sighting in index.sightings([name])] == [name]
    assert all_files(index, Filter(people=[name])) == {"photo-00001.jpg"}
    assert index.forget(name) == 1
    assert [person.name for person in index.people()] == ["Ada"]


def test_search_finds_what_a_naive_search_finds(store: Store) -> None:
    index = store.opened(FIRST)
    photos = [new_photo(number, f"person {number % 9}", number % 5) for number in range(150)]
    add(index, *photos)
    embeddings = vectors_of(photos)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 10**6),
        st.integers(1, 4),
        st.sampled_from([1, 3, 150, 1000]),
        st.sets(st.integers(0, 4)),
    )
    def holds(seed: int, queries: int, count: int, cameras: set[int]) -> None:
        asked = unit_vectors(queries, seed)
        passing = [n for n, p in enumerate(photos) if not cameras or p.camera in cameras]
        similarities = asked @ embeddings[passing].T
        found = index.search(asked, FIRST.sha256, count, Filter(cameras=cameras))
        for row, hits in zip(similarities, found, strict=True):
            order = np.argsort(-row)[:count]
            assert files(hits) == [photos[passing[place]].file for place in order]
            np.testing.assert_allclose([hit.similarity for hit in hits], row[order], atol=1e-5)

    holds()


def test_search_without_queries_finds_nothing(store: Store) -> None:
    index = store.opened(FIRST)
    add(index, new_photo(1))
    assert index.search(np.empty((0, DIMENSION), np.float32), FIRST.sha256, 3) == []


def test_search_of_an_index_without_photos_finds_nothing(store: Store) -> None:
    assert store.opened(FIRST).search(unit_vectors(2), FIRST.sha256, 3) == [[], []]


@pytest.mark.parametrize(
    ("among", "expected"),
    [
        (Filter(), {1, 2, 3, 4, 5}),
        (Filter(cameras=[1]), {1, 4}),
        (Filter(cameras=[1, 2]), {1, 2, 4}),
        (Filter(not_cameras=[1]), {2, 3, 5}),
        (Filter(not_cameras=[1, 2]), {3, 5}),
        (Filter(people=["Ada"]), {1, 2, 3}),
        (Filter(people=["Ada", "Bob"]), {1, 2, 3, 4}),
        (Filter(people=["nobody of this name"]), set()),
        (Filter(since=200.0), {2, 5}),
        (Filter(until=200.0), {1}),
        (Filter(since=-float("inf"), until=float("inf")), {1, 2, 5}),
        (Filter(since=100.0, until=300.5), {1, 2}),
        (Filter([1, 2], [2], ["Ada"], 50.0, 150.0), {1}),
    ],
)
def test_filter_lets_only_its_photos_pass(among: Filter, expected: set[int], store: Store) -> None:
    index = store.opened(FIRST)
    add(
        index,
        new_photo(1, "Ada", 1, 100.0),
        new_photo(2, "Ada", 2, 200.0),
        new_photo(3, "Ada", None, None),
        new_photo(4, "Bob", 1, None),
        new_photo(5, None, 3, 300.5),
    )
    assert all_files(index, among) == {f"photo-{number:05}.jpg" for number in expected}


def test_query_of_another_model_is_refused(store: Store) -> None:
    index = store.opened(FIRST)
    with pytest.raises(StaleModelError):
        index.search(unit_vectors(1), SECOND.sha256, 1)
    with pytest.raises(StaleModelError):
        index.sample(SECOND.sha256, 1)
    with pytest.raises(StaleModelError):
        index.add([new_photo(1)], {SECOND.sha256: unit_vectors(1)})
    index.begin_model(SECOND)
    with pytest.raises(StaleModelError):
        index.search(unit_vectors(1), SECOND.sha256, 1)


def test_prepared_model_answers_after_all_photos_are_embedded(store: Store) -> None:
    index = store.opened(FIRST)
    photos = {photo.content: photo for photo in map(new_photo, range(5))}
    add(index, *photos.values())
    index.begin_model(SECOND)
    assert index.models() == [FIRST]
    assert not index.finish_model(SECOND.sha256, switch=True)
    while waiting := index.without_embedding(SECOND.sha256, 2):
        assert len(waiting) <= 2
        chosen = [photos[content] for content in waiting.values()]
        vectors = vectors_of(chosen, SECOND)
        index.add_embeddings(SECOND.sha256, dict(zip(waiting, vectors, strict=True)))
    late = new_photo(9)
    add(index, late)
    assert not index.finish_model(SECOND.sha256, switch=True)
    ((number, content),) = index.without_embedding(SECOND.sha256, 10).items()
    assert content == late.content
    index.add_embeddings(SECOND.sha256, {number: vectors_of([late], SECOND)[0]})
    assert index.finish_model(SECOND.sha256, switch=True)
    assert index.models() == [SECOND]
    assert index.size() == 6
    everything = [*photos.values(), late]
    found = index.search(vectors_of(everything, SECOND), SECOND.sha256, 1)
    assert [files(hits) for hits in found] == [[photo.file] for photo in everything]
    with pytest.raises(StaleModelError):
        index.search(unit_vectors(1), FIRST.sha256, 1)


def test_two_models_answer_until_one_is_dropped(store: Store) -> None:
    index = store.opened(FIRST, SECOND)
    photos = [new_photo(number) for number in range(4)]
    add(index, *photos)
    assert index.models() == [FIRST, SECOND]
    for model in (FIRST, SECOND):
        found = index.search(vectors_of(photos, model), model.sha256, 1)
        assert [files(hits) for hits in found] == [[photo.file] for photo in photos]
    with pytest.raises(UserError, match="can't be dropped"):
        index.drop_model(FIRST.sha256)
    index.drop_model(SECOND.sha256)
    assert index.models() == [FIRST]
    with pytest.raises(StaleModelError):
        index.search(unit_vectors(1), SECOND.sha256, 1)
    index.begin_model(SECOND)
    assert len(index.without_embedding(SECOND.sha256, 10)) == 4


def test_embedding_of_a_photo_that_was_forgotten_meanwhile_is_dropped(store: Store) -> None:
    index = store.opened(FIRST)
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    index.begin_model(SECOND)
    waiting = index.without_embedding(SECOND.sha256, 10)
    index.forget("Ada")
    vectors = unit_vectors(len(waiting))
    index.add_embeddings(SECOND.sha256, dict(zip(waiting, vectors, strict=True)))
    assert index.finish_model(SECOND.sha256, switch=True)
    assert all_files(index) == {"photo-00002.jpg"}


def test_forgotten_person_is_in_no_file(store: Store) -> None:
    index = store.opened(FIRST, SECOND)
    gone = [replace(new_photo(n, "Ada Lovelace"), file=f"gone-{n}.jpg") for n in range(3)]
    kept = [replace(new_photo(n, "Bob"), file=f"kept-{n}.jpg") for n in range(10, 13)]
    add(index, *gone, *kept)
    index.judge(judgement(index.sightings(["Ada Lovelace"])[0].id))
    traces = [
        b"Ada Lovelace",
        b"gone-1.jpg",
        gone[1].sha256.encode(),
        vectors_of(gone)[1].tobytes(),
    ]
    traces += [vectors_of(gone, SECOND)[1].tobytes(), base64.b64encode(b"a photo")]
    contents = {gone[1].content, base64.b64encode(gone[1].content)}
    remaining = [b"kept-11.jpg", vectors_of(kept)[1].tobytes(), b"Bob"]
    if not isinstance(store, MilvusStore):
        traces[-1] = b"a photo"
    assert store.found(*traces) == traces
    assert store.found(*contents)
    assert index.forget("Ada Lovelace") == 3
    assert store.found(*traces) == []
    assert store.found(*remaining) == remaining
    assert index.people() == [Person("Bob", 3, [1])]
    assert list(index.judgements()) == []
    assert index.forget("Ada Lovelace") == 0
    for model in (FIRST, SECOND):
        (hits,) = index.search(vectors_of(gone, model)[:1], model.sha256, 10)
        assert sorted(files(hits)) == ["kept-10.jpg", "kept-11.jpg", "kept-12.jpg"]


def test_expired_photos_and_judgements_are_in_no_file(store: Store) -> None:
    index = store.opened(FIRST)
    old, new = new_photo(1, "Ada", 1, 1e9), new_photo(2, "Bob", 1, 2e9)
    undated = new_photo(3, "Cyd")
    add(index, old, new, undated)
    (bob,) = index.sightings(["Bob"])
    index.judge(judgement(bob.id, when=1e9))
    index.judge(judgement(bob.id, when=3e9))
    (ada,) = index.sightings(["Ada"])
    index.judge(judgement(ada.id, when=3e9))
    assert index.expire(1e9) == 0
    assert len(list(index.judgements())) == 3
    assert index.expire(1.5e9) == 1
    assert [person.name for person in index.people()] == ["Bob", "Cyd"]
    assert [(j.photo, j.time) for j in index.judgements()] == [(bob.id, 3e9)]
    traces = [b"Ada", old.sha256.encode(), vectors_of([old]).tobytes()]
    assert store.found(*traces) == []
    assert index.expire(time.time() + 60) == 1
    assert [person.name for person in index.people()] == ["Bob"]


def test_judgements_are_given_oldest_first_with_their_person(store: Store) -> None:
    index = store.opened(FIRST)
    add(index, new_photo(1, "Ada"), new_photo(2, None))
    (hits,) = index.search(unit_vectors(1), FIRST.sha256, 2)
    for when, hit in enumerate(hits):
        index.judge(judgement(hit.sighting.id, right=when == 1, when=float(when)))
    assert list(index.judgements()) == [
        replace(
            judgement(hit.sighting.id, right=when == 1, when=float(when)),
            person=hit.sighting.person,
        )
        for when, hit in enumerate(hits)
    ]


def test_judgement_of_a_forgotten_photo_is_refused(store: Store) -> None:
    index = store.opened(FIRST)
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    (ada,) = index.sightings(["Ada"])
    index.forget("Ada")
    with pytest.raises(UnknownPhotoError, match="search again"):
        index.judge(judgement(ada.id))
    assert list(index.judgements()) == []


def test_people_are_given_by_name_with_photos_and_cameras(store: Store) -> None:
    index = store.opened(FIRST)
    add(
        index,
        new_photo(1, "Bob", 4),
        new_photo(2, "Ada", 3),
        new_photo(3, "Ada", 1),
        new_photo(4, "Ada", 3),
        new_photo(5, "Cyd", None),
        new_photo(6, None, 1),
    )
    assert index.people() == [Person("Ada", 3, [1, 3]), Person("Bob", 1, [4]), Person("Cyd", 1, [])]


def test_sightings_come_in_the_order_of_adding(store: Store) -> None:
    index = store.opened(FIRST)
    for numbers in ([5, 3, 4], [1, 2]):
        add(index, *(new_photo(number, f"person {number % 2}") for number in numbers))
    found = index.sightings(["person 0", "person 1", "nobody of this name"])
    assert [sighting.sequence for sighting in found] == [5, 3, 4, 1, 2]
    assert index.sightings([]) == []


def test_sample_has_people_with_their_embeddings(store: Store) -> None:
    index = store.opened(FIRST)
    photos = {f"person {number}": new_photo(number, f"person {number}") for number in range(30)}
    add(index, *photos.values(), new_photo(99, None))
    for count in (10, 100):
        people, embeddings = index.sample(FIRST.sha256, count)
        assert len(set(people)) == min(count, 30)
        chosen = [photos[person] for person in people]
        np.testing.assert_array_equal(embeddings, vectors_of(chosen))
        again, same = store.open().sample(FIRST.sha256, count)
        assert again == people
        np.testing.assert_array_equal(same, embeddings)


def test_sample_of_an_index_without_people_is_empty(store: Store) -> None:
    people, embeddings = store.opened(FIRST).sample(FIRST.sha256, 10)
    assert (people, embeddings.shape) == ([], (0, DIMENSION))


def test_reopened_index_has_everything(store: Store) -> None:
    index = store.opened(FIRST, SECOND)
    photos = [new_photo(number, f"person {number}") for number in range(5)]
    add(index, *photos)
    index.judge(judgement(index.sightings(["person 1"])[0].id))
    expected = (index.models(), index.people(), index.size(), list(index.judgements()))
    found = index.search(vectors_of(photos), FIRST.sha256, 3)
    index.close()
    again = store.open()
    assert expected == (again.models(), again.people(), again.size(), list(again.judgements()))
    assert again.search(vectors_of(photos), FIRST.sha256, 3) == found


def test_two_open_indexes_see_what_the_other_writes_and_deletes(store: Store) -> None:
    one = store.opened(FIRST)
    other = store.open()
    add(one, new_photo(1, "Ada"))
    assert all_files(other) == {"photo-00001.jpg"}
    add(other, new_photo(2, "Bob"), new_photo(3, "Cyd"))
    assert all_files(one) == {"photo-00001.jpg", "photo-00002.jpg", "photo-00003.jpg"}
    one.forget("Ada")
    assert all_files(other) == {"photo-00002.jpg", "photo-00003.jpg"}
    add(other, new_photo(4, "Dan"))
    assert all_files(one) == {"photo-00002.jpg", "photo-00003.jpg", "photo-00004.jpg"}
    one.begin_model(SECOND)
    waiting = other.without_embedding(SECOND.sha256, 10)
    vectors = dict(zip(waiting, unit_vectors(3), strict=True))
    other.add_embeddings(SECOND.sha256, vectors)
    assert one.finish_model(SECOND.sha256, switch=True)
    assert other.models() == [SECOND]
    assert len(all_files(other)) == 3
    with pytest.raises(StaleModelError):
        other.search(unit_vectors(1), FIRST.sha256, 1)
    with pytest.raises(StaleModelError):
        other.add([new_photo(5)], {FIRST.sha256: unit_vectors(1)})


def test_no_photo_is_lost_while_others_are_forgotten(store: Store) -> None:
    index = store.opened(FIRST)
    add(index, *(new_photo(number, f"person {number}") for number in range(4)))
    adder, searcher = store.open(), store.open()
    added: list[str] = []
    seen: list[int] = []
    is_over = threading.Event()

    def add_some() -> None:
        number = 100
        while not is_over.is_set():
            add(adder, new_photo(number, "late"))
            added.append(f"photo-{number:05}.jpg")
            number += 1

    def search_some() -> None:
        while not is_over.is_set():
            (hits,) = searcher.search(unit_vectors(1), FIRST.sha256, 1)
            seen.append(len(hits))

    threads = [threading.Thread(target=work) for work in (add_some, search_some)]
    for thread in threads:
        thread.start()
    try:
        forgotten = [index.forget(f"person {number}") for number in range(3)]
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert forgotten == [1, 1, 1]
    assert added
    assert set(seen) == {1}
    stored = {sighting.file for sighting in index.sightings(["late"])}
    assert stored >= set(added)
    assert {person.name for person in index.people()} == {"person 3", "late"}
