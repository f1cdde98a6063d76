"""Index photos in Market-1501 layout: one parquet file per subset. Each image is decoded once."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import UserError, listed
from reid.common.files import replacing_folder, write_json
from reid.data import paths
from reid.data.images import UnreadableImageError, image_size
from reid.data.market import QUERY_FOLDER, SUBSETS, TRAIN_FOLDER, parse_name
from reid.preparation.sources import Files, Source

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("pid", pa.int32()),
        ("camid", pa.int32()),
        ("sequence", pa.int32()),
        ("frame", pa.int32()),
        ("box", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("image", pa.binary()),
    ]
)
ROWS_PER_GROUP = 1024


def index_row(name: str, content: bytes) -> dict[str, Any]:
    """Return the row of an image. Person, camera etc. are null if the name has another pattern."""
    width, height = image_size(content)
    parsed = parse_name(name)
    return {
        **dict.fromkeys(("pid", "camid", "sequence", "frame", "box")),
        **(parsed._asdict() if parsed else {}),
        "name": name,
        "width": width,
        "height": height,
        "sha256": hashlib.sha256(content).hexdigest(),
        "image": content,
    }


def _write_subset(
    path: Path, files: Files, images: list[PurePosixPath], progress: tqdm, unreadable: list[str]
) -> None:
    """Write the rows of one subset. Add a line to ``unreadable`` for each unreadable image."""

    def read(image: PurePosixPath) -> dict[str, Any] | str:
        try:
            return index_row(image.name, files.read(image))
        except UnreadableImageError as e:
            return f"{image}: {e}"

    # JPEGs don't get smaller by compressing them again, and no hash occurs twice.
    writer = pq.ParquetWriter(path, SCHEMA, compression="none", use_dictionary=False)
    with writer, ThreadPoolExecutor(os.cpu_count()) as pool:
        # One row group at a time, so that the memory needed doesn't grow with the data set.
        for start in range(0, len(images), ROWS_PER_GROUP):
            results = list(pool.map(read, images[start : start + ROWS_PER_GROUP]))
            rows = [result for result in results if isinstance(result, dict)]
            unreadable += [result for result in results if isinstance(result, str)]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            progress.update(len(results))


def ingest(source: Source, destination: Path, gallery: str) -> dict[str, Any]:
    """Write ``train``, ``query`` and ``gallery`` ``.parquet`` and ``source.json``.

    Each parquet file has one row per image, sorted by name: name, pid, camid, sequence, frame, box,
    width, height (int32; sizes in pixels), sha256 (hexadecimal) and image, the file's own bytes.
    The file of a subset whose folder is missing has no rows; the validation reports that.

    Args:
        source: the data set.
        destination: the folder to write. It is replaced as a whole.
        gallery: the folder of the layout that is the gallery, ``bounding_box_test`` or ``gt_bbox``.

    Returns:
        The content of ``source.json``: the data set's name, its gallery folder, the number of
        images per subset and of ignored files per folder (``strangers``).

    Raises:
        UserError: some images can't be decoded. The message names the first ten.
    """
    folders = dict(zip(SUBSETS, (TRAIN_FOLDER, QUERY_FOLDER, gallery), strict=True))
    images = {subset: source.folders.get(folder, []) for subset, folder in folders.items()}
    total = sum(map(len, images.values()))
    unreadable: list[str] = []
    with replacing_folder(destination) as part:
        with tqdm(total=total, desc="ingest", unit=" images", disable=None) as progress:
            for subset, files in images.items():
                _write_subset(
                    paths.subset_file(part, subset), source.files, files, progress, unreadable
                )
        if unreadable:
            shown = listed(unreadable, separator="\n  ")
            raise UserError(
                f"{len(unreadable)} of {total} images can't be decoded:\n  {shown}\n"
                "Replace them, or remove them from the data set."
            )
        summary = {
            "name": source.name,
            "gallery": gallery,
            "images": {subset: len(files) for subset, files in images.items()},
            "strangers": source.strangers,
        }
        write_json(paths.source_file(part), summary)
    return summary
