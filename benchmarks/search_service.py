"""Load the search service: ``python -m benchmarks.search_service [MINUTES]``.

The index has 19,732 photos, the size of Market-1501's gallery: drawn photos with random embeddings.
The service runs in a process of its own. First one client searches alone, then eight search while
two add photos. At the end, each photo that was acknowledged must be in the index.
"""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from reid.data import paths
from reid.data.dataset import read_columns
from search.records import NewPhoto
from search.sqlite_index import SqliteIndex
from search.tool import FOLDER, SearchTool

COUNT = 19_732
"""The images of Market-1501's gallery."""
PHOTOS_PER_PERSON = 25
ALONE_SECONDS = 20
SEARCHING, ADDING = 8, 2
MINUTES = 10.0
AT_ONCE = 1_000
NETWORK = paths.exported_folder(paths.TRIPLET)


@dataclass
class Load:
    """What clients saw."""

    searches: list[float] = field(default_factory=list)
    """The milliseconds of each search."""
    additions: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    """The people whose photo was added."""
    errors: list[str] = field(default_factory=list)


def fill(folder: Path, photos: list[bytes]) -> None:
    """Make an index of ``COUNT`` photos with random embeddings."""
    index = SqliteIndex(folder)
    tool = SearchTool(index, folder)
    model = tool.networks.install(str(NETWORK)).model
    index.begin_model(model)
    random = np.random.default_rng(0)
    for start in tqdm(range(0, COUNT, AT_ONCE), desc="index", unit="thousand"):
        rows = range(start, min(start + AT_ONCE, COUNT))
        vectors = random.normal(size=(len(rows), model.dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        new = [
            NewPhoto(
                photos[row % len(photos)],
                f"{row:064x}",
                f"{row}.jpg",
                f"person {row // PHOTOS_PER_PERSON}",
                camera=row % 6 + 1,
                frame=row,
            )
            for row in rows
        ]
        index.add(new, {model.sha256: vectors})
    index.close()


def until(deadline: float, act: Callable[[int], None]) -> None:
    """Do something again and again, with a number that counts."""
    number = 0
    while time.monotonic() < deadline:
        act(number)
        number += 1


def search(client: httpx2.Client, photos: list[bytes], load: Load, number: int) -> None:
    """Search for one photo."""
    began = time.perf_counter()
    photo = photos[number % len(photos)]
    answer = client.post("/search", files={"photos": ("q.jpg", photo)}, data={"top": 10})
    load.searches.append(1000 * (time.perf_counter() - began))
    if answer.status_code != 200 or len(answer.json()["people"]) != 10:
        load.errors.append(f"search: {answer.status_code}")


def add(client: httpx2.Client, photos: list[bytes], load: Load, who: int, number: int) -> None:
    """Add a photo of a new person. Bytes after the end of a JPEG file make it another file."""
    name = f"new {who}-{number}"
    photo = photos[number % len(photos)] + name.encode()
    began = time.perf_counter()
    answer = client.post(f"/people/{name}/photos", files={"photos": ("p.jpg", photo)})
    load.additions.append(1000 * (time.perf_counter() - began))
    if answer.status_code == 201:
        load.acknowledged.append(name)
    else:
        load.errors.append(f"add: {answer.status_code}")
    time.sleep(0.5)


def under_load(url: str, photos: list[bytes], seconds: float, searching: int, adding: int) -> Load:
    """Let clients work for some seconds."""
    load = Load()
    deadline = time.monotonic() + seconds
    with httpx2.Client(base_url=url, timeout=60) as client:
        threads = [
            threading.Thread(
                target=until,
                args=(deadline, lambda n, who=who: search(client, photos, load, n + 31 * who)),
            )
            for who in range(searching)
        ] + [
            threading.Thread(
                target=until, args=(deadline, lambda n, who=who: add(client, photos, load, who, n))
            )
            for who in range(adding)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return load


def percentiles(milliseconds: list[float]) -> tuple[str, str]:
    """Return the median and the 95th percentile."""
    if not milliseconds:
        return "-", "-"
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return f"{p50:.0f} ms", f"{p95:.0f} ms"


def started(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    """Start the service. Return its process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reid", "serve", "--port", "0"],
        env={FOLDER: str(folder), "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    address = re.search(r"http://\S+", process.stdout.readline())
    if not address:
        raise SystemExit("the service did not start")
    return process, address[0]


def main() -> None:
    """Print a table."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    photos = read_columns(paths.DATASET, "gallery", ("image",))["image"]
    table = Table(title=f"Search service, {COUNT:,} photos in the index")
    for column in (
        "clients",
        "searches/s",
        "search p50",
        "p95",
        "added",
        "p95",
        "memory",
        "errors",
    ):
        table.add_column(column, justify="right")
    with TemporaryDirectory() as folder:
        fill(Path(folder), photos)
        process, url = started(Path(folder))
        memory = psutil.Process(process.pid).memory_info
        under_load(url, photos, 5, searching=1, adding=0)
        acknowledged: list[str] = []
        for seconds, searching, adding in (
            (ALONE_SECONDS, 1, 0),
            (30 * minutes, SEARCHING, ADDING),
            (30 * minutes, SEARCHING, ADDING),
        ):
            load = under_load(url, photos, seconds, searching, adding)
            acknowledged += load.acknowledged
            table.add_row(
                f"{searching} + {adding}",
                f"{len(load.searches) / seconds:.0f}",
                *percentiles(load.searches),
                str(len(load.acknowledged)),
                percentiles(load.additions)[1],
                f"{memory().rss / 2**20:,.0f} MB",
                str(len(load.errors)),
            )
        process.send_signal(signal.SIGTERM)
        process.wait()
        people = {person.name for person in SqliteIndex(Path(folder)).people()}
        lost = [name for name in acknowledged if name not in people]
    Console().print(table)
    Console().print(f"{len(acknowledged):,} photos acknowledged, {len(lost):,} lost")


if __name__ == "__main__":
    main()
