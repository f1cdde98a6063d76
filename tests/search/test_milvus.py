"""What only an index on a Milvus server can meet: other processes, and a server that refuses."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from reid.common.errors import UserError
from search.index import Index, StaleModelError
from search.milvus import connection as milvus_connection
from search.milvus import lock
from search.milvus import state as milvus_state
from search.milvus.connection import MilvusConnection, Row
from search.milvus.index import MilvusIndex
from search.milvus.rows import JUDGEMENT_FIELDS, PHOTO_FIELDS
from search.records import Filter, Judgement, NewPhoto
from tests.support.indexes import FIRST, SECOND, add, new_photo, unit_vectors, vectors_of
from tests.support.milvus_server import milvus_server
from tests.support.mlflow_server import free_port
from tests.support.places import ROOT
from tests.support.refusing_milvus import refusing_milvus
from tests.support.stores import MilvusStore
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.slow


def message(address: str) -> str:
    """Return the message of an index that can't be opened."""
    with pytest.raises(UserError) as raised:
        MilvusIndex(address)
    return str(raised.value)


def people(index: Index) -> list[str]:
    return [person.name for person in index.people()]


def own_collections(store: MilvusStore) -> list[str]:
    """Return the collections without the row that names them, by kind."""
    return sorted(name.split("_")[1][:4] for name in store.client.list_collections())


def test_server_that_does_not_answer_is_one_message_without_credentials() -> None:
    place = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    said = message(f"http://ada:geheim@{place}/photos")
    assert time.monotonic() - began < 15
    assert said.startswith(f"http://{place}/photos: no Milvus server answers.")
    assert "geheim" not in said
    assert "SEARCH_INDEX" in said


def test_server_that_accepts_and_keeps_silent_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(milvus_connection, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        assert "no Milvus server answers" in message(f"http://{place}")


@pytest.mark.parametrize(
    "address", ["ftp://ada:geheim@host", "photos.db", "host:19530", "http://", "http://a:b:geheim"]
)
def test_address_of_no_server_is_one_message_without_credentials(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "http://host:19530" in message(address)
    assert "ada" not in message(address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("user", ["", "ada@", "ada:geheim@", "wrong-token@"])
def test_refused_user_is_one_message_without_credentials(user: str) -> None:
    with refusing_milvus("ada:right") as place:
        said = message(f"http://{user}{place}")
    assert said.startswith(f"http://{place}: the Milvus server refuses the user.")
    assert "geheim" not in said
    assert "wrong-token" not in said


@pytest.mark.parametrize(
    ("user", "token"),
    [("ada:right", "ada:right"), ("ada:r%40%3A%2F", "ada:r@:/"), ("a-token", "a-token")],
)
def test_user_of_the_address_is_sent_to_the_server(user: str, token: str) -> None:
    with refusing_milvus(token) as place:
        assert "refuses the user" not in message(f"http://{user}@{place}")


def test_absent_database_is_one_message(milvus: tuple[str, Path]) -> None:
    assert "'absent' does not exist" in message(f"{milvus[0]}/absent")


def test_collection_that_others_made_is_left_alone(milvus_store: MilvusStore) -> None:
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    milvus_store.client.create_collection("reid_index", schema=schema)
    assert "that this tool did not make" in message(milvus_store.uri)
    assert milvus_store.client.list_collections() == ["reid_index"]


def test_index_of_another_version_is_refused(
    milvus_store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    milvus_store.open()
    monkeypatch.setattr(milvus_state, "VERSION", 2)
    assert "another version" in message(milvus_store.uri)


def test_collections_of_others_stay(milvus_store: MilvusStore) -> None:
    others = ["reid_notes", "reid_judgements", "gallery"]
    for name in others:
        milvus_store.client.create_collection(name, dimension=4)
    index = milvus_store.opened(FIRST)
    add(index, new_photo(1))
    index.forget("Ada")
    assert set(others) < set(milvus_store.client.list_collections())


def test_nothing_is_left_of_changes(milvus_store: MilvusStore) -> None:
    index = milvus_store.opened(FIRST, SECOND)
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    index.forget("Ada")
    assert own_collections(milvus_store) == ["aaaa", "bbbb", "inde", "judg"]
    assert index.finish_model(SECOND.sha256, switch=True)
    assert own_collections(milvus_store) == ["bbbb", "inde", "judg"]


def test_more_hits_than_milvus_gives_at_once_are_all_found(
    milvus_store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_connection, "MOST_HITS", 10)
    monkeypatch.setattr(milvus_connection, "HITS_AT_ONCE", 8)
    index = milvus_store.opened(FIRST)
    photos = [new_photo(number, camera=number % 2) for number in range(40)]
    add(index, *photos)
    query = vectors_of(photos[:1])
    for among, passing in ((Filter(), photos), (Filter(cameras=[1]), photos[1::2])):
        for count in (11, 1000):
            (hits,) = index.search(query, FIRST.sha256, count, among)
            order = np.argsort(-(vectors_of(passing) @ query[0]))[:count]
            assert [hit.sighting.file for hit in hits] == [passing[n].file for n in order]


Happens = Callable[[str, Callable[[], object]], None]


@pytest.fixture
def after_reading(monkeypatch: pytest.MonkeyPatch) -> Happens:
    """A function that lets something happen once all rows with a certain last field were read."""

    def hook(last_field: str, happens: Callable[[], object]) -> None:
        pages = MilvusConnection.pages

        def watched(
            server: MilvusConnection, collection: str, condition: str, fields: Sequence[str], n: int
        ) -> Iterator[list[Row]]:
            yield from pages(server, collection, condition, fields, n)
            if fields[-1] == last_field:
                monkeypatch.setattr(MilvusConnection, "pages", pages)
                happens()

        monkeypatch.setattr(MilvusConnection, "pages", watched)

    return hook


class LateWriter:
    """Adds a photo in a thread. It has read which collections answer, and writes when told."""

    def __init__(self, index: Index, photo: NewPhoto, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write = MilvusConnection.write
        self.photo = photo
        self.has_begun, self.may_write, self.has_written = Event(), Event(), Event()
        monkeypatch.setattr(MilvusConnection, "write", partialmethod(late_write, self))
        self.pool = ThreadPoolExecutor(1)
        self.added = self.pool.submit(add, index, photo)
        assert self.has_begun.wait(DEADLINE)

    def late(self, server: MilvusConnection, collection: str, rows: Sequence[Row]) -> None:
        if rows[0].get("file") == self.photo.file and not self.has_written.is_set():
            self.has_begun.set()
            assert self.may_write.wait(DEADLINE)
            self.write(server, collection, rows)
            self.has_written.set()
        else:
            self.write(server, collection, rows)

    def go_on(self) -> None:
        """Let it write, and give it time for what it does next."""
        self.may_write.set()
        assert self.has_written.wait(DEADLINE)
        time.sleep(0.3)


def late_write(
    server: MilvusConnection, writer: LateWriter, collection: str, rows: Sequence[Row]
) -> None:
    writer.late(server, collection, rows)


def test_photo_that_is_added_after_the_rows_were_copied_survives(
    milvus_store: MilvusStore, after_reading: Happens
) -> None:
    index = milvus_store.opened(FIRST, SECOND)
    other = milvus_store.open()
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    after_reading(PHOTO_FIELDS[-1], lambda: add(other, new_photo(3, "Cyd")))
    assert index.forget("Ada") == 1
    assert people(index) == people(other) == ["Bob", "Cyd"]
    for model in (FIRST, SECOND):
        (hits,) = other.search(vectors_of([new_photo(3)], model), model.sha256, 9)
        assert len(hits) == 2
        assert hits[0].similarity > 0.999


@pytest.mark.parametrize("moment", ["before", "after"])
def test_photo_survives_if_somebody_is_forgotten_while_it_is_written(
    moment: str, milvus_store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, other = milvus_store.opened(FIRST), milvus_store.open()
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    write = MilvusConnection.write

    def interrupted(server: MilvusConnection, collection: str, rows: Sequence[Row]) -> None:
        monkeypatch.setattr(MilvusConnection, "write", write)
        if moment == "before":
            assert other.forget("Ada") == 1
        write(server, collection, rows)
        if moment == "after":
            assert other.forget("Ada") == 1

    monkeypatch.setattr(MilvusConnection, "write", interrupted)
    assert add(index, new_photo(3, "Cyd")) == 1
    assert people(index) == ["Bob", "Cyd"]


def test_photo_that_is_written_late_to_the_replaced_collection_survives(
    milvus_store: MilvusStore, monkeypatch: pytest.MonkeyPatch, after_reading: Happens
) -> None:
    index, other = milvus_store.opened(FIRST), milvus_store.open()
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    writer = LateWriter(index, new_photo(3, "Cyd"), monkeypatch)
    after_reading(PHOTO_FIELDS[-1], writer.go_on)
    assert other.forget("Ada") == 1
    assert writer.added.result(DEADLINE) == 1
    assert people(index) == ["Bob", "Cyd"]


def test_photo_that_is_written_late_to_the_former_model_is_not_acknowledged(
    milvus_store: MilvusStore, monkeypatch: pytest.MonkeyPatch, after_reading: Happens
) -> None:
    index, other = milvus_store.opened(FIRST), milvus_store.open()
    add(index, new_photo(1, "Ada"))
    index.begin_model(SECOND)
    waiting = index.without_embedding(SECOND.sha256, 10)
    index.add_embeddings(SECOND.sha256, dict(zip(waiting, unit_vectors(1), strict=True)))
    writer = LateWriter(index, new_photo(2, "Bob"), monkeypatch)
    # The ids are read twice: quickly first, and then while nobody may add.
    after_reading("id", lambda: after_reading("id", writer.go_on))
    assert other.finish_model(SECOND.sha256, switch=True)
    with pytest.raises(StaleModelError):
        writer.added.result(DEADLINE)
    assert add(index, new_photo(2, "Bob")) == 1
    assert people(index) == ["Ada", "Bob"]


def test_judgement_that_is_given_while_somebody_is_forgotten_is_kept(
    milvus_store: MilvusStore, after_reading: Happens
) -> None:
    index, other = milvus_store.opened(FIRST), milvus_store.open()
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    (bob,) = index.sightings(["Bob"])
    word = Judgement(b"a photo", bob.id, "Bob", 0.5, FIRST.sha256, True, 1.0)
    with ThreadPoolExecutor(1) as pool:

        def judge() -> None:
            pool.submit(other.judge, word)
            time.sleep(0.5)

        after_reading(JUDGEMENT_FIELDS[-1], judge)
        assert index.forget("Ada") == 1
    assert list(index.judgements()) == [word]


def test_forgetting_that_was_killed_is_undone_and_can_be_repeated(
    milvus_store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = milvus_store.opened(FIRST)
    add(index, new_photo(1, "Ada"), new_photo(2, "Bob"))
    command = [sys.executable, "-m", "tests.support.halted_forget", milvus_store.uri, "Ada"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "copying\n"
        process.kill()
    assert people(index) == ["Ada", "Bob"]
    add(index, new_photo(3, "Cyd"))
    monkeypatch.setattr(lock, "WAIT", 0.5)
    with pytest.raises(UserError, match="another process has been changing the index since"):
        index.forget("Ada")
    monkeypatch.setattr(lock, "LEASE", 0.0)
    assert index.forget("Ada") == 1
    assert people(index) == ["Bob", "Cyd"]
    assert own_collections(milvus_store) == ["aaaa", "inde", "judg"]


def test_killed_server_is_one_message_and_lost_nothing_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    photos = [new_photo(number) for number in range(3)]
    with milvus_server(tmp_path, port) as address:
        index = MilvusIndex(address)
        index.begin_model(FIRST)
        add(index, *photos)
    with pytest.raises(UserError, match="no Milvus server answers"):
        index.size()
    with milvus_server(tmp_path, port):
        assert index.size() == 3
        again = MilvusIndex(address)
        found = again.search(vectors_of(photos), FIRST.sha256, 1)
        assert [hits[0].sighting.file for hits in found] == [photo.file for photo in photos]
        again.close()
    index.close()
