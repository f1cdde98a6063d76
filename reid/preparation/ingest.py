"""Index photos in Market-1501 layout: one parquet file per subset. Each image is decoded once."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import NEXT_LINE, UserError, listed
from reid.common.files import replacing_folder, write_json
from reid.data import paths
from reid.data.images import UnreadableImageError, photo_facts
from reid.data.market import (
    MARKET_NAMES,
    QUERY_FOLDER,
    SUBSETS,
    TRAIN_FOLDER,
    ImageName,
    PersonZero,
    form_of,
)
from reid.sources.source import Files, Source

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
        ("transparent", pa.bool_()),
        ("flat_bottom", pa.float64()),
        ("sha256", pa.string()),
        ("image", pa.binary()),
    ]
)
ROWS_PER_GROUP = 1024
BYTES_PER_GROUP = 64 * 2**20
"""The most image bytes in a row group, unless one image has more. Groups are read whole."""
NAMED = 3
"""The unreadable images that are named for each reason."""


def index_row(name: str, parsed: ImageName | None, content: bytes) -> dict[str, Any]:
    """Return the row of an image. Person, camera etc. are null if the name has another form."""
    facts = photo_facts(content)
    return {
        **dict.fromkeys(ImageName._fields),
        **(parsed._asdict() if parsed else {}),
        **facts._asdict(),
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "image": content,
    }


def _row_groups(files: Files, images: list[PurePosixPath]) -> Iterator[list[PurePosixPath]]:
    """Divide images into groups that are small enough to be in memory at once."""
    group: list[PurePosixPath] = []
    size = 0
    for image in images:
        own = files.size(image)
        if group and (len(group) == ROWS_PER_GROUP or size + own > BYTES_PER_GROUP):
            yield group
            group, size = [], 0
        group.append(image)
        size += own
    if group:
        yield group


Unreadable = dict[str, list[str]]
"""The unreadable images by reason."""


def _write_subset(
    path: Path,
    files: Files,
    images: list[PurePosixPath],
    parse: Callable[[str], ImageName | None],
    progress: tqdm,
    unreadable: Unreadable,
) -> None:
    """Write the rows of one subset. Add the unreadable images to ``unreadable``."""

    def read(image: PurePosixPath) -> dict[str, Any] | UnreadableImageError:
        try:
            return index_row(image.name, parse(image.name), files.read(image))
        except UnreadableImageError as e:
            return e

    # JPEGs don't get smaller by compressing them again, and no hash occurs twice.
    writer = pq.ParquetWriter(path, SCHEMA, compression="none", use_dictionary=False)
    with writer, ThreadPoolExecutor(os.cpu_count()) as pool:
        # One row group at a time, so that the memory needed doesn't grow with the data set.
        for group in _row_groups(files, images):
            rows = []
            for image, result in zip(group, pool.map(read, group), strict=True):
                if isinstance(result, UnreadableImageError):
                    unreadable.setdefault(str(result), []).append(str(image))
                else:
                    rows.append(result)
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            progress.update(len(group))


def _lines(unreadable: Unreadable) -> list[str]:
    """Return one line per reason, the most frequent first: the count, some names, the reason."""
    by_count = sorted(unreadable.items(), key=lambda item: -len(item[1]))
    return [
        f"{len(names):,} {'image' if len(names) == 1 else 'images'}, "
        f"{listed(names, limit=NAMED)}: {reason}"
        for reason, names in by_count
    ]


def ingest(
    source: Source,
    destination: Path,
    gallery: str,
    names: str = MARKET_NAMES,
    person_0: PersonZero = "distractor",
) -> dict[str, Any]:
    """Write ``train``, ``query`` and ``gallery`` ``.parquet`` and ``source.json``.

    Each parquet file has one row per image, sorted by name: name, pid, camid, sequence, frame, box,
    width, height (int32; sizes in pixels of the upright photo), transparent (bool), flat_bottom
    (float64; see `PhotoFacts`), sha256 (hexadecimal) and image, the file's own bytes.
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
        person 0 were read, the number of images per subset, of images in other formats per subset
        (``other_formats``) and of ignored files per folder (``strangers``), and a hash of the files
        ``behind_links`` to folders.

    Raises:
        UserError: some images can't be decoded. The message has one line per reason. Or ``names``
            is neither a form nor an expression that can be used.
    """
    form = form_of(names)
    parse = partial(form.parse, person_0=person_0)
    folders = dict(zip(SUBSETS, (TRAIN_FOLDER, QUERY_FOLDER, gallery), strict=True))
    images = {subset: source.folders.get(folder, []) for subset, folder in folders.items()}
    total = sum(map(len, images.values()))
    unreadable: Unreadable = {}
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
            count = sum(map(len, unreadable.values()))
            raise UserError(
                f"{count:,} of {total:,} images can't be decoded:{NEXT_LINE}"
                f"{listed(_lines(unreadable), separator=NEXT_LINE)}\n"
                "Replace them, or remove them from the data set."
            )
        summary = {
            "name": source.name,
            "gallery": gallery,
            "names": names,
            "person_0": "person" if form.counts_from_0 else person_0,
            "images": {subset: len(files) for subset, files in images.items()},
            "other_formats": {
                subset: source.other_formats.get(folder, {}) for subset, folder in folders.items()
            },
            "strangers": source.strangers,
            "behind_links": source.behind_links,
        }
        write_json(paths.source_file(part), summary)
    return summary
