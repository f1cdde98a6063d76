"""The Market-1501 layout: its folders, its ids, and the file names in it and in other data sets.

Sources: L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, and the
``readme.txt`` of ``Market-1501-v15.09.15.zip``; the file names of DukeMTMC-reID (Z. Zheng et al.
2017), VeRi-776 (X. Liu et al. 2016), MSMT17 (L. Wei et al. 2018) and CUHK03-NP (Z. Zhong et al.
2017).
"""

import re
from typing import Literal, NamedTuple

from reid.common.errors import UserError

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

NAME_EXAMPLE = "0002_c1s1_000451_03.jpg"

MARKET_NAMES = "market1501"

PersonZero = Literal["distractor", "person"]
"""Whom the number 0 in a name means: nobody (Market-1501's distractors), or a person."""

PERSON_ZERO_PID = 2**31 - 1
"""The id of person 0 in data sets that count people from 0, because 0 is the distractors'.

All other people keep the number that is in their names.
"""

ONLY_CAMERA = 1
"""The camera of all photos if their names don't give any."""

OPTIONAL_GROUPS = ("sequence", "frame", "box")
GROUPS = ("pid", "camid", *OPTIONAL_GROUPS)
"""The named groups of an expression."""


NUMBER = re.compile(r"-?\d+")
"""A number in a name. For Python, ``3_2`` would be the number 32."""


class ImageName(NamedTuple):
    """The parts of a file name: person, camera, sequence of the camera, frame, box in the frame.

    What a form of names doesn't have is None.
    """

    pid: int
    camid: int
    sequence: int | None = None
    frame: int | None = None
    box: int | None = None


class NameForm(NamedTuple):
    """A form of file names."""

    expression: re.Pattern[str]
    """The expression for the whole name, with or without its ending (.jpg)."""
    description: str
    """The form in words, with the numbers of digits and an example."""
    counts_from_0: bool = False
    """Whether person 0 is always a person in this form."""

    def parse(self, name: str, person_0: PersonZero = "distractor") -> ImageName | None:
        """Parse a file name. Return None if it doesn't have this form.

        Every number has to fit in 31 bits.
        """
        match = self.expression.fullmatch(_without_ending(name)) or self.expression.fullmatch(name)
        if not match:
            return None
        texts = {"camid": str(ONLY_CAMERA)} | match.groupdict()
        is_absent = [group for group in OPTIONAL_GROUPS if texts.get(group) is None]
        given = {group: texts[group] or "" for group in GROUPS if group not in is_absent}
        if not all(map(NUMBER.fullmatch, given.values())):
            return None
        numbers = {group: int(text) for group, text in given.items()}
        if not all(-1 <= number < PERSON_ZERO_PID for number in numbers.values()):
            return None
        if numbers["pid"] == DISTRACTOR_PID and (person_0 == "person" or self.counts_from_0):
            numbers["pid"] = PERSON_ZERO_PID
        return ImageName(**numbers)


def _without_ending(name: str) -> str:
    """Remove the ending of an image's name. Some official names of Market-1501 have two."""
    for _ in range(2):
        stem, dot, ending = name.rpartition(".")
        if f"{dot}{ending}".lower() in IMAGE_SUFFIXES:
            name = stem
    return name


def _form(expression: str, description: str, counts_from_0: bool = False) -> NameForm:
    pattern = re.compile(rf"(?P<pid>-1|\d{{4,6}})_{expression}", re.IGNORECASE)
    return NameForm(pattern, f"4 to 6 digits (or -1) of the person, {description}", counts_from_0)


FORMS = {
    MARKET_NAMES: _form(
        r"c(?P<camid>\d{1,3})s(?P<sequence>\d{1,3})_(?P<frame>\d{6,9})_(?P<box>\d{2,4})",
        "_c, 1 to 3 digits of the camera, s, 1 to 3 of the sequence, _, 6 to 9 of the frame, _, "
        f"2 to 4 of the box: {NAME_EXAMPLE}",
    ),
    "dukemtmc": _form(
        r"c(?P<camid>\d{1,3})_f(?P<frame>\d{4,9})",
        "_c, 1 to 3 digits of the camera, _f, 4 to 9 of the frame: 0005_c2_f0046985.jpg",
    ),
    "veri776": _form(
        r"c(?P<camid>\d{1,3})_(?P<frame>\d{4,9})_(?P<box>\d{1,4})",
        "_c, 1 to 3 digits of the camera, _, 4 to 9 of the frame, _, 1 to 4 of the box: "
        "0001_c001_00016450_0.jpg",
    ),
    "msmt17": _form(
        # The number of the photo, then the camera, then a month and a day with a time of the day.
        r"\d{1,6}_(?P<camid>\d{1,3})_\d{4}[a-z]+_(?P<frame>\d{1,9})_(?P<box>\d{1,4})(?:_ex)?",
        "_, 1 to 6 of the photo, _, 1 to 3 of the camera, _, the day, _, 1 to 9 of the frame, _, "
        "1 to 4 of the box: 0000_000_01_0303morning_0008_0.jpg",
        counts_from_0=True,
    ),
    "cuhk03np": _form(
        r"c(?P<camid>\d{1,3})_(?P<box>\d{1,6})",
        "_c, 1 to 3 digits of the camera, _, 1 to 6 of the photo: 0001_c1_1.png",
    ),
}
"""The forms that ``ingest.names`` chooses by their names."""


def form_of(names: str) -> NameForm:
    """Return the form that ``ingest.names`` means: one of ``FORMS``, or a regular expression.

    An expression must have a group ``pid``. The groups ``camid``, ``sequence``, ``frame`` and
    ``box`` are optional; without ``camid``, all photos are of one camera.

    Raises:
        UserError: ``names`` is neither.
    """
    if names in FORMS:
        return FORMS[names]
    known = f"Choose {', '.join(FORMS)}, or a regular expression with the group (?P<pid>...)"
    try:
        expression = re.compile(names)
    except re.error as e:
        raise UserError(f"{names} is no regular expression: {e}. {known}") from e
    if "pid" not in expression.groupindex:
        raise UserError(f"{names} has no group pid. {known}")
    unknown = [group for group in expression.groupindex if group not in GROUPS]
    if unknown:
        raise UserError(f"unknown groups {', '.join(unknown)}: use {', '.join(GROUPS)}")
    return NameForm(
        expression, f"the expression {names}, whose groups are numbers below {PERSON_ZERO_PID:,}"
    )


def parse_name(name: str) -> ImageName | None:
    """Parse a name of Market-1501, ``0002_c1s1_000451_03.jpg``; None if it has another form."""
    return FORMS[MARKET_NAMES].parse(name)


def forms_that_read(names: list[str]) -> list[str]:
    """Return the forms that read all of these names."""
    return [form for form in FORMS if all(FORMS[form].parse(name) for name in names)]


def person_number(pid: int) -> int:
    """Return a person's number as it is in the file names."""
    return 0 if pid == PERSON_ZERO_PID else pid


def person_name(pid: int) -> str:
    """Return the words that people read for a pid: ``person 7`` or ``distractor``."""
    return "distractor" if pid == DISTRACTOR_PID else f"person {person_number(pid)}"
