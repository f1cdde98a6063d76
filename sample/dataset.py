"""Draw a data set of people: one image for each Market-1501 file name, in one zip file."""

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
    """Write the project's sample data set as a zip file. The same seed gives the same bytes."""
    paths = plan_names(size or SampleSize(), seed)
    write_dataset(paths, destination, seed, top_folder=SAMPLE_NAME, workers=workers)


def write_dataset(
    paths: Sequence[str], destination: Path, seed: int, top_folder: str, workers: int = 1
) -> None:
    """Draw an image for each path and write the images to a zip file, in one top folder.

    An image depends only on its path and the seed, and a person only on the pid and the seed.
    So the bytes are the same for any number of workers. The file appears when it is complete.

    Args:
        paths: folders with Market-1501 names, such as ``query/0002_c1s1_000451_03.jpg``, in any
            order.
        destination: the zip file to write.
        seed: the seed of people, walks and photos.
        top_folder: the folder in the zip file that contains all others.
        workers: the number of processes.

    Raises:
        UserError: a path occurs twice, or is not a Market-1501 name of cameras 1 to 6.
    """
    names = [_checked_name(path) for path in paths]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UserError(f"{twice} is in the list of images twice; list each image once")
    work = list(zip(paths, names, strict=True))
    with replacing_file(destination) as part, zipfile.ZipFile(part, "w") as archive:
        images = _images(work, seed, workers)
        progress = tqdm(images, total=len(work), unit="image", desc=destination.name, disable=None)
        for path, jpeg in zip(paths, progress, strict=True):
            entry = zipfile.ZipInfo(f"{top_folder}/{path}", _ZIP_DATE)
            entry.create_system = 3  # Unix on every system, for the same bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, jpeg)


def draw_jpeg(path: str, name: ImageName, seed: int) -> bytes:
    """Draw one image of the data set with this seed, as a JPEG file."""
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
    """Return the person with this pid in the data set with this seed."""
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
    # A forked process would inherit locks that threads of the caller hold.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(task, work, chunksize=_CHUNK)


def _draw_task(item: tuple[str, ImageName], seed: int) -> bytes:
    return draw_jpeg(*item, seed)


def _generator(seed: int, *label: object) -> np.random.Generator:
    """Return a separate generator for each label, so that no image depends on another."""
    digest = hashlib.sha256("/".join(map(str, (seed, *label))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
