"""The data set of drawn people: an image for each Market-1501 name, in one zip file."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from reid.common.errors import UserError
from reid.common.files import replacing_file
from reid.data.market import (
    DISTRACTOR_PID,
    JUNK_PID,
    NAME_EXAMPLE,
    SAMPLE_NAME,
    ImageName,
    parse_name,
)
from sample.camera import CAMERAS
from sample.names import SampleSize, plan_names
from sample.person import Person, sample_person
from sample.photo import Box, draw, sample_walk

SAMPLE_SEED = 1501

_JPEG_QUALITY = 82
_ZIP_DATE = (2026, 1, 1, 0, 0, 0)
_CHUNK = 64

_DISTRACTOR_BOXES: tuple[tuple[Box, float], ...] = (("person", 0.75), ("empty", 0.25))
_JUNK_BOXES: tuple[tuple[Box, float], ...] = (
    ("legs", 0.3),
    ("half", 0.3),
    ("pair", 0.2),
    ("empty", 0.2),
)


def write_sample(
    destination: Path, seed: int = SAMPLE_SEED, size: SampleSize | None = None, workers: int = 1
) -> None:
    """Write the project's sample data set as a zip file; the same seed gives the same bytes."""
    paths = plan_names(size or SampleSize(), seed)
    write_dataset(paths, destination, seed, top_folder=SAMPLE_NAME, workers=workers)


def write_dataset(
    paths: Sequence[str], destination: Path, seed: int, top_folder: str, workers: int = 1
) -> None:
    """Draw an image for each path and write them to a zip file, under one top folder.

    paths: a folder and a Market-1501 name each, such as ``query/0002_c1s1_000451_03.jpg``, in
    any order. An image depends on its path and on the seed alone, and a person on pid and seed, so
    the bytes are the same for any number of `workers` (processes). The file appears when it is
    complete. Raises UserError for a path that is not a Market-1501 name of cameras 1 to 6, or that
    is there twice.
    """
    names = [_checked_name(path) for path in paths]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UserError(f"{twice} is in the list of images twice; name each image once")
    work = list(zip(paths, names, strict=True))
    with replacing_file(destination) as part, zipfile.ZipFile(part, "w") as archive:
        images = _images(work, seed, workers)
        progress = tqdm(images, total=len(work), unit="image", desc=destination.name)
        for path, jpeg in zip(paths, progress, strict=True):
            entry = zipfile.ZipInfo(f"{top_folder}/{path}", _ZIP_DATE)
            entry.create_system = 3  # Unix, whatever the system, for the same bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, jpeg)


def draw_jpeg(path: str, name: ImageName, seed: int) -> bytes:
    """The JPEG file of one image of the data set drawn from `seed`."""
    camera = CAMERAS[name.camid - 1]
    if name.pid in (JUNK_PID, DISTRACTOR_PID):
        rng = _generator(seed, "stranger", path)
        walk = sample_walk(sample_person(rng), camera, rng)
        boxes = _JUNK_BOXES if name.pid == JUNK_PID else _DISTRACTOR_BOXES
        box = boxes[rng.choice(len(boxes), p=[share for _, share in boxes])][0]
    else:
        rng = _generator(seed, "walk", name.pid, name.camid, name.sequence)
        walk = sample_walk(person_of(name.pid, seed), camera, rng)
        box = "person"
    image = draw(walk, camera, _generator(seed, "moment", path), box)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return file.getvalue()


@lru_cache(maxsize=4096)
def person_of(pid: int, seed: int) -> Person:
    """The person of a number in the data set drawn from `seed`."""
    return sample_person(_generator(seed, "person", pid))


def _checked_name(path: str) -> ImageName:
    name = parse_name(PurePosixPath(path).name)
    if name is None:
        raise UserError(f"{path} is not a Market-1501 file name; write it like {NAME_EXAMPLE}")
    if not 1 <= name.camid <= len(CAMERAS):
        raise UserError(f"{path}: there is no camera {name.camid}; use 1 to {len(CAMERAS)}")
    return name


def _images(work: Sequence[tuple[str, ImageName]], seed: int, workers: int) -> Iterator[bytes]:
    task = partial(_draw_task, seed=seed)
    if workers == 1:
        yield from map(task, work)
        return
    # A forked process would inherit the threads' locks of whatever the caller has loaded.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(task, work, chunksize=_CHUNK)


def _draw_task(item: tuple[str, ImageName], seed: int) -> bytes:
    return draw_jpeg(*item, seed)


def _generator(seed: int, *label: object) -> np.random.Generator:
    """A generator of its own for each label, so that no image depends on another."""
    digest = hashlib.sha256("/".join(map(str, (seed, *label))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
