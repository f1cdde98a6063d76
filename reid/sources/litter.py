"""The files that desktops and disks leave in folders when somebody looks in. They are no data."""

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
    ".localized",
    ".apdisk",
    ".VolumeIcon.icns",
    ".DocumentRevisions-V100",
    "Icon[!0-9A-Za-z_.-]",
    "Network Trash Folder",
    "Temporary Items",
    # Windows
    "[Tt]humbs.db",
    "THUMBS.DB",
    "[Ee]hthumbs*.db",
    "[Dd]esktop.ini",
    "DESKTOP.INI",
    "$RECYCLE.BIN",
    "System Volume Information",
    "*:Zone.Identifier",
    "[Tt]humbs.db:encryptable",
    "[Pp]icasa.ini",
    ".[Pp]icasa.ini",
    "~$*",
    # Linux, network drives and notebooks
    ".directory",
    ".Trash-*",
    "@eaDir",
    "@SynoEAStream",
    "@SynoResource",
    "@Recycle",
    "[#]recycle",
    ".@__thumb",
    ".thumbnails",
    ".nfs*",
    ".fuse_hidden*",
    ".~lock.*",
    "lost+found",
    ".ipynb_checkpoints",
)
"""Patterns of names. ``.dvcignore`` has the same, so that these files change no hash of DVC's."""


def is_litter(path: PurePath) -> bool:
    """Return whether a file or a folder above it is litter."""
    return any(fnmatchcase(part, pattern) for part in path.parts for pattern in LITTER)
