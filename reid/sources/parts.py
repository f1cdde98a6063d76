"""Tell whether several archives are parts of one data set, by their names and their folders."""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from reid.sources.layout import is_layout_image

MOST_PARTS = 99
"""Larger numbers in names are years and the like."""

DRIVE_PART = re.compile(
    r".*-\d{8}T\d{6}Z-(?:\d+-)?(\d{3})\.zip|OneDrive_(\d+)_[\d-]+\.zip", re.IGNORECASE
)
"""The names that Google Drive and OneDrive give to the parts of a folder."""


def are_cloud_parts(names: Sequence[str]) -> bool:
    """Return whether all names are those that a cloud drive gives to the parts of a folder."""
    return all(DRIVE_PART.fullmatch(name) for name in names)


def part_numbers(names: Sequence[str]) -> list[int] | None:
    """Return the number of each part of an archive, or None if the names are not those of parts.

    The names of parts differ in one number, which is less than a hundred:
    ``photos-20240101T000000Z-001.zip`` and ``photos-20240101T000000Z-002.zip``. But names of data
    sets may differ in a number, too: ``cuhk01.zip`` and ``cuhk03.zip``.
    """
    if len(names) == 1:
        part = DRIVE_PART.fullmatch(names[0])
        return [int(part[1])] if part and part[1] else None
    split = [re.split(r"(\d+)", name) for name in names]
    if len({len(pieces) for pieces in split}) > 1:
        return None
    differing = [column for column in zip(*split, strict=True) if len(set(column)) > 1]
    if len(differing) != 1 or not all(piece.isdigit() for piece in differing[0]):
        return None
    numbers = [int(piece) for piece in differing[0]]
    return numbers if max(numbers) <= MOST_PARTS and len(set(numbers)) == len(numbers) else None


def missing_parts(numbers: Collection[int]) -> list[int]:
    """Return the numbers that are left out between the first part, 0 or 1, and the last one."""
    return sorted(set(range(1, max(numbers, default=0))) - set(numbers))


def belong_together(archives: Sequence[Collection[PurePosixPath]]) -> bool:
    """Return whether the folders in some archives show that they are parts of one data set.

    They do if all have the same folder around the layout's folders, or if no folder of the layout
    is in two archives.
    """
    folders = [{path.parent for path in paths if is_layout_image(path)} for paths in archives]
    roots = {folder.parent for held in folders for folder in held}
    if not all(folders) or len(roots) != 1:
        return False
    return roots != {PurePosixPath()} or sum(map(len, folders)) == len(set().union(*folders))
