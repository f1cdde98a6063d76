"""The Market-1501 layout: its folders and the meaning of its file names.

Source: L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, and the
``readme.txt`` of ``Market-1501-v15.09.15.zip``.
"""

import re
from typing import NamedTuple

MARKET1501 = "Market-1501"
SAMPLE_NAME = "synthetic-pedestrians"
"""The name of the bundled sample, which is ignored if data/ holds another data set."""

SUBSETS = ("train", "query", "gallery")

TRAIN_FOLDER = "bounding_box_train"
QUERY_FOLDER = "query"
GALLERY_FOLDERS = ("bounding_box_test", "gt_bbox")

JUNK_PID = -1
"""The id of junk, detections that are neither good nor bad: the protocol ignores them."""
DISTRACTOR_PID = 0
"""The id of distractors, false detections: as an answer they are always wrong."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

# Some official names end in ".jpg.jpg".
NAME_PATTERN = re.compile(
    r"(?P<pid>-1|\d{4,6})_c(?P<camid>\d{1,3})s(?P<sequence>\d{1,3})"
    r"_(?P<frame>\d{6,9})_(?P<box>\d{2,4})(?:\.(?:jpg|jpeg|png)){1,2}",
    re.IGNORECASE,
)
NAME_EXAMPLE = "0002_c1s1_000451_03.jpg"


class ImageName(NamedTuple):
    """The parts of a file name: person, camera, sequence of the camera, frame, box in the frame."""

    pid: int
    camid: int
    sequence: int
    frame: int
    box: int


def parse_name(name: str) -> ImageName | None:
    """Parse a file name such as ``0002_c1s1_000451_03.jpg``. Return None if it doesn't match."""
    match = NAME_PATTERN.fullmatch(name)
    return ImageName(*map(int, match.groups())) if match else None


def is_market1501(dataset: str) -> bool:
    """Return whether a data set's name begins with Market-1501, as the official zip's does."""
    return dataset.casefold().startswith(MARKET1501.casefold())
