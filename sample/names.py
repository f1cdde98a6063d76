"""Plan the file names of a data set in Market-1501 layout that obeys the single-query protocol."""

from dataclasses import dataclass, fields

import numpy as np

from reid.common.errors import UserError
from reid.data.market import DISTRACTOR_PID, GALLERY_FOLDERS, JUNK_PID, QUERY_FOLDER, TRAIN_FOLDER

CAMERA_COUNT = 6
_GALLERY_FOLDER = GALLERY_FOLDERS[0]
_FEWEST_TRAIN_IMAGES = 4
_FRAME_STEP = 25  # Market-1501 was annotated every 25 frames


@dataclass(frozen=True)
class SampleSize:
    """The numbers of people and images of a data set.

    gallery: only the images of test people; distractors and junk come on top.
    """

    train_people: int = 50
    train_images: int = 500
    test_people: int = 80
    queries: int = 200
    gallery: int = 900
    distractors: int = 200
    junk: int = 60

    def __post_init__(self) -> None:
        """Raise UserError if these numbers can't obey the protocol."""
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise UserError(f"sample size: {field.name} is negative; give 0 or more")
        if self.train_images < _FEWEST_TRAIN_IMAGES * self.train_people:
            raise UserError(
                f"sample size: {self.train_images} train images are too few for "
                f"{self.train_people} people; give at least {_FEWEST_TRAIN_IMAGES} per person"
            )
        if not 2 * self.test_people <= self.queries <= CAMERA_COUNT * self.test_people:
            raise UserError(
                f"sample size: {self.queries} queries do not fit {self.test_people} test people; "
                f"give 2 to {CAMERA_COUNT} per person, one for each camera that saw the person"
            )
        if self.gallery < self.queries:
            raise UserError(
                f"sample size: {self.gallery} gallery images are fewer than the "
                f"{self.queries} queries; give at least one per query, as its match"
            )


def plan_names(size: SampleSize, seed: int) -> list[str]:
    """Return sorted paths such as ``query/0081_c1s1_000451_03.jpg``, the same for the same seed.

    Train people are numbered from 1, test people after them. Every train person has at least 4
    images under at least 2 cameras. A test person has one query and at least one gallery image
    under each of 2 to 6 cameras, so that every query has a match under another camera.
    """
    rng = np.random.default_rng(seed)
    register = _Register(rng)
    for pid, images in enumerate(_shared_out(size.train_images, size.train_people), start=1):
        cameras = _some_cameras(rng, int(rng.integers(2, min(images, CAMERA_COUNT) + 1)))
        register.add(TRAIN_FOLDER, pid, _each_and_more(rng, cameras, images))

    first = size.train_people + 1
    camera_counts = _camera_counts(rng, size.queries, size.test_people)
    extra = _shared_out(size.gallery - size.queries, size.test_people)
    for pid, (count, more) in enumerate(zip(camera_counts, extra, strict=True), start=first):
        cameras = _some_cameras(rng, count)
        register.add(QUERY_FOLDER, pid, cameras)
        register.add(_GALLERY_FOLDER, pid, _each_and_more(rng, cameras, count + more))
    for pid, number in ((DISTRACTOR_PID, size.distractors), (JUNK_PID, size.junk)):
        cameras = [int(camid) for camid in rng.integers(1, CAMERA_COUNT + 1, number)]
        register.add(_GALLERY_FOLDER, pid, cameras)
    return sorted(register.paths)


class _Register:
    """The paths planned so far. No two have the same camera, sequence and frame."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.paths: list[str] = []
        self._rng = rng
        self._taken: set[tuple[int, int, int]] = set()
        self._walks: dict[tuple[int, int], tuple[int, int]] = {}

    def add(self, folder: str, pid: int, cameras: list[int]) -> None:
        """Add an image of a person for each camera in the list, in the person's walk past it."""
        for camid in cameras:
            sequence, frame = self._walk(pid, camid)
            while (camid, sequence, frame) in self._taken:
                frame += _FRAME_STEP
            self._taken.add((camid, sequence, frame))
            prefix = "-1" if pid == JUNK_PID else f"{pid:04d}"
            box = int(self._rng.integers(1, 9))
            self.paths.append(f"{folder}/{prefix}_c{camid}s{sequence}_{frame:06d}_{box:02d}.jpg")

    def _walk(self, pid: int, camid: int) -> tuple[int, int]:
        """Return sequence and first frame of a walk past a camera, a new walk for each stranger."""
        drawn = int(self._rng.integers(1, 4)), 1 + _FRAME_STEP * int(self._rng.integers(4, 3000))
        return (
            drawn
            if pid in (DISTRACTOR_PID, JUNK_PID)
            else self._walks.setdefault((pid, camid), drawn)
        )


def _shared_out(total: int, people: int) -> list[int]:
    """Divide `total` into `people` parts that differ by at most 1."""
    return [total // people + (index < total % people) for index in range(people)] if people else []


def _some_cameras(rng: np.random.Generator, count: int) -> list[int]:
    return sorted(int(camid) + 1 for camid in rng.choice(CAMERA_COUNT, count, replace=False))


def _each_and_more(rng: np.random.Generator, cameras: list[int], total: int) -> list[int]:
    """Return each camera once, then random ones until there are `total`."""
    more = rng.choice(cameras, total - len(cameras))
    return cameras + [int(camid) for camid in more]


def _camera_counts(rng: np.random.Generator, queries: int, people: int) -> list[int]:
    """Return the number of cameras that see each test person: 2 to 6, `queries` in total."""
    counts = [2] * people
    for _ in range(queries - 2 * people):
        open_ = [person for person, count in enumerate(counts) if count < CAMERA_COUNT]
        counts[int(rng.choice(open_))] += 1
    return counts
