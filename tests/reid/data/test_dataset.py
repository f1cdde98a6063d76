"""Reading the parquet files that ``ingest`` writes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reid.common.errors import UserError
from reid.data import paths
from reid.data.dataset import read_images

IMAGES = [bytes([row]) * 50_000 for row in range(10)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Write a gallery of ten images in row groups of three."""
    table = pa.table({"image": IMAGES})
    pq.write_table(
        table,
        paths.subset_file(tmp_path, "gallery"),
        row_group_size=3,
        compression="none",
        use_dictionary=False,
    )
    return tmp_path


@pytest.mark.parametrize("rows", [[], [0], [9], [7, 2, 3, 2], list(range(10))])
def test_images_come_in_the_order_of_the_rows(dataset: Path, rows: list[int]) -> None:
    assert read_images(dataset, "gallery", rows) == [IMAGES[row] for row in rows]


def test_only_the_row_groups_of_the_rows_are_read(dataset: Path) -> None:
    file = paths.subset_file(dataset, "gallery")
    content = bytearray(file.read_bytes())
    start = content.index(IMAGES[4])
    content[start - 100_000 : start] = bytes(100_000)  # Rows 3 and 2 no longer can be read.
    file.write_bytes(content)
    assert read_images(dataset, "gallery", [0, 8]) == [IMAGES[0], IMAGES[8]]


@pytest.mark.parametrize("row", [-1, 10])
def test_a_row_that_the_subset_lacks_is_an_error(dataset: Path, row: int) -> None:
    with pytest.raises(KeyError):
        read_images(dataset, "gallery", [0, row])


def test_a_data_set_that_was_not_ingested_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dvc repro ingest"):
        read_images(tmp_path, "gallery", [0])
