"""Find photos in Market-1501 layout, in a folder or in a zip archive that stays packed."""

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from reid.common.errors import UserError, listed
from reid.data.market import (
    GALLERY_FOLDERS,
    IMAGE_SUFFIXES,
    NAME_EXAMPLE,
    QUERY_FOLDER,
    SAMPLE_NAME,
    TRAIN_FOLDER,
)

LAYOUT_FOLDERS = (TRAIN_FOLDER, QUERY_FOLDER, *GALLERY_FOLDERS)

OTHER_ARCHIVES = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""The errors that reading a damaged or encrypted archive raises."""


class Files(Protocol):
    """Files that several threads can list and read at the same time, by their relative paths."""

    def paths(self) -> list[PurePosixPath]:
        """List all files."""

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a file."""


@dataclass(frozen=True)
class FolderFiles:
    """The files below a folder."""

    root: Path

    def paths(self) -> list[PurePosixPath]:
        """List all files, relative to the root."""
        return [
            PurePosixPath(path.relative_to(self.root).as_posix())
            for path in self.root.rglob("*")
            if path.is_file()
        ]

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a file."""
        return (self.root / path).read_bytes()


@dataclass(frozen=True)
class ZipFiles:
    """The members of a zip archive.

    Raises:
        UserError: a member's name leads out of the archive or occurs twice, or a member is damaged.
    """

    archive: zipfile.ZipFile
    members: dict[PurePosixPath, zipfile.ZipInfo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names of all members."""
        for info in self.archive.infolist():
            path = PurePosixPath(info.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                raise UserError(
                    f"{self.archive.filename}: the member {info.filename!r} leads out of the "
                    "archive. Don't trust this archive; get it again from its source."
                )
            if path in self.members:
                raise UserError(
                    f"{self.archive.filename}: {path} is in the archive twice. "
                    "Pack the archive again, with each photo once."
                )
            if not info.is_dir():
                self.members[path] = info

    def paths(self) -> list[PurePosixPath]:
        """List all members that are files."""
        return list(self.members)

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a member."""
        try:
            return self.archive.read(self.members[path])
        except DAMAGED as e:
            raise UserError(
                f"{self.archive.filename}: {path} can't be unpacked ({e}). "
                "The archive is damaged or encrypted; get it again."
            ) from e


@dataclass(frozen=True)
class Source:
    """A data set in Market-1501 layout that was found and not yet read."""

    name: str
    """The name of the folder around the layout's folders, or of the archive if there is none."""
    files: Files
    folders: dict[str, list[PurePosixPath]]
    """The images of each folder of the layout, sorted by name. A missing folder has no entry."""
    strangers: dict[str, int]
    """The number of ignored files by folder: files that are not images of the layout."""


def _is_data_set(path: Path) -> bool:
    if path.is_dir():
        return not path.name.startswith((".", "__MACOSX"))
    return path.suffix.lower() == ".zip"


def _pick(data: Path) -> Path:
    """Return the folder or zip archive to read: ``data`` itself, or the only candidate in it."""
    if data.is_file():
        return data
    if not data.is_dir():
        raise UserError(
            f"{data} is not a folder. Get the sample with `dvc pull data.dvc`, "
            "or put your own data set into data/ and run `dvc add data`."
        )
    if any((data / folder).is_dir() for folder in LAYOUT_FOLDERS):
        return data
    for path in sorted(data.iterdir()):
        if path.suffix.lower() in OTHER_ARCHIVES:
            raise UserError(f"{path} is not a zip archive. Unpack it in {data}, then remove it.")
    candidates = sorted(path for path in data.iterdir() if _is_data_set(path))
    own = [path for path in candidates if path.stem != SAMPLE_NAME]
    found = own or candidates
    if not found:
        raise UserError(
            f"{data} holds no data set: neither a zip archive nor a folder with "
            f"{TRAIN_FOLDER}/, {QUERY_FOLDER}/ and {GALLERY_FOLDERS[0]}/. "
            "Put one there and run `dvc add data`."
        )
    if len(found) > 1:
        raise UserError(
            f"{data} holds several data sets: {listed([path.name for path in found])}. "
            "Keep one and move the others elsewhere."
        )
    return found[0]


def _arrange(name: str, origin: Path, files: Files) -> Source:
    """Sort the files by the layout's folders. Files that are not images there are strangers."""
    by_root: dict[PurePosixPath, dict[str, list[PurePosixPath]]] = {}
    strangers: Counter[str] = Counter()
    for path in files.paths():
        if (
            path.suffix.lower() in IMAGE_SUFFIXES
            and path.parent.name in LAYOUT_FOLDERS
            and "__MACOSX" not in path.parts
            and not path.name.startswith(".")
        ):
            folders = by_root.setdefault(path.parent.parent, {})
            folders.setdefault(path.parent.name, []).append(path)
        else:
            strangers[str(path.parent)] += 1
    if not by_root:
        raise UserError(
            f"{origin} holds no image in Market-1501 layout. Expected {TRAIN_FOLDER}/, "
            f"{QUERY_FOLDER}/ and {GALLERY_FOLDERS[0]}/ with names like {NAME_EXAMPLE}."
        )
    if len(by_root) > 1:
        raise UserError(
            f"{origin} holds several data sets: {listed(sorted(map(str, by_root)))}. "
            "Keep one and move the others elsewhere."
        )
    ((root, folders),) = by_root.items()
    return Source(
        root.name or name,
        files,
        {f: sorted(p) for f, p in sorted(folders.items())},
        dict(sorted(strangers.items())),
    )


@contextmanager
def open_source(data: Path) -> Iterator[Source]:
    """Find the data set in ``data`` and open it.

    ``data`` is a folder in Market-1501 layout, a zip archive of such a folder, or a folder that
    holds one of these. If ``data`` holds another data set, the bundled sample is ignored.

    Raises:
        UserError: there is no data set, there are several, or the archive is damaged.
    """
    origin = _pick(data)
    if origin.is_dir():
        yield _arrange(origin.name, origin, FolderFiles(origin))
        return
    try:
        archive = zipfile.ZipFile(origin)
    except zipfile.BadZipFile as e:
        raise UserError(
            f"{origin} is not a readable zip archive ({e}). The download may have been cut off; "
            "get it again."
        ) from e
    with archive:
        yield _arrange(origin.stem, origin, ZipFiles(archive))
