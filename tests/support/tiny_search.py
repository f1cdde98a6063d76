"""A search tool over a few drawn photos, and its service."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
from PIL import Image

from reid.data import paths
from search.enrolment import Entry, add_photos, embed_with
from search.service.app import make_app
from search.service.keys import Keys
from search.sqlite_index import SqliteIndex
from search.tool import SearchTool

PEOPLE, PHOTOS = 30, 4
"""The people of the tiny index, and the photos of each: one per camera, from 1 on."""
STRANGER = 1_000
"""Somebody whom the tiny index does not have."""
HOUR = 3_600
BEGIN = 1_767_225_600
"""The start of 2026. Person n was seen n hours later, by each camera a minute after the other."""


def person_photo(person: int, photo: int, width: int = 64, height: int = 128) -> bytes:
    """Draw a photo of coloured blocks. Those of one person have nearly the same colours."""
    colours = np.random.default_rng(person).integers(0, 256, (4, 2, 3))
    shades = np.random.default_rng([person, photo]).integers(-12, 13, colours.shape)
    pixels = np.clip(colours + shades, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST).save(file, "JPEG")
    return file.getvalue()


def make_tool(folder: Path, network: Path, entries: Sequence[Entry]) -> SearchTool:
    """Make an index with some photos in a folder."""
    tool = SearchTool(SqliteIndex(folder), folder)
    tool.index.begin_model(tool.networks.install(str(network)).model)
    add_photos(tool.index, tool.networks, entries)
    return tool


def make_tiny_tool(folder: Path, network: Path) -> SearchTool:
    """Make an index of `PEOPLE` people, called ``person 1`` and so on, in a folder."""
    entries = [
        Entry(
            partial(person_photo, person, camera),
            f"person {person}",
            f"{person}_{camera}.jpg",
            camera,
            BEGIN + HOUR * person + 60.0 * camera,
        )
        for person in range(1, PEOPLE + 1)
        for camera in range(1, PHOTOS + 1)
    ]
    return make_tool(folder, network, entries)


def add_model(tool: SearchTool, network: Path) -> None:
    """Let a second model answer, too."""
    model = tool.networks.install(str(network)).model
    embed_with(tool.index, tool.networks, model, switch=False)


def write_queries(dataset: Path) -> Path:
    """Write the query photos of a data set: photos of the people 1 to 3 that no index has."""
    rows = [
        {"name": f"{pid}.jpg", "pid": pid, "camid": 9, "image": person_photo(pid, 99)}
        for pid in (1, 2, 3)
    ]
    dataset.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), paths.subset_file(dataset, "query"))
    return dataset


@contextmanager
def running(
    tool: SearchTool, keys: Keys | None = None, dataset: Path | None = None
) -> Iterator[str]:
    """Serve a tool on a free port, from a thread of this process. Yield the base URL.

    Args:
        tool: the tool.
        keys: who may use it; everybody if None.
        dataset: a data set whose queries the page offers; none if None.
    """
    nothing = tool.folder / "no data set"
    app = make_app(tool, keys or Keys([]), only_local=True, dataset=dataset or nothing)
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the service ended before it began"
        (port,) = {s.getsockname()[1] for s in server.servers[0].sockets}
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
