"""Time embedding a gallery of Market-1501's size: ``python -m benchmarks.extraction [ENGINE...]``.

The gallery of the sample is repeated to 19,732 images. Each figure stands beside two limits that
are measured in turn with it: decoding alone, and the same engine fed with arrays that are ready.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from reid.data import paths
from reid.data.dataset import decoded_batches, read_columns
from reid.inference.engine import Engine, EngineName, load_engine
from reid.inference.export import export_network
from reid.model.backend import make_deterministic
from reid.model.network import load_network, retrieval_network
from reid.preparation.ingest import ROWS_PER_GROUP
from stages.extract import DECODED_AT_ONCE

COUNT = 19_732
"""The images of Market-1501's gallery."""
REPEATS = 3


def write_gallery(file: Path) -> None:
    """Write ``COUNT`` images in row groups as ``ingest`` does."""
    images = read_columns(paths.DATASET, "gallery", ("image",))["image"]
    repeated = [images[row % len(images)] for row in range(COUNT)]
    table = pa.table({"image": pa.array(repeated, pa.binary())})
    pq.write_table(
        table, file, row_group_size=ROWS_PER_GROUP, compression="none", use_dictionary=False
    )


def timed(steps: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the seconds of each step, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(REPEATS):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def exhaust(batches: Iterable[np.ndarray]) -> None:
    """Decode all batches."""
    for _ in batches:
        pass


def row(name: str, seconds: dict[str, list[float]]) -> tuple[str, ...]:
    """Return the row of an engine."""
    middle = {step: median(found) for step, found in seconds.items()}
    extract = seconds["extract"]
    return (
        name,
        f"{middle['extract']:.1f} ({min(extract):.1f}-{max(extract):.1f})",
        f"{COUNT / middle['extract']:.0f}",
        f"{middle['ready']:.1f}",
        f"{middle['decode']:.1f}",
        f"{middle['extract'] / middle['ready']:.2f}",
    )


def measured(engine: Engine, gallery: Path, folder: Path) -> dict[str, list[float]]:
    """Time one engine: from the parquet file to the ``.npy`` file, and its limits."""

    def batches() -> Iterable[np.ndarray]:
        return decoded_batches(gallery, DECODED_AT_ONCE, engine.height, engine.width)

    ready = list(batches())
    return timed(
        {
            "extract": lambda: np.save(folder / "gallery.npy", engine.embed(batches())),
            "ready": lambda: engine.embed(ready),
            "decode": lambda: exhaust(batches()),
        }
    )


def main(engines: Sequence[EngineName]) -> None:
    """Print a table of the engines, without and with mirrored images."""
    make_deterministic(0, os.cpu_count() or 1)
    network = load_network(paths.network_file(paths.model_folder(paths.TRIPLET), "final"))
    table = Table("engine", title=f"{COUNT:,} images, {os.cpu_count()} processors")
    for heading in ("seconds", "images/s", "fed ready", "decoding", "ratio"):
        table.add_column(heading, justify="right")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        gallery = folder / "gallery.parquet"
        write_gallery(gallery)
        for flip in (False, True):
            for name in engines:
                place = folder / f"{name} {flip}"
                place.mkdir()
                export_network(retrieval_network(network, flip), name, place)
                shown = f"{name}{', mirrored' if flip else ''}"
                table.add_row(*row(shown, measured(load_engine(place), gallery, folder)))
    Console().print(table)


if __name__ == "__main__":
    main(cast("list[EngineName]", sys.argv[1:]) or ["openvino"])
