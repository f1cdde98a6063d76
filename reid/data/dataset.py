"""Read the data set that ``ingest`` wrote."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reid.common.errors import UserError
from reid.data import paths
from reid.data.images import decode_all
from reid.data.market import SUBSETS

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VALIDATION = "train", "validation"
"""The folds of the training subset."""
NO_LABEL = -1
"""The label of held-out people: the softmax has no class for them."""


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist. `dvc repro ingest` makes it from data/.")
    return path


def read_source(dataset: Path) -> dict[str, Any]:
    """Read the data set's name, gallery folder, images per subset and ignored files per folder.

    Raises:
        UserError: the data set was not ingested.
    """
    return json.loads(_existing(paths.source_file(dataset)).read_text(encoding="utf-8"))


def read_subset(dataset: Path, subset: str, images: bool = False) -> "pd.DataFrame":
    """Read the rows of a subset.

    Args:
        dataset: the folder that ``ingest`` wrote.
        subset: ``train``, ``query`` or ``gallery``.
        images: whether to read the images' bytes, too.

    Returns:
        One row per image, sorted by name. Integers are nullable (Int32).

    Raises:
        UserError: the data set was not ingested.
    """
    # A search needs no pandas, whose import takes half a second.
    import pandas as pd  # noqa: PLC0415

    path = _existing(paths.subset_file(dataset, subset))
    columns = [name for name in pq.read_schema(path).names if images or name != "image"]
    table = pq.read_table(path, columns=columns)
    return table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype()}.get)


def read_columns(dataset: Path, subset: str, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Read some columns of a subset as lists, in the order of the rows.

    Raises:
        UserError: the data set was not ingested.
    """
    # `pq.read_table` would import pandas.
    with pq.ParquetFile(_existing(paths.subset_file(dataset, subset))) as file:
        return file.read(list(columns)).to_pydict()


def read_index(dataset: Path) -> "pd.DataFrame":
    """Read all three subsets without the images' bytes. The first column is ``subset``."""
    import pandas as pd  # noqa: PLC0415

    frames = [read_subset(dataset, subset) for subset in SUBSETS]
    index = pd.concat(frames, ignore_index=True)
    subsets = [s for s, f in zip(SUBSETS, frames, strict=True) for _ in range(len(f))]
    index.insert(0, "subset", subsets)
    return index


def read_images(dataset: Path, subset: str, rows: Collection[int]) -> list[bytes]:
    """Read the image files of some rows of a subset, in the order of ``rows``.

    Only the row groups that hold these rows are read, one after the other.

    Raises:
        KeyError: the subset has no such row.
        UserError: the data set was not ingested.
    """
    found: dict[int, bytes] = {}
    with pq.ParquetFile(_existing(paths.subset_file(dataset, subset))) as file:
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            wanted = [row for row in rows if start <= row < stop]
            if wanted:
                images = file.read_row_group(group, columns=["image"])["image"]
                found |= {row: images[row - start].as_py() for row in wanted}
            start = stop
    return [found[row] for row in rows]


def decoded_batches(
    parquet: Path, batch_size: int, height: int, width: int
) -> Iterator[np.ndarray]:
    """Yield the images of a subset in row order, uint8 (batch_size or fewer, height, width, 3).

    One batch is read and decoded at a time, so memory doesn't grow with the subset.
    """
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size, columns=["image"]):
        yield decode_all(batch.column("image").to_pylist(), height, width)
