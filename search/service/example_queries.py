"""Query photos of the pipeline's data set, to try a search without a photo of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from reid.data import paths
from reid.data.dataset import read_columns, read_images
from reid.data.market import person_name

COUNT = 12


@dataclass(frozen=True)
class ExampleQuery:
    """A query photo of the data set."""

    number: int
    """Its row in the data set."""
    label: str
    """Who it is, and the camera."""
    content: bytes


def example_queries(dataset: Path) -> Sequence[ExampleQuery]:
    """Return a few query photos, spread evenly over the data set. None if there is no data set."""
    file = paths.subset_file(dataset, "query")
    return _read(dataset, file.stat().st_mtime_ns) if file.exists() else ()


@lru_cache(1)
def _read(dataset: Path, _version: int) -> Sequence[ExampleQuery]:
    columns = read_columns(dataset, "query", ("pid", "camid"))
    size = len(columns["pid"])
    rows = [int(row) for row in np.linspace(0, size - 1, min(COUNT, size))]
    return [
        ExampleQuery(
            row, f"{person_name(columns['pid'][row])}, camera {columns['camid'][row]}", content
        )
        for row, content in zip(rows, read_images(dataset, "query", rows), strict=True)
    ]
