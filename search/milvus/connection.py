"""A connection to a Milvus server: calls with a time limit, and errors that say what to do."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
from grpc import RpcError
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import ErrorCode, MilvusException

from reid.common.errors import UserError, first_line, without_credentials

SCHEMES = ("http", "https", "tcp")
TIMEOUT = 60
"""Seconds after which a call is given up. pymilvus ignores some that are no integers."""
CONNECT_TIMEOUT = 10.0
"""Seconds after which connecting is given up."""
MOST_HITS = 16_384
"""The most rows that Milvus gives for one search."""
HITS_AT_ONCE = 1_000
"""The hits that are fetched at once if more than ``MOST_HITS`` are wanted."""
LONGEST_TEXT = 65_535
"""The most bytes in a text of Milvus."""
LARGEST = 1e300
WRITTEN_AT_ONCE = 256
"""The rows of one write: up to 60 KB each, and servers take 64 MB."""
IDS_AT_ONCE = 4_096
"""The ids in one expression."""

REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "auth check failure", "permission deny")
"""What Milvus says when it does not know the user, or the user may not do something."""
SILENCES = ("Fail connecting", "UNAVAILABLE", "DEADLINE_EXCEEDED")
"""What pymilvus says when the server does not answer."""

NOT_LOADED = 101
"""Milvus's code for a collection that is there and can't be read."""

T = TypeVar("T")
Row = dict[str, Any]
Schema = Any


class MilvusError(UserError):
    """An answer of the server that says that a call failed."""


class MilvusConnection:
    """A connection to one database of a Milvus server. It may be used by several threads."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: ``http://host:19530``, if necessary with a database
                (``http://host:19530/photos``), a user (``http://user:password@host:19530``), or a
                token (``http://token@host:19530``). ``https`` for TLS.

        Raises:
            UserError: there is no such server, or it refuses the user.
        """
        self.place = without_credentials(address)
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        url = urlsplit(address)
        try:
            # pymilvus leaves the escapes in a URL's password as they are.
            user, password = unquote(url.username or ""), unquote(url.password or "")
            is_address = url.scheme in SCHEMES and url.hostname and url.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise UserError(
                f"{self.place!r} is not the address of a Milvus server. Give one such as "
                "http://host:19530, or leave it empty for the index in a folder."
            )
        host = url.netloc.rpartition("@")[2]
        with self._messages():
            self._client = MilvusClient(
                uri=urlunsplit((url.scheme, host, url.path, "", "")),
                token=f"{user}:{password}" if password else user,
                timeout=CONNECT_TIMEOUT,
            )

    @contextmanager
    def _messages(self) -> Iterator[None]:
        """Turn the server's errors into messages that say what to do."""
        try:
            yield
        except (MilvusException, RpcError) as e:
            raise MilvusError(f"{self.place}: {_advice(e)}") from e

    def _ask(self, collection: str, ask: Callable[[], T]) -> T:
        """Read from a collection, which is loaded if the server or its admin released it."""
        with self._messages():
            try:
                return ask()
            except MilvusException as e:
                if e.code != NOT_LOADED:
                    raise
            self.load(collection)
            return ask()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def collections(self) -> list[str]:
        """Return the names of all collections."""
        with self._messages():
            return list(self._client.list_collections(timeout=TIMEOUT))

    def fields(self, collection: str) -> list[str] | None:
        """Return the names of a collection's fields, or None if there is no such collection."""
        with self._messages():
            try:
                facts = self._client.describe_collection(collection, timeout=TIMEOUT)
            except MilvusException as e:
                if e.code == ErrorCode.COLLECTION_NOT_FOUND:
                    return None
                raise
            return [field["name"] for field in facts["fields"]]

    def new_schema(self, description: str = "") -> Schema:
        """Return a schema without fields."""
        return MilvusClient.create_schema(
            auto_id=False, enable_dynamic_field=False, description=description
        )

    def create(self, collection: str, schema: Schema) -> None:
        """Create a collection that can be written and searched at once."""
        self.create_bare(collection, schema)
        self.load(collection)

    def create_bare(self, collection: str, schema: Schema) -> None:
        """Create a collection without an index. Only one of several callers succeeds."""
        with self._messages():
            self._client.create_collection(
                collection, schema=schema, consistency_level="Strong", timeout=TIMEOUT
            )

    def load(self, collection: str) -> None:
        """Make a collection searchable that somebody released, or whose creation was cut short."""
        with self._messages():
            if not self._client.list_indexes(collection, timeout=TIMEOUT):
                index = MilvusClient.prepare_index_params()
                index.add_index("vector", index_type="FLAT", metric_type="IP")
                self._client.create_index(collection, index, timeout=TIMEOUT, sync=False)
            self._client.load_collection(collection, timeout=TIMEOUT)

    def drop(self, collection: str) -> None:
        """Delete a collection with all that it holds, if there is one."""
        with self._messages():
            self._client.drop_collection(collection, timeout=TIMEOUT)

    def write(self, collection: str, rows: Sequence[Row]) -> None:
        """Write rows. A row whose id is there is replaced."""
        with self._messages():
            for start in range(0, len(rows), WRITTEN_AT_ONCE):
                part = list(rows[start : start + WRITTEN_AT_ONCE])
                self._client.upsert(collection, part, timeout=TIMEOUT)

    def delete(self, collection: str, condition: str) -> None:
        """Delete rows. Their bytes stay in the server's files until the collection is dropped."""
        with self._messages():
            self._client.delete(collection, filter=condition, timeout=TIMEOUT)

    def count(self, collection: str, condition: str = "") -> int:
        """Return the number of rows that a condition holds for."""
        (row,) = self._ask(
            collection,
            lambda: self._client.query(
                collection, filter=condition, output_fields=["count(*)"], timeout=TIMEOUT
            ),
        )
        return int(row["count(*)"])

    def pages(
        self, collection: str, condition: str, fields: Sequence[str], size: int
    ) -> Iterator[list[Row]]:
        """Read all rows that a condition holds for, in the order of their ids."""
        rows = self._ask(
            collection,
            lambda: self._client.query_iterator(
                collection,
                filter=condition,
                output_fields=list(fields),
                batch_size=size,
                timeout=TIMEOUT,
            ),
        )
        try:
            while True:
                with self._messages():
                    page = rows.next()
                if not page:
                    return
                yield list(page)
        finally:
            rows.close()

    def rows(self, collection: str, ids: Sequence[int], fields: Sequence[str]) -> dict[int, Row]:
        """Read the rows that have some ids, by id."""
        found: dict[int, Row] = {}
        for start in range(0, len(ids), IDS_AT_ONCE):
            ask = partial(
                self._client.query,
                collection,
                filter=isin("id", ids[start : start + IDS_AT_ONCE]),
                output_fields=list(fields),
                timeout=TIMEOUT,
            )
            found.update((row["id"], row) for row in self._ask(collection, ask))
        return found

    def search(
        self,
        collection: str,
        queries: np.ndarray,
        count: int,
        condition: str,
        fields: Sequence[str],
    ) -> list[list[tuple[Row, float]]]:
        """Find the rows whose vectors have the largest inner products with each of m queries.

        Args:
            collection: the collection.
            queries: float32 (m, d).
            count: how many to find.
            condition: which rows may be found.
            fields: the fields that are returned.
        """
        if count > MOST_HITS:
            return [
                list(self._many_hits(collection, query, count, condition, fields))
                for query in queries
            ]
        found: list[list[tuple[Row, float]]] = []
        at_once = max(1, MOST_HITS // count)
        for start in range(0, len(queries), at_once):
            ask = partial(
                self._client.search,
                collection,
                data=list(queries[start : start + at_once]),
                limit=count,
                filter=condition,
                output_fields=list(fields),
                search_params={"metric_type": "IP"},
                timeout=TIMEOUT,
            )
            found += [_hits(answer) for answer in self._ask(collection, ask)]
        return found

    def _many_hits(
        self, collection: str, query: np.ndarray, count: int, condition: str, fields: Sequence[str]
    ) -> Iterator[tuple[Row, float]]:
        ask = partial(
            self._client.search_iterator,
            collection,
            data=[query],
            batch_size=HITS_AT_ONCE,
            limit=count,
            filter=condition,
            output_fields=list(fields),
            search_params={"metric_type": "IP"},
            timeout=TIMEOUT,
        )
        pages = self._ask(collection, ask)
        try:
            while True:
                with self._messages():
                    page = pages.next()
                if not page:
                    return
                yield from _hits(page)
        finally:
            pages.close()


def _hits(answer: Iterable[Any]) -> list[tuple[Row, float]]:
    return [({"id": hit["id"], **hit["entity"]}, float(hit["distance"])) for hit in answer]


def isin(field: str, numbers: Iterable[int]) -> str:
    """Return the condition that a field is one of some integers."""
    return f"{field} in [{', '.join(str(int(number)) for number in numbers)}]"


def real(number: float) -> str:
    """Return a number for a condition. Infinity, which Milvus can't read, becomes very large."""
    return repr(max(-LARGEST, min(LARGEST, float(number))))


def add_number(schema: Schema, name: str, is_real: bool = False, nullable: bool = False) -> None:
    """Add a number to a schema."""
    kind = DataType.DOUBLE if is_real else DataType.INT64
    schema.add_field(name, kind, nullable=nullable)


def add_text(schema: Schema, name: str, nullable: bool = False, on_disk: bool = False) -> None:
    """Add a text to a schema; one that stays on the disk costs the server no memory."""
    options = {"mmap_enabled": True} if on_disk else {}
    schema.add_field(name, DataType.VARCHAR, max_length=LONGEST_TEXT, nullable=nullable, **options)


def add_key_and_vector(schema: Schema, dimension: int) -> None:
    """Add the id and the vector, which each collection of Milvus has, to a schema."""
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)


def _advice(error: MilvusException | RpcError) -> str:
    # pymilvus says of a refused user that the server can't be reached, and keeps the reason.
    text = f"{error} {error.__cause__}"
    if any(word in text for word in REFUSALS):
        return (
            "the Milvus server refuses the user. Put user and password (http://user:password@host) "
            "or a token (http://token@host) into SEARCH_INDEX, or ask its admin for the rights."
        )
    if any(word in text for word in SILENCES):
        return (
            "no Milvus server answers. Check the address in SEARCH_INDEX, and that the server is "
            "running."
        )
    if not isinstance(error, MilvusException):
        return f"the Milvus server answers: {first_line(error)}. Its log may say more."
    message = first_line(Exception(error.message))
    if error.code == ErrorCode.COLLECTION_NOT_FOUND:
        return f"{message}. Somebody deleted it: build the index again in an empty database."
    return f"the Milvus server answers: {message} (code {error.code}). Its log may say more."
