"""From photos in Market-1501 layout to one parquet file a subset, every image decoded once."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import UserError
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
    """The row of one image; person and camera are null where the name breaks the pattern."""
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
    """Write the rows of one subset; what can't be decoded is added to ``unreadable`` instead."""

    def read(image: PurePosixPath) -> dict[str, Any] | str:
        try:
            return index_row(image.name, files.read(image))
        except UnreadableImageError as e:
            return f"{image}: {e}"

    # JPEG doesn't compress again, and hashes don't repeat.
    writer = pq.ParquetWriter(path, SCHEMA, compression="none", use_dictionary=False)
    with writer, ThreadPoolExecutor(os.cpu_count()) as pool:
        # A row group at a time: the memory stays bounded whatever the size of the data set.
        for start in range(0, len(images), ROWS_PER_GROUP):
            results = list(pool.map(read, images[start : start + ROWS_PER_GROUP]))
            rows = [result for result in results if isinstance(result, dict)]
            unreadable += [result for result in results if isinstance(result, str)]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            progress.update(len(results))


def ingest(source: Source, destination: Path, gallery: str) -> dict[str, Any]:
    """Index a data set: ``train``, ``query`` and ``gallery`` ``.parquet`` and ``source.json``.

    Each parquet file has a row an image, sorted by name: name, pid, camid, sequence, frame, box,
    width, height (int32), sha256 (hex) and image, the file's own bytes. A folder that is missing
    gives an empty file, for the validation to judge.

    Args:
        source: the data set, open.
        destination: folder to write, replaced as a whole.
        gallery: the layout's folder to take as gallery, ``bounding_box_test`` or ``gt_bbox``.

    Returns:
        What ``source.json`` holds: name, gallery folder, images of each subset, strangers.

    Raises:
        UserError: images that can't be decoded (all are named, the first ones in the message).
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
            shown = "\n  ".join(unreadable[:10])
            more = f"\n  and {len(unreadable) - 10} more" if len(unreadable) > 10 else ""
            raise UserError(
                f"{len(unreadable)} of {total} images can't be decoded:\n  {shown}{more}\n"
                "Replace them, or remove them from the data set if they are of no use."
            )
        summary = {
            "name": source.name,
            "gallery": gallery,
            "images": {subset: len(files) for subset, files in images.items()},
            "strangers": source.strangers,
        }
        write_json(paths.source_file(part), summary)
    return summary
