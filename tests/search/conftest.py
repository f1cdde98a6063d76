"""What tests of the search tool share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.sqlite_index import SqliteIndex
from search.tool import SearchTool
from tests.support.colour_network import write_colour_network


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
