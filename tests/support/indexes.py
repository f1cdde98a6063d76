"""Indexes of photos for tests: places that hold one, and photos to put in."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymilvus import MilvusClient

from search.index import Index, open_index
from search.records import Model, NewPhoto

DIMENSION = 8
FIRST = Model(64 * "a", "models:/reid/1", DIMENSION)
SECOND = Model(64 * "b", "models:/reid/2", DIMENSION)


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    """Return random embeddings, float32 (count, dimension)."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def new_photo(
    number: int,
    person: str | None = "Ada",
    camera: int | None = 1,
    time: float | None = None,
) -> NewPhoto:
    """Make a photo: different bytes for each number, which nobody has to decode."""
    content = np.random.default_rng(number).bytes(300)
    sha256 = hashlib.sha256(content).hexdigest()
    return NewPhoto(content, sha256, f"photo-{number:05}.jpg", person, camera, time, number, 7)


def vectors_of(photos: Sequence[NewPhoto], model: Model = FIRST) -> np.ndarray:
    """Return the embeddings of photos, float32 (n, d): random, but always the same for a photo."""
    seeds = [int(photo.sha256[:8], 16) ^ int(model.sha256[:8], 16) for photo in photos]
    return np.concatenate([unit_vectors(1, seed, model.dimension) for seed in seeds])


def add(index: Index, *photos: NewPhoto) -> int:
    """Add photos with embeddings for all models that answer."""
    return index.add(photos, {m.sha256: vectors_of(photos, m) for m in index.models()})


class Store(ABC):
    """A place that holds an index, which may be opened several times."""

    def __init__(self, opened: ExitStack) -> None:
        """Close all indexes with the stack."""
        self._opened = opened

    @abstractmethod
    def address(self) -> tuple[str, Path]:
        """Return the arguments of `open_index`."""

    @abstractmethod
    def contents(self) -> Iterator[bytes]:
        """Return the contents of all files of the index."""

    def open(self) -> Index:
        """Open the index."""
        index = open_index(*self.address())
        self._opened.callback(index.close)
        return index

    def opened(self, *models: Model) -> Index:
        """Open the index; some models answer in it."""
        index = self.open()
        for model in models:
            index.begin_model(model)
            assert index.finish_model(model.sha256, switch=False)
        return index

    def found(self, *searched: bytes) -> list[bytes]:
        """Return which of some bytes are in any file of the index."""
        contents = list(self.contents())
        return [word for word in searched if any(word in content for content in contents)]


class SqliteStore(Store):
    """A folder with an index."""

    def __init__(self, opened: ExitStack, folder: Path) -> None:
        """Use a folder."""
        super().__init__(opened)
        self.folder = folder

    def address(self) -> tuple[str, Path]:
        """See `Store.address`."""
        return "", self.folder

    def contents(self) -> Iterator[bytes]:
        """See `Store.contents`."""
        for file in self.folder.iterdir():
            yield file.read_bytes()


class MilvusStore(Store):
    """A database of a Milvus server."""

    def __init__(self, opened: ExitStack, server: str, files: Path, database: str) -> None:
        """Use a database, which is created.

        Args:
            opened: closes the connections.
            server: the address of the server.
            files: the folder of the server's files.
            database: the name of the database.
        """
        super().__init__(opened)
        self.files = files / "databases" / database
        MilvusClient(server).create_database(database)
        self.uri = f"{server}/{database}"
        self.client = MilvusClient(self.uri)
        opened.callback(self.client.close)

    def address(self) -> tuple[str, Path]:
        """See `Store.address`."""
        return self.uri, Path("unused")

    def contents(self) -> Iterator[bytes]:
        """See `Store.contents`; those of Parquet files are unpacked, too."""
        for name in self.client.list_collections():
            self.client.flush(name)
        for file in self.files.rglob("*"):
            if file.is_file():
                yield file.read_bytes()
            if file.suffix == ".parquet":
                yield unpacked(pq.read_table(file))


def unpacked(table: pa.Table) -> bytes:
    """Return the bytes of a table without compression."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())
