"""What tests of the search tool share."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from search.sqlite_index import SqliteIndex
from search.tool import SearchTool
from tests.support.colour_network import write_colour_network
from tests.support.milvus_server import milvus_server
from tests.support.stores import MilvusStore, SqliteStore, Store
from tests.support.tiny_search import make_tiny_tool, running, write_queries


@pytest.fixture(scope="session")
def colour_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that compares colours."""
    return write_colour_network(tmp_path_factory.mktemp("colour_network"))


@pytest.fixture(scope="session")
def other_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another model."""
    return write_colour_network(tmp_path_factory.mktemp("other_network"), sign=-1)


@pytest.fixture
def sqlite_index(tmp_path: Path) -> Iterator[SqliteIndex]:
    """An empty index in a folder."""
    index = SqliteIndex(tmp_path / "index")
    yield index
    index.close()


@pytest.fixture
def empty_tool(sqlite_index: SqliteIndex, tmp_path: Path, colour_network: Path) -> SearchTool:
    """A search tool with a model and no photos."""
    tool = SearchTool(sqlite_index, tmp_path / "index")
    sqlite_index.begin_model(tool.networks.install(str(colour_network)).model)
    return tool


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


@pytest.fixture(scope="module")
def tiny_tool(
    tmp_path_factory: pytest.TempPathFactory, colour_network: Path
) -> Iterator[SearchTool]:
    """A tool with a few people, which the tests of a module share: leave it as it was."""
    tool = make_tiny_tool(tmp_path_factory.mktemp("tiny") / "index", colour_network)
    yield tool
    tool.index.close()


@pytest.fixture(scope="module")
def service(tiny_tool: SearchTool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service over the tiny tool, without keys."""
    dataset = write_queries(tmp_path_factory.mktemp("queries") / "dataset")
    with running(tiny_tool, dataset=dataset) as address:
        yield address
