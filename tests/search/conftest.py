"""Indexes that each test of this folder has for itself."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.indexes import MilvusStore, SqliteStore, Store
from tests.support.milvus_server import milvus_server


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a Milvus server and the folder of its files."""
    folder = tmp_path_factory.mktemp("milvus")
    with milvus_server(folder) as address:
        yield address, folder


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What is closed at the end of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def milvus_store(milvus: tuple[str, Path], opened: ExitStack) -> MilvusStore:
    """An empty database of the Milvus server."""
    server, folder = milvus
    return MilvusStore(opened, server, folder, f"test_{uuid.uuid4().hex}")


@pytest.fixture(params=["sqlite", "milvus"])
def store(request: pytest.FixtureRequest, tmp_path: Path, opened: ExitStack) -> Store:
    """An empty index of each kind."""
    if request.param == "sqlite":
        return SqliteStore(opened, tmp_path / "index")
    own: MilvusStore = request.getfixturevalue("milvus_store")
    return own
