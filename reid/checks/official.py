"""Market-1501's official contents, and whether a data set is Market-1501."""

from typing import NamedTuple

import pandas as pd

from reid.data.market import DISTRACTOR_PID, QUERY_FOLDER, TRAIN_FOLDER

MARKET1501 = "Market-1501"


class Counts(NamedTuple):
    """The official contents of a folder. A count that was never published is None."""

    images: int
    people: int
    distractors: int | None
    junk: int | None


MARKET1501_COUNTS = {
    "bounding_box_train": Counts(images=12_936, people=751, distractors=0, junk=0),
    "query": Counts(images=3_368, people=750, distractors=0, junk=0),
    "bounding_box_test": Counts(images=19_732, people=750, distractors=2_798, junk=3_819),
    "gt_bbox": Counts(images=25_259, people=1_501, distractors=None, junk=None),
}
MARKET1501_PEOPLE, MARKET1501_CAMERAS = 1_501, 6
"""The official people and cameras. Both are numbered from 1 without a gap."""
ALMOST = 0.9
"""The share of the official people and images from which on a data set is Market-1501."""


def holds_market1501(index: pd.DataFrame, gallery_folder: str) -> bool:
    """Return whether a data set is Market-1501, perhaps with some images too few or too many.

    What the data set is called doesn't matter. It is Market-1501 if

    - no person's number is above 1,501 and no camera's above 6,
    - at least 90 % of the numbers from 1 to 1,501 occur, and
    - the number of images differs by at most 10 % from the official one of these three folders.

    Other sets have other people (MSMT17, DukeMTMC-reID) or other numbers of images (CUHK03-NP: 40 %
    of Market-1501's). A small part of Market-1501 is a data set of its own.

    Args:
        index: one row per image of all subsets, with ``pid`` and ``camid``.
        gallery_folder: ``bounding_box_test`` or ``gt_bbox``.
    """
    folders = (TRAIN_FOLDER, QUERY_FOLDER, gallery_folder)
    images = sum(MARKET1501_COUNTS[folder].images for folder in folders)
    if abs(len(index) - images) > (1 - ALMOST) * images:
        return False
    people = index.loc[index["pid"].gt(DISTRACTOR_PID).fillna(False).astype(bool), "pid"]
    return bool(
        people.nunique() >= ALMOST * MARKET1501_PEOPLE
        and people.max() <= MARKET1501_PEOPLE
        and index["camid"].max() <= MARKET1501_CAMERAS
    )


def is_called_market1501(dataset: str) -> bool:
    """Return whether a data set's name is one of Market-1501's: ``market1501-master``."""
    letters = "".join(letter for letter in dataset.casefold() if letter.isalnum())
    return letters.startswith("market1501")
