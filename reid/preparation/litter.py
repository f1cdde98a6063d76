"""The files that desktops leave in folders when somebody looks into them. They are no data."""

from fnmatch import fnmatchcase
from pathlib import PurePath

LITTER = (
    # macOS
    ".DS_Store",
    "._*",
    ".AppleDouble",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".Trashes",
    ".fseventsd",
    "__MACOSX",
    # Windows
    "[Tt]humbs.db",
    "THUMBS.DB",
    "[Ee]hthumbs*.db",
    "[Dd]esktop.ini",
    "DESKTOP.INI",
    "$RECYCLE.BIN",
    "System Volume Information",
    "*:Zone.Identifier",
    # Linux and network drives
    ".directory",
    ".Trash-*",
    "@eaDir",
)
"""Patterns of names. ``.dvcignore`` has the same, so that these files change no hash of DVC's."""


def is_litter(path: PurePath) -> bool:
    """Return whether a file or a folder above it is litter."""
    return any(fnmatchcase(part, pattern) for part in path.parts for pattern in LITTER)
