"""Places that hold an index: a folder, or a database of a Milvus server."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pymilvus import MilvusClient

from search.index import Index, open_index
from search.records import Model


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
        # A shared connection stays open, and Milvus Lite may end it after a long rest.
        creator = MilvusClient(server, dedicated=True)
        creator.create_database(database)
        creator.close()
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
