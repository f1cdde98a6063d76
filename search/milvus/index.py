"""The index on a Milvus server: several services on several machines share it.

Everything is in the server. One collection per model, ``reid_<hash of the model>_<random>``, has a
row per photo with its vector and its content; ``reid_judgements_<random>`` has the judgements; the
one row of ``reid_index`` says which of these collections answer. A person's name or a file's name
is never part of an expression: rows are found by numbers that are derived from the names' hashes.

**Changes of the collections.** Milvus keeps deleted rows in its files, so forgetting copies the
collections without the person and drops the old ones. Only one process at a time makes such a
change: the one that created the collection ``reid_lock``. All others read and add photos meanwhile:

1. The row of ``reid_index`` names the copies. Whoever adds a photo now writes it to both.
2. The rows that stay are copied. Searches find the old collection.
3. The row names the copies alone. Searches find them, and the old collections are dropped.

A writer reads the row of ``reid_index`` before and after it writes, and writes again if it changed
between. So each photo that was acknowledged is in the collections that answer in the end. What a
process leaves that died during a change is undone by the next one.

**What the server keeps longer.** The files of a dropped collection are deleted by Milvus's garbage
collection (``dataCoord.gc.dropTolerance``, three hours if nobody changed it), and its message log
after the log's own retention time. Set both as short as your duty to forget demands.

**Large galleries.** The collections have the index FLAT: exact, and each search looks at all rows.
From about a million photos on, an admin can replace it (drop the index of ``vector``, create
IVF_SQ8 or HNSW with the metric IP); then searches are approximate, and a copy that forgetting makes
has FLAT again. An INVERTED index on ``person_key`` makes filters by person faster.
"""

import base64
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np

from reid.common.errors import UserError
from search.index import Index, StaleModelError, UnknownPhotoError
from search.milvus.connection import MilvusConnection, MilvusError, Row, isin, real
from search.milvus.lock import Lock
from search.milvus.rows import (
    FACTS,
    JUDGEMENT_FIELDS,
    LEASE_ROW,
    NOTHING,
    OWN,
    PHOTO_FIELDS,
    STATE,
    STATE_FIELDS,
    create_photos,
    expression_of,
    judgement_schema,
    new_name,
    person_key,
    photo_id,
    photo_row,
    sighting_of,
    state_schema,
)
from search.milvus.state import Held, State
from search.records import EVERYTHING, Filter, Hit, Judgement, Model, NewPhoto, Person, Sighting

ROWS_AT_ONCE = 256
"""The photos that are read at once with their contents: up to 60 KB each."""
NUMBERS_AT_ONCE = 4_096
"""The rows that are read at once without contents."""


T = TypeVar("T")


class MilvusIndex(Index):
    """An index on a Milvus server."""

    def __init__(self, address: str) -> None:
        """Open the index of a server's database, or create it.

        Args:
            address: see `MilvusConnection`.

        Raises:
            UserError: the server can't be reached, refuses the user, or has collections of these
                names that this tool did not make.
        """
        self._server = MilvusConnection(address)
        self.place = self._server.place
        self._kept: State | None = None
        self._embedded: dict[str, int] = {}
        """For each prepared model, an id up to which all photos were embedded."""
        if not self._is_made():
            with self._locked():
                self._make()

    def _is_made(self) -> bool:
        """Return whether the database has an index.

        Raises:
            UserError: it has a collection of this name that is not an index.
        """
        fields = self._server.fields(STATE)
        if fields is None:
            return False
        if sorted(fields) != sorted(STATE_FIELDS):
            raise UserError(
                f"{self.place} has a collection {STATE!r} that this tool did not make. Give "
                "another database (http://host:19530/database), or rename that collection."
            )
        return self._found_state() is not None

    def _make(self) -> None:
        if self._is_made():
            return
        if self._server.fields(STATE) is None:
            self._server.create(STATE, state_schema(self._server))
        judgements = new_name("judgements")
        self._server.create(judgements, judgement_schema(self._server))
        self._publish(State(0, (), judgements))

    def _found_state(self) -> State | None:
        # A new row is there before the former one is deleted, so one is always found.
        rows = [
            row
            for page in self._server.pages(STATE, f"id > {LEASE_ROW}", ["state"], NUMBERS_AT_ONCE)
            for row in page
        ]
        return State.from_row(max(rows, key=lambda row: row["id"]), self.place) if rows else None

    def _state(self) -> State:
        """Return which collections answer at this moment."""
        state = self._found_state()
        if state is None:
            raise UserError(
                f"{self.place}: the collection {STATE!r} was emptied. Build the index again in an "
                "empty database."
            )
        self._kept = state
        return state

    def _publish(self, state: State) -> State:
        """Let all processes see a new state. Only the holder of the lock may do that."""
        new = replace(state, generation=state.generation + 1)
        self._server.write(
            STATE, [{"id": new.generation, "vector": NOTHING, "state": new.to_json()}]
        )
        self._server.delete(STATE, f"id > {LEASE_ROW} and id < {new.generation}")
        self._kept = None
        return new

    def _read(self, read: Callable[[State], T]) -> T:
        """Read from the collections that answer, and again if they were replaced meanwhile.

        A collection that is being dropped gives an error, or too few rows.
        """
        state = self._kept or self._state()
        while True:
            before = state
            try:
                result = read(before)
            except (MilvusError, StaleModelError):
                state = self._state()
                if state.generation == before.generation:
                    raise
            else:
                state = self._state()
                if state.generation == before.generation:
                    return result

    def _write(self, write: Callable[[State], T], during_changes: bool = False) -> T:
        """Write to the collections that answer, and again if the state changed meanwhile.

        Args:
            write: writes. It may be called several times.
            during_changes: whether it writes to copies that are being made, too; if not, it waits.
        """
        while True:
            state = self._state()
            if state.is_closed or (state.is_changing and not during_changes):
                # Whoever gets the lock has waited for the end of the change.
                with self._changing():
                    continue
            try:
                result = write(state)
            except (MilvusError, StaleModelError):
                if self._state().generation == state.generation:
                    raise
                continue
            if self._state().generation == state.generation:
                return result

    @contextmanager
    def _locked(self) -> Iterator[Lock]:
        """Be the only process that changes the collections.

        Raises:
            UserError: another process does not finish.
        """
        lock = Lock(self._server)
        lock.acquire()
        try:
            yield lock
        finally:
            lock.release()

    @contextmanager
    def _changing(self) -> Iterator[tuple[Lock, State]]:
        """Be the only process that changes the collections, and undo what a dead one left."""
        with self._locked() as lock:
            state = self._state()
            if state.is_changing:
                state = self._publish(state.settled())
            for name in self._server.collections():
                if OWN.fullmatch(name) and name not in state.collections():
                    self._server.drop(name)
            yield lock, state

    def models(self) -> list[Model]:
        """See `Index.models`."""
        return [held.model for held in self._state().held if held.answers]

    def begin_model(self, model: Model) -> None:
        """See `Index.begin_model`."""
        with self._changing() as (_, state):
            if all(held.model.sha256 != model.sha256 for held in state.held):
                new = Held(model, not state.held, create_photos(self._server, model))
                self._publish(replace(state, held=(*state.held, new)))

    def finish_model(self, sha256: str, switch: bool) -> bool:
        """See `Index.finish_model`."""
        if next(self._missing(self._state(), sha256), None):
            return False
        with self._changing() as (lock, former):
            chosen = replace(former.of(sha256), answers=True)
            # Whoever is adding a photo at this moment adds it again after the end of this.
            state = self._publish(replace(former, is_closed=True))
            is_complete = next(self._missing(state, sha256), None) is None
            lock.check()
            if not is_complete:
                self._publish(state.settled())
                return False
            others = [held for held in former.held if held.model.sha256 != sha256]
            held = [one if one in others else chosen for one in former.held]
            new = [chosen] if switch else held
            self._publish(replace(state.settled(), held=tuple(new)))
            for other in others if switch else []:
                self._server.drop(other.photos)
        return True

    def drop_model(self, sha256: str) -> None:
        """See `Index.drop_model`."""
        with self._changing() as (_, state):
            dropped = state.of(sha256)
            self.refuse_current(sha256, state.held[0].model)
            self._publish(replace(state, held=tuple(h for h in state.held if h != dropped)))
            self._server.drop(dropped.photos)

    def _missing(self, state: State, sha256: str, after: int = -1) -> Iterator[list[int]]:
        """Return the ids of photos that a model has not embedded, by pages that are not empty."""
        place, truth = state.of(sha256).photos, state.held[0].photos
        if place == truth:
            return
        for page in self._server.pages(truth, f"id > {after}", ["id"], NUMBERS_AT_ONCE):
            ids = [row["id"] for row in page]
            there = self._server.rows(place, ids, ["id"])
            if missing := [photo for photo in ids if photo not in there]:
                yield missing

    def without_embedding(self, sha256: str, count: int) -> dict[int, bytes]:
        """See `Index.without_embedding`."""

        def missing(state: State) -> dict[int, bytes]:
            after = self._embedded.get(sha256, -1)
            found: list[int] = []
            for ids in self._missing(state, sha256, after):
                found += ids
                if len(found) >= count:
                    break
            if not found:
                # Photos that were added meanwhile have any ids: look through all, once.
                self._embedded.pop(sha256, None)
                return missing(state) if after >= 0 else {}
            self._embedded[sha256] = found[0] - 1
            rows = self._server.rows(state.held[0].photos, found[:count], ["content"])
            return {photo: base64.b64decode(rows[photo]["content"]) for photo in sorted(rows)}

        return self._read(missing)

    def add_embeddings(self, sha256: str, embeddings: Mapping[int, np.ndarray]) -> None:
        """See `Index.add_embeddings`."""

        def write(state: State) -> None:
            place, truth = state.of(sha256).photos, state.held[0].photos
            ids = list(embeddings)
            for start in range(0, len(ids), ROWS_AT_ONCE):
                # A photo that was forgotten meanwhile has no row any more.
                fields = [field for field in PHOTO_FIELDS if field != "vector"]
                rows = self._server.rows(truth, ids[start : start + ROWS_AT_ONCE], fields)
                self._server.write(
                    place, [{**row, "vector": embeddings[photo]} for photo, row in rows.items()]
                )

        self._write(write)

    def known(self, hashes: Sequence[str]) -> dict[str, str | None]:
        """See `Index.known`."""
        asked = set(hashes)

        def find(state: State) -> dict[str, str | None]:
            if not state.held:
                return {}
            ids = [photo_id(sha256) for sha256 in asked]
            rows = self._server.rows(state.held[0].photos, ids, ["sha256", "person"])
            return {row["sha256"]: row["person"] for row in rows.values() if row["sha256"] in asked}

        return self._read(find)

    def add(self, photos: Sequence[NewPhoto], embeddings: Mapping[str, np.ndarray]) -> int:
        """See `Index.add`.

        A photo's id is made of the first 63 bits of its hash, so two processes that add the same
        photo write the same row. That two different photos of a million have one id has a chance
        of one in 18 million.
        """
        now = time.time()
        rows = {photo_id(p.sha256): photo_row(p, now + n * 1e-6) for n, p in enumerate(photos)}
        numbers = {photo_id(photo.sha256): n for n, photo in enumerate(photos)}
        written: set[int] = set()

        def write(state: State) -> None:
            answering = [held for held in state.held if held.answers]
            if not answering:
                self.current_model()
            if {held.model.sha256 for held in answering} != embeddings.keys():
                raise StaleModelError("the index's model changed meanwhile. Try again.")
            for held in reversed(answering):
                there = self._server.rows(held.photos, list(rows), ["id"]).keys() - written
                new = [photo for photo in rows if photo not in there]
                vectors = embeddings[held.model.sha256]
                for place in held.places():
                    self._server.write(
                        place, [{**rows[photo], "vector": vectors[numbers[photo]]} for photo in new]
                    )
            # The current model's collection comes last: what is in it is in the index.
            written.update(new)

        self._write(write, during_changes=True)
        return len(written)

    def search(
        self, embeddings: np.ndarray, sha256: str, count: int, among: Filter = EVERYTHING
    ) -> list[list[Hit]]:
        """See `Index.search`."""
        queries = np.ascontiguousarray(embeddings, np.float32)
        condition = expression_of(among)

        def find(state: State) -> list[list[Hit]]:
            place = state.answering(sha256).photos
            found = self._server.search(place, queries, count, condition, FACTS)
            return [[Hit(sighting_of(row), similarity) for row, similarity in one] for one in found]

        return self._read(find)

    def sample(self, sha256: str, count: int) -> tuple[list[str], np.ndarray]:
        """See `Index.sample`. The first ids are as good as chance: they are made of hashes."""

        def first(state: State) -> tuple[list[str], np.ndarray]:
            held = state.answering(sha256)
            rows: list[Row] = []
            for page in self._server.pages(
                held.photos, "person_key != 0", ["person", "vector"], min(count, ROWS_AT_ONCE)
            ):
                rows += page
                if len(rows) >= count:
                    break
            vectors = np.array([row["vector"] for row in rows[:count]], np.float32)
            return [row["person"] for row in rows[:count]], vectors.reshape(
                -1, held.model.dimension
            )

        return self._read(first)

    def _facts(self, condition: str, fields: Sequence[str]) -> list[Row]:
        """Read some facts of the photos that a condition holds for."""

        def read(state: State) -> list[Row]:
            if not state.held:
                return []
            pages = self._server.pages(state.held[0].photos, condition, fields, NUMBERS_AT_ONCE)
            return [row for page in pages for row in page]

        return self._read(read)

    def people(self) -> list[Person]:
        """See `Index.people`. All rows are read, without their contents."""
        photos: dict[str, int] = {}
        cameras: dict[str, set[int]] = {}
        for row in self._facts("person_key != 0", ["person", "camera"]):
            name = row["person"]
            photos[name] = photos.get(name, 0) + 1
            seen_by = cameras.setdefault(name, set())
            if row["camera"] is not None:
                seen_by.add(row["camera"])
        return [Person(name, photos[name], sorted(cameras[name])) for name in sorted(photos)]

    def sightings(self, people: Sequence[str]) -> list[Sighting]:
        """See `Index.sightings`."""
        if not people:
            return []
        rows = self._facts(isin("person_key", map(person_key, people)), FACTS)
        return sorted(map(sighting_of, rows), key=lambda sighting: (sighting.added, sighting.id))

    def photo(self, photo: int) -> tuple[Sighting, bytes] | None:
        """See `Index.photo`."""

        def read(state: State) -> tuple[Sighting, bytes] | None:
            if not state.held:
                return None
            rows = self._server.rows(state.held[0].photos, [photo], [*FACTS, "content"])
            return next(
                ((sighting_of(row), base64.b64decode(row["content"])) for row in rows.values()),
                None,
            )

        return self._read(read)

    def size(self) -> int:
        """See `Index.size`."""
        return self._read(
            lambda state: self._server.count(state.held[0].photos) if state.held else 0
        )

    def forget(self, person: str) -> int:
        """See `Index.forget`. This module's docstring says what the server keeps longer."""
        return self._delete(f"person_key != {person_key(person)}")

    def expire(self, before: float) -> int:
        """See `Index.expire`."""
        return self._delete(f"taken >= {real(before)}", f"time >= {real(before)}")

    def _delete(self, kept: str, kept_judgements: str = "") -> int:
        """Replace the collections by copies that lack some photos, and their judgements.

        Args:
            kept: the condition for the photos that stay.
            kept_judgements: the condition for judgements to stay, besides that their photos stay.

        Returns:
            The number of photos that were deleted.
        """
        with self._changing() as (lock, state):
            gone = {
                held.photos: self._server.count(held.photos, f"not ({kept})") for held in state.held
            }
            old_judgements = kept_judgements and self._server.count(
                state.judgements, f"not ({kept_judgements})"
            )
            if not any(gone.values()) and not old_judgements:
                return 0
            copied = state
            if any(gone.values()):
                copies = (replace(h, copy=create_photos(self._server, h.model)) for h in state.held)
                copied = self._publish(replace(state, held=tuple(copies)))
                for held in copied.held:
                    self._copy_photos(held, kept, lock)
            truth = copied.held[0].places()[0] if copied.held else ""
            judgements = self._copied_judgements(state.judgements, kept_judgements, truth, lock)
            new = tuple(replace(h, photos=h.places()[0], copy="") for h in copied.held)
            lock.check()
            self._publish(replace(copied, held=new, judgements=judgements))
            for name in state.collections() - {held.photos for held in new}:
                self._server.drop(name)
            return gone[state.held[0].photos] if state.held else 0

    def _copy_photos(self, held: Held, kept: str, lock: Lock) -> None:
        for page in self._server.pages(held.photos, kept, PHOTO_FIELDS, ROWS_AT_ONCE):
            lock.sign_of_life()
            self._server.write(held.copy, page)

    def _copied_judgements(self, old: str, kept: str, photos: str, lock: Lock) -> str:
        """Copy the judgements of the photos in a collection. Return the copy's name."""
        new = new_name("judgements")
        self._server.create(new, judgement_schema(self._server))
        for page in self._server.pages(old, kept, JUDGEMENT_FIELDS, ROWS_AT_ONCE):
            lock.sign_of_life()
            there = self._server.rows(photos, sorted({row["photo"] for row in page}), ["id"])
            self._server.write(new, [row for row in page if row["photo"] in there])
        return new

    def judge(self, judgement: Judgement) -> None:
        """See `Index.judge`."""
        j = judgement
        row = {
            "id": uuid.uuid4().int >> 65,
            "vector": NOTHING,
            "query": base64.b64encode(j.query).decode(),
            "photo": j.photo,
            "similarity": j.similarity,
            "model": j.model,
            "is_right": int(j.right),
            "time": j.time,
        }

        def write(state: State) -> None:
            if not state.held or not self._server.rows(state.held[0].photos, [j.photo], ["id"]):
                raise UnknownPhotoError(j.photo)
            self._server.write(state.judgements, [row])

        self._write(write)

    def judgements(self) -> Iterable[Judgement]:
        """See `Index.judgements`."""
        state = self._state()
        order = sorted(
            (row["time"], row["id"])
            for page in self._server.pages(state.judgements, "", ["time"], NUMBERS_AT_ONCE)
            for row in page
        )
        for start in range(0, len(order), ROWS_AT_ONCE):
            ids = [number for _, number in order[start : start + ROWS_AT_ONCE]]
            rows = self._server.rows(state.judgements, ids, JUDGEMENT_FIELDS)
            photos = sorted({row["photo"] for row in rows.values()})
            people = self._server.rows(state.held[0].photos, photos, ["person"])
            for row in (rows[number] for number in ids if number in rows):
                if row["photo"] in people:
                    yield Judgement(
                        base64.b64decode(row["query"]),
                        row["photo"],
                        people[row["photo"]]["person"],
                        row["similarity"],
                        row["model"],
                        bool(row["is_right"]),
                        row["time"],
                    )

    def close(self) -> None:
        """See `Index.close`."""
        self._server.close()
