"""Index photos in Market-1501 layout: one parquet file per subset. Each image is decoded once."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import UserError, listed
from reid.common.files import replacing_folder, write_json
from reid.data import paths
from reid.data.images import UnreadableImageError, image_size
from reid.data.market import (
    MARKET_NAMES,
    QUERY_FOLDER,
    SUBSETS,
    TRAIN_FOLDER,
    ImageName,
    PersonZero,
    form_of,
)
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


def index_row(name: str, parsed: ImageName | None, content: bytes) -> dict[str, Any]:
    """Return the row of an image. Person, camera etc. are null if the name has another form."""
    width, height = image_size(content)
    return {
        **dict.fromkeys(ImageName._fields),
        **(parsed._asdict() if parsed else {}),
        "name": name,
        "width": width,
        "height": height,
        "sha256": hashlib.sha256(content).hexdigest(),
        "image": content,
    }


def _write_subset(
    path: Path,
    files: Files,
    images: list[PurePosixPath],
    parse: Callable[[str], ImageName | None],
    progress: tqdm,
    unreadable: list[str],
) -> None:
    """Write the rows of one subset. Add a line to ``unreadable`` for each unreadable image."""

    def read(image: PurePosixPath) -> dict[str, Any] | str:
        try:
            return index_row(image.name, parse(image.name), files.read(image))
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


def ingest(
    source: Source,
    destination: Path,
    gallery: str,
    names: str = MARKET_NAMES,
    person_0: PersonZero = "distractor",
) -> dict[str, Any]:
    """Write ``train``, ``query`` and ``gallery`` ``.parquet`` and ``source.json``.

    Each parquet file has one row per image, sorted by name: name, pid, camid, sequence, frame, box,
    width, height (int32; sizes in pixels), sha256 (hexadecimal) and image, the file's own bytes.
    The file of a subset whose folder is missing has no rows; the validation reports that.

    Args:
        source: the data set.
        destination: the folder to write. It is replaced as a whole.
        gallery: the folder of the layout that is the gallery, ``bounding_box_test`` or ``gt_bbox``.
        names: how file names give person and camera: a form of `reid.data.market` or a regular
            expression.
        person_0: whether the number 0 in a name means a distractor or a person, whose id is then
            `reid.data.market.PERSON_ZERO_PID`.

    Returns:
        The content of ``source.json``: the data set's name, its gallery folder, how names and
        person 0 were read, the number of images per subset and of ignored files per folder
        (``strangers``).

    Raises:
        UserError: some images can't be decoded. The message names the first ten. Or ``names`` is
            neither a form nor an expression that can be used.
    """
    form = form_of(names)
    parse = partial(form.parse, person_0=person_0)
    folders = dict(zip(SUBSETS, (TRAIN_FOLDER, QUERY_FOLDER, gallery), strict=True))
    images = {subset: source.folders.get(folder, []) for subset, folder in folders.items()}
    total = sum(map(len, images.values()))
    unreadable: list[str] = []
    with replacing_folder(destination) as part:
        with tqdm(total=total, desc="ingest", unit=" images", disable=None) as progress:
            for subset, files in images.items():
                _write_subset(
                    paths.subset_file(part, subset),
                    source.files,
                    files,
                    parse,
                    progress,
                    unreadable,
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
            "names": names,
            "person_0": "person" if form.counts_from_0 else person_0,
            "images": {subset: len(files) for subset, files in images.items()},
            "strangers": source.strangers,
        }
        write_json(paths.source_file(part), summary)
    return summary
