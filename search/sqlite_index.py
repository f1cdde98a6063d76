"""The index in a folder: SQLite holds everything, faiss answers from memory.

Every process that opens the folder sees what the others wrote: before a search it loads what is
new.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reid.common.errors import UserError, first_line
from search.index import Index, StaleModelError, UnknownPhotoError
from search.records import EVERYTHING, Filter, Hit, Judgement, Model, NewPhoto, Person, Sighting
from search.vectors import Ids, Vectors

FILE = "photos.sqlite"
VERSION = 1
"""The version of the tables, in SQLite's ``user_version``."""
WAIT = 30.0
"""Seconds to wait for another process that is writing or reading."""
AT_ONCE = 5_000
"""The embeddings that are loaded at once, and the ids in one SQL statement."""

TABLES = """
CREATE TABLE model (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    answers INTEGER NOT NULL,
    is_current INTEGER NOT NULL
) STRICT;
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE photo (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL UNIQUE,
    person INTEGER REFERENCES person,
    camera INTEGER,
    time REAL,
    sequence INTEGER,
    frame INTEGER,
    file TEXT NOT NULL,
    added REAL NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE INDEX photo_of_person ON photo (person);
CREATE TABLE embedding (
    model INTEGER NOT NULL REFERENCES model,
    photo INTEGER NOT NULL REFERENCES photo,
    vector BLOB NOT NULL,
    PRIMARY KEY (model, photo)
) STRICT, WITHOUT ROWID;
CREATE TABLE judgement (
    query BLOB NOT NULL,
    photo INTEGER NOT NULL REFERENCES photo,
    similarity REAL NOT NULL,
    model TEXT NOT NULL,
    is_right INTEGER NOT NULL,
    time REAL NOT NULL
) STRICT;
CREATE TABLE deletions (
    count INTEGER NOT NULL
) STRICT;
INSERT INTO deletions VALUES (0);
"""
SIGHTING = """
SELECT photo.id, person.name, camera, time, sequence, frame, file, added
FROM photo LEFT JOIN person ON person.id = photo.person
"""
IN_ONE_ROW = """
SELECT json_group_array(json_array(
    id, name, camera, iif(time IS NULL, NULL, json(printf('%!.17g', time))),
    sequence, frame, file, json(printf('%!.17g', added))
)) FROM ({})
"""
"""Many sightings as one text: Python may change threads at each row of an answer, and under load it
does. SQLite alone would write 15 digits of a number."""


@dataclass
class _InMemory:
    """The embeddings of a model that this process has loaded."""

    vectors: Vectors
    last: int = 0
    """The highest id of a photo."""
    deletions: int = 0
    """The index's count of deletions when they were loaded."""


class SqliteIndex(Index):
    """An index in a folder."""

    def __init__(self, folder: Path) -> None:
        """Open the index of a folder, or create it.

        Raises:
            UserError: the file is not an index, is damaged, or can't be written.
        """
        self.file = folder / FILE
        self._local = threading.local()
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._connecting = threading.Lock()
        self._loading = threading.Lock()
        self._loaded: dict[str, _InMemory] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(f"{folder} can't be made: {first_line(e)}.") from e
        with self._writing() as sql:
            (version,) = sql.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in TABLES.split(";\n"):
                    sql.execute(statement)
                sql.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise UserError(
                    f"{self.file} was made by another version of this tool (its tables are version "
                    f"{version}, not {VERSION}). Build the index again in a new folder."
                )

    def _sql(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        if not hasattr(self._local, "connection"):
            with self._messages():
                connection = sqlite3.connect(
                    self.file, timeout=WAIT, isolation_level=None, check_same_thread=False
                )
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
            with self._connecting:
                for thread in [t for t in self._connections if not t.is_alive()]:
                    self._connections.pop(thread).close()
                self._connections[threading.current_thread()] = connection
        return self._local.connection

    @contextmanager
    def _messages(self) -> Iterator[None]:
        """Turn SQLite's errors into messages that say what to do."""
        try:
            yield
        except sqlite3.OperationalError as e:
            advice = {
                "SQLITE_BUSY": "another process is using it; try again when that is done",
                "SQLITE_FULL": "the disk is full; nothing was lost. Free some space, and try again",
                "SQLITE_IOERR_WRITE": "the disk is full or broken; nothing was lost. Free some "
                "space, and try again",
            }.get(e.sqlite_errorname, str(e))
            raise UserError(f"{self.file}: {advice}.") from e
        except sqlite3.DatabaseError as e:
            raise UserError(f"{self.file} is not an index, or is damaged ({e}).") from e

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that writes: all of it is on the disk when the block ends, or none."""
        sql = self._sql()
        with self._messages():
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield sql
                sql.execute("COMMIT")
            except BaseException:
                if sql.in_transaction:
                    sql.execute("ROLLBACK")
                raise

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._messages():
            return self._sql().execute(statement, values).fetchall()

    def _rows_of(self, statement: str, ids: Sequence[Any], *values: Any) -> list[Any]:
        """Run a statement with ``{}`` in the place of a list, for a list of any length."""
        rows = []
        for start in range(0, len(ids), AT_ONCE):
            part = ids[start : start + AT_ONCE]
            marks = ",".join("?" * len(part))
            rows += self._rows(statement.format(marks), (*values, *part))
        return rows

    def models(self) -> list[Model]:
        """See `Index.models`."""
        return [
            Model(*row)
            for row in self._rows(
                "SELECT sha256, name, dimension FROM model WHERE answers "
                "ORDER BY is_current DESC, id"
            )
        ]

    def _model_id(self, sha256: str) -> int:
        rows = self._rows("SELECT id FROM model WHERE sha256 = ?", (sha256,))
        if not rows:
            raise StaleModelError("the index has no embeddings of this model.")
        return int(rows[0][0])

    def begin_model(self, model: Model) -> None:
        """See `Index.begin_model`."""
        with self._writing() as sql:
            (there,) = sql.execute("SELECT count(*) FROM model WHERE answers").fetchone()
            sql.execute(
                "INSERT OR IGNORE INTO model (sha256, name, dimension, answers, is_current) "
                "VALUES (?, ?, ?, ?, ?)",
                (model.sha256, model.name, model.dimension, not there, not there),
            )

    def finish_model(self, sha256: str, switch: bool) -> bool:
        """See `Index.finish_model`."""
        model = self._model_id(sha256)
        with self._writing() as sql:
            (missing,) = sql.execute(
                "SELECT (SELECT count(*) FROM photo) - "
                "(SELECT count(*) FROM embedding WHERE model = ?)",
                (model,),
            ).fetchone()
            if missing:
                return False
            sql.execute("UPDATE model SET answers = 1 WHERE id = ?", (model,))
            if switch:
                sql.execute("UPDATE model SET is_current = (id = ?)", (model,))
                sql.execute("DELETE FROM embedding WHERE model <> ?", (model,))
                sql.execute("DELETE FROM model WHERE id <> ?", (model,))
        if switch:
            self._empty_journal()
        return True

    def drop_model(self, sha256: str) -> None:
        """See `Index.drop_model`."""
        model = self._model_id(sha256)
        with self._writing() as sql:
            self.refuse_current(sha256, self.current_model())
            sql.execute("DELETE FROM embedding WHERE model = ?", (model,))
            sql.execute("DELETE FROM model WHERE id = ?", (model,))
        self._empty_journal()

    def known(self, hashes: Sequence[str]) -> dict[str, str | None]:
        """See `Index.known`."""
        return dict(
            self._rows_of(
                "SELECT sha256, person.name FROM photo LEFT JOIN person "
                "ON person.id = photo.person WHERE sha256 IN ({})",
                hashes,
            )
        )

    def add(self, photos: Sequence[NewPhoto], embeddings: Mapping[str, np.ndarray]) -> int:
        """See `Index.add`."""
        added = 0
        with self._writing() as sql:
            models = dict(sql.execute("SELECT sha256, id FROM model WHERE answers").fetchall())
            if not models:
                self.current_model()
            if models.keys() != embeddings.keys():
                raise StaleModelError("the index's model changed meanwhile. Try again.")
            for number, photo in enumerate(photos):
                row = _photo_row(photo, _person_id(sql, photo.person))
                done = sql.execute(
                    "INSERT OR IGNORE INTO photo (sha256, person, camera, time, sequence, frame, "
                    "file, added, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
                if done.rowcount:
                    added += 1
                    sql.executemany(
                        "INSERT INTO embedding VALUES (?, ?, ?)",
                        [
                            (models[sha256], done.lastrowid, vectors[number].tobytes())
                            for sha256, vectors in embeddings.items()
                        ],
                    )
        return added

    def without_embedding(self, sha256: str, count: int) -> dict[int, bytes]:
        """See `Index.without_embedding`."""
        return dict(
            self._rows(
                "SELECT id, content FROM photo WHERE id NOT IN "
                "(SELECT photo FROM embedding WHERE model = ?) ORDER BY id LIMIT ?",
                (self._model_id(sha256), count),
            )
        )

    def add_embeddings(self, sha256: str, embeddings: Mapping[int, np.ndarray]) -> None:
        """See `Index.add_embeddings`."""
        model = self._model_id(sha256)
        with self._writing() as sql:
            # A photo that was forgotten meanwhile has no row any more.
            sql.executemany(
                "INSERT OR IGNORE INTO embedding SELECT ?, id, ? FROM photo WHERE id = ?",
                [(model, vector.tobytes(), photo) for photo, vector in embeddings.items()],
            )

    def _embeddings(self, model: int, dimension: int, ids: Ids) -> np.ndarray:
        """Read the embeddings of some photos, float32 (n, d), in the order of the ids.

        A photo that was deleted meanwhile has zeros.
        """
        order = [int(photo) for photo in ids]
        rows = self._rows_of(
            "SELECT photo, vector FROM embedding WHERE model = ? AND photo IN ({})", order, model
        )
        vectors = {photo: np.frombuffer(vector, np.float32) for photo, vector in rows}
        nothing = np.zeros(dimension, np.float32)
        return np.stack([vectors.get(photo, nothing) for photo in order])

    def _dimension(self, sha256: str) -> int:
        """Return the length of the embeddings of a model that answers."""
        for model in self.models():
            if model.sha256 == sha256:
                return model.dimension
        raise StaleModelError("the index does not answer for this model, or not any more.")

    def _vectors(self, sha256: str) -> Vectors:
        """Return the embeddings of a model in memory, with all that other processes wrote."""
        known = {model.sha256 for model in self.models()}
        model, dimension = self._model_id(sha256), self._dimension(sha256)

        def exact(ids: Ids) -> np.ndarray:
            return self._embeddings(self._model_id(sha256), dimension, ids)

        with self._loading:
            for gone in self._loaded.keys() - known:
                del self._loaded[gone]
            if sha256 not in self._loaded:
                self._loaded[sha256] = _InMemory(Vectors(dimension, exact))
            memory = self._loaded[sha256]
            ((deletions,),) = self._rows("SELECT count FROM deletions")
            if deletions != memory.deletions:
                there = {row[0] for row in self._rows("SELECT id FROM photo")}
                memory.vectors.remove(sorted(set(memory.vectors.ids().tolist()) - there))
                memory.deletions = deletions
            while rows := self._rows(
                "SELECT photo, vector FROM embedding WHERE model = ? AND photo > ? "
                "ORDER BY photo LIMIT ?",
                (model, memory.last, AT_ONCE),
            ):
                ids = [photo for photo, _ in rows]
                flat = np.frombuffer(b"".join(vector for _, vector in rows), np.float32)
                memory.vectors.add(ids, flat.reshape(len(rows), dimension))
                memory.last = ids[-1]
            return memory.vectors

    def search(
        self, embeddings: np.ndarray, sha256: str, count: int, among: Filter = EVERYTHING
    ) -> list[list[Hit]]:
        """See `Index.search`."""
        while True:
            vectors = self._vectors(sha256)
            ids = self._ids(among)
            similarities, found = vectors.search(embeddings, min(count, max(len(vectors), 1)), ids)
            wanted = sorted({int(photo) for photo in found.ravel() if photo >= 0})
            there = self._sightings("photo.id IN ({})", wanted)
            if len(there) == len(wanted):
                break
            # Another process deleted some of these photos at this moment.
        sightings = {sighting.id: sighting for sighting in there}
        return [
            [
                Hit(sightings[photo], similarity)
                for photo, similarity in zip(photos, scores, strict=True)
                if photo in sightings
            ]
            for photos, scores in zip(found.tolist(), similarities.tolist(), strict=True)
        ]

    def _ids(self, among: Filter) -> list[int] | None:
        """Return the ids of the photos that pass a filter, or None if all of them do."""
        condition, values = _condition(among)
        if not condition:
            return None
        return [row[0] for row in self._rows(f"SELECT id FROM ({SIGHTING}{condition})", values)]

    def sample(self, sha256: str, count: int) -> tuple[list[str], np.ndarray]:
        """See `Index.sample`."""
        model, dimension = self._model_id(sha256), self._dimension(sha256)
        named = self._rows(
            "SELECT photo.id, person.name FROM photo JOIN person ON person.id = photo.person "
            "ORDER BY photo.id"
        )
        if not named:
            return [], np.empty((0, dimension), np.float32)
        places = np.linspace(0, len(named) - 1, min(count, len(named))).astype(int)
        chosen = [named[place] for place in places]
        return [name for _, name in chosen], self._embeddings(
            model, dimension, [photo for photo, _ in chosen]
        )

    def people(self) -> list[Person]:
        """See `Index.people`."""
        rows = self._rows(
            "SELECT name, count(*), group_concat(DISTINCT camera) FROM photo "
            "JOIN person ON person.id = photo.person GROUP BY person.id ORDER BY name"
        )
        return [
            Person(name, photos, sorted(map(int, cameras.split(","))) if cameras else [])
            for name, photos, cameras in rows
        ]

    def sightings(self, people: Sequence[str]) -> list[Sighting]:
        """See `Index.sightings`."""
        # Joined by name, all photos would be read.
        found = self._sightings(
            "photo.person IN (SELECT id FROM person WHERE name IN ({}))", people
        )
        return sorted(found, key=lambda sighting: sighting.id)

    def _sightings(self, condition: str, wanted: Sequence[Any]) -> list[Sighting]:
        """Return the sightings that fulfil a condition with ``{}`` in the place of a list."""
        texts = self._rows_of(IN_ONE_ROW.format(f"{SIGHTING} WHERE {condition}"), wanted)
        return [Sighting(*row) for (text,) in texts for row in json.loads(text)]

    def photo(self, photo: int) -> tuple[Sighting, bytes] | None:
        """See `Index.photo`."""
        rows = self._rows(f"{SIGHTING} WHERE photo.id = ?", (photo,))
        content = self._rows("SELECT content FROM photo WHERE id = ?", (photo,))
        return (Sighting(*rows[0]), content[0][0]) if rows and content else None

    def size(self) -> int:
        """See `Index.size`."""
        return int(self._rows("SELECT count(*) FROM photo")[0][0])

    def _delete(self, condition: str, value: Any) -> int:
        """Delete photos and all that belongs to them. Return their number."""
        with self._writing() as sql:
            chosen = f"(SELECT id FROM photo WHERE {condition})"
            sql.execute(f"DELETE FROM judgement WHERE photo IN {chosen}", (value,))
            sql.execute(f"DELETE FROM embedding WHERE photo IN {chosen}", (value,))
            done = sql.execute(f"DELETE FROM photo WHERE {condition}", (value,))
            sql.execute(
                "DELETE FROM person WHERE id NOT IN (SELECT person FROM photo "
                "WHERE person IS NOT NULL)"
            )
            sql.execute("UPDATE deletions SET count = count + 1")
        self._empty_journal()
        return done.rowcount

    def _empty_journal(self) -> None:
        """Move the journal's pages into the file, which holds zeros where something was deleted.

        Raises:
            UserError: somebody was reading all the time.
        """
        deadline = time.monotonic() + WAIT
        while self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self.file}: deleted, but {FILE}-wal still holds old pages, because another "
                    "process is reading. Close it, and run `python -m reid index info`."
                )
            time.sleep(0.05)

    def forget(self, person: str) -> int:
        """See `Index.forget`."""
        return self._delete("person = (SELECT id FROM person WHERE name = ?)", person)

    def expire(self, before: float) -> int:
        """See `Index.expire`."""
        with self._writing() as sql:
            sql.execute("DELETE FROM judgement WHERE time < ?", (before,))
        return self._delete("coalesce(time, added) < ?", before)

    def judge(self, judgement: Judgement) -> None:
        """See `Index.judge`."""
        j = judgement
        with self._writing() as sql:
            if not sql.execute("SELECT 1 FROM photo WHERE id = ?", (j.photo,)).fetchone():
                raise UnknownPhotoError(j.photo)
            sql.execute(
                "INSERT INTO judgement VALUES (?, ?, ?, ?, ?, ?)",
                (j.query, j.photo, j.similarity, j.model, j.right, j.time),
            )

    def judgements(self) -> Iterable[Judgement]:
        """See `Index.judgements`."""
        for query, photo, person, similarity, model, right, when in self._rows(
            "SELECT query, photo.id, person.name, similarity, model, is_right, judgement.time "
            "FROM judgement JOIN photo ON photo.id = judgement.photo "
            "LEFT JOIN person ON person.id = photo.person ORDER BY judgement.rowid"
        ):
            yield Judgement(query, photo, person, similarity, model, bool(right), when)

    def close(self) -> None:
        """See `Index.close`."""
        with self._connecting:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()
            self._local = threading.local()


def _person_id(sql: sqlite3.Connection, name: str | None) -> int | None:
    """Return the id of a person, who is added if there is none of this name."""
    if name is None:
        return None
    sql.execute("INSERT OR IGNORE INTO person (name) VALUES (?)", (name,))
    (person,) = sql.execute("SELECT id FROM person WHERE name = ?", (name,)).fetchone()
    return int(person)


def _photo_row(photo: NewPhoto, person: int | None) -> tuple[Any, ...]:
    return (
        photo.sha256,
        person,
        photo.camera,
        photo.time,
        photo.sequence,
        photo.frame,
        photo.file,
        time.time(),
        photo.content,
    )


def _condition(among: Filter) -> tuple[str, list[Any]]:
    """Return the SQL of a filter, and its values. An empty filter has none."""
    parts: list[str] = []
    values: list[Any] = []

    def isin(column: str, wanted: Iterable[Any]) -> str:
        listed = list(wanted)
        values.extend(listed)
        return f"{column} IN ({','.join('?' * len(listed))})"

    if among.cameras:
        parts.append(isin("camera", among.cameras))
    if among.not_cameras:
        parts.append(f"NOT coalesce({isin('camera', among.not_cameras)}, 0)")
    if among.people:
        parts.append(isin("person.name", among.people))
    if among.since is not None:
        parts.append("time >= ?")
        values.append(among.since)
    if among.until is not None:
        parts.append("time < ?")
        values.append(among.until)
    return (f" WHERE {' AND '.join(parts)}", values) if parts else ("", [])
