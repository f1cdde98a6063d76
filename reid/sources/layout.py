"""The folders of the Market-1501 layout, and the names that people give them instead."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePosixPath

from reid.common.errors import UserError, listed
from reid.data.market import GALLERY_FOLDERS, IMAGE_SUFFIXES, QUERY_FOLDER, TRAIN_FOLDER

LAYOUT_FOLDERS = (TRAIN_FOLDER, QUERY_FOLDER, *GALLERY_FOLDERS)

OTHER_FORMAT = re.compile(
    r"\.(jfif|jpe|jif|jfi|jp2|j2k|jpx|jxl|bmp|dib|tiff?|webp|gif|hei[cf]|avif|p[pgnb]m|tga|ico|psd"
    r"|svg|eps|raw|dng|cr[23]|nef|arw|orf|rw2)",
    re.IGNORECASE,
)
"""The endings of image files that are not read."""

UNFINISHED_IMAGE = re.compile(
    r".*\.(jpe?g|png)([^a-z0-9.][^.]*|\.(part|partial|crdownload|download|filepart|tmp|icloud|\d+))",
    re.IGNORECASE,
)
"""The names of photos that were not loaded completely, that iCloud keeps elsewhere, or that a
download tool gave another name: ``a.jpg.part``, ``.a.jpg.icloud``, ``a.jpg_large``, ``a.jpg.1``."""
WITHOUT_ENDING = "without ending"

CONTROL_OR_UNDECODED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and the characters that Python writes for bytes that are not UTF-8."""

ALIASES = {
    TRAIN_FOLDER: ("train", "training", "train_images", "image_train", "bbox_train"),
    QUERY_FOLDER: ("queries", "probe", "probes", "image_query", "query_images", "bbox_query"),
    GALLERY_FOLDERS[0]: (
        *("test", "testing", "gallery", "test_images", "image_test", "image_gallery", "bbox_test"),
        *("gallery_images", "bounding_box_gallery"),
    ),
}
"""Names of the same folders in other data sets."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_NEAR = {
    _plain(name): folder for folder in LAYOUT_FOLDERS for name in (folder, *ALIASES.get(folder, ()))
}


def expected_folder(name: str) -> str | None:
    """Return the folder of the layout that a folder of this name is probably meant for.

    Return None if the name is not near one of the layout's, or is one of them.
    """
    if name in LAYOUT_FOLDERS:
        return None
    near = get_close_matches(_plain(name), _NEAR, n=1, cutoff=0.85)
    return _NEAR[near[0]] if near else None


def require_usable_names(origin: str, names: Iterable[str]) -> None:
    """Raise UserError if names are not UTF-8, or have control characters such as line breaks.

    Neither can be stored or shown: an escape character could change what a terminal shows.
    """
    unusable = [ascii(name) for name in names if CONTROL_OR_UNDECODED.search(name)]
    if unusable:
        raise UserError(
            f"{origin}: {len(unusable):,} names are not UTF-8 or have control characters: "
            f"{listed(unusable, limit=3)}. Rename these files or the folders around them."
        )


def is_image(path: PurePosixPath) -> bool:
    """Return whether a file has the name of a JPEG or PNG file."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_layout_image(path: PurePosixPath) -> bool:
    """Return whether a file is an image that lies directly in a folder of the layout.

    A folder of the same name in such a folder, ``query/query/``, is none. Some programs make it
    when they unpack ``query.zip``.
    """
    is_doubled = path.parent.name == path.parent.parent.name
    return is_image(path) and path.parent.name in LAYOUT_FOLDERS and not is_doubled


def may_be_photo(path: PurePosixPath) -> bool:
    """Return whether a file has the name of an image, of a kind that is read or not."""
    return is_image(path) or OTHER_FORMAT.fullmatch(path.suffix) is not None


def unread_ending(path: PurePosixPath) -> str | None:
    """Return the ending of a file in a folder of the layout that is an image and is not read.

    Return None for all other files. Files without ending are images if their names hold numbers.
    """
    if path.parent.name not in LAYOUT_FOLDERS:
        return None
    ending = path.suffix.lower()
    if not ending and any(letter.isdigit() for letter in path.name):
        return WITHOUT_ENDING
    is_unread = OTHER_FORMAT.fullmatch(ending) or UNFINISHED_IMAGE.fullmatch(path.name)
    return ending if is_unread else None
