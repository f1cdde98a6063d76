"""Where photos in Market-1501 layout come from: a folder, or a zip archive that stays packed."""

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from reid.common.errors import UserError
from reid.data.market import (
    GALLERY_FOLDERS,
    IMAGE_SUFFIXES,
    QUERY_FOLDER,
    SAMPLE_NAME,
    TRAIN_FOLDER,
)

LAYOUT_FOLDERS = (TRAIN_FOLDER, QUERY_FOLDER, *GALLERY_FOLDERS)


ARCHIVES_UNKNOWN = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")

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
"""What reading a damaged or encrypted archive raises."""


class Files(Protocol):
    """Files that can be listed and read by relative path, from several threads at once."""

    def paths(self) -> list[PurePosixPath]:
        """All files."""

    def read(self, path: PurePosixPath) -> bytes:
        """The content of one file."""


@dataclass(frozen=True)
class FolderFiles:
    """The files below a folder."""

    root: Path

    def paths(self) -> list[PurePosixPath]:
        """All files, relative to the root."""
        return [
            PurePosixPath(path.relative_to(self.root).as_posix())
            for path in self.root.rglob("*")
            if path.is_file()
        ]

    def read(self, path: PurePosixPath) -> bytes:
        """The content of one file."""
        return (self.root / path).read_bytes()


@dataclass(frozen=True)
class ZipFiles:
    """The members of a zip archive. Raises UserError for a damaged or a hostile one."""

    archive: zipfile.ZipFile
    members: dict[PurePosixPath, zipfile.ZipInfo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a name that leads out of the archive, and one that is there twice."""
        for info in self.archive.infolist():
            path = PurePosixPath(info.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                raise UserError(
                    f"{self.archive.filename}: the member {info.filename!r} leads out of the "
                    "archive. This is no archive of photos to trust; get it again from its source."
                )
            if path in self.members:
                raise UserError(
                    f"{self.archive.filename}: {path} is in the archive twice. "
                    "Pack it again with each photo once."
                )
            if not info.is_dir():
                self.members[path] = info

    def paths(self) -> list[PurePosixPath]:
        """All members that are files."""
        return list(self.members)

    def read(self, path: PurePosixPath) -> bytes:
        """The content of one member."""
        try:
            return self.archive.read(self.members[path])
        except DAMAGED as e:
            raise UserError(
                f"{self.archive.filename}: {path} can't be unpacked ({e}). "
                "The archive is damaged or encrypted; get it again."
            ) from e


@dataclass(frozen=True)
class Source:
    """A data set in Market-1501 layout, found but not yet read."""

    name: str
    """Name of the folder that holds the layout's; of the archive, where there is none."""
    files: Files
    folders: dict[str, list[PurePosixPath]]
    """Images of each layout folder that is there, sorted by name."""
    strangers: dict[str, int]
    """How many files are no images of the layout, by the folder they lie in."""


def _is_data_set(path: Path) -> bool:
    if path.is_dir():
        return not path.name.startswith((".", "__MACOSX"))
    return path.suffix.lower() == ".zip"


def _pick(data: Path) -> Path:
    """The one folder or zip archive to read: ``data`` itself, or the only candidate in it."""
    if data.is_file():
        return data
    if not data.is_dir():
        raise UserError(
            f"{data} is no folder. Bring the sample with `dvc pull data.dvc`, "
            "or put your own data set into data/ and run `dvc add data`."
        )
    if any((data / folder).is_dir() for folder in LAYOUT_FOLDERS):
        return data
    for path in sorted(data.iterdir()):
        if path.suffix.lower() in ARCHIVES_UNKNOWN:
            raise UserError(f"{path} is no zip archive. Unpack it in {data}, and remove it there.")
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
            f"{data} holds several data sets: {', '.join(path.name for path in found)}. "
            "Keep one and move the others elsewhere."
        )
    return found[0]


def _arrange(name: str, origin: Path, files: Files) -> Source:
    """Sort the files into layout folders; whatever is no image there is a stranger."""
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
            f"{QUERY_FOLDER}/ and {GALLERY_FOLDERS[0]}/ with names like 0002_c1s1_000451_03.jpg."
        )
    if len(by_root) > 1:
        raise UserError(
            f"{origin} holds several data sets: {', '.join(sorted(map(str, by_root)))}. "
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

    ``data`` is a folder in Market-1501 layout or a zip archive of one, or a folder that holds one
    of these; the project's sample gives way to another data set beside it.

    Raises:
        UserError: there is none, there are several, or the archive is damaged.
    """
    origin = _pick(data)
    if origin.is_dir():
        yield _arrange(origin.name, origin, FolderFiles(origin))
        return
    try:
        archive = zipfile.ZipFile(origin)
    except zipfile.BadZipFile as e:
        raise UserError(
            f"{origin} is no readable zip archive ({e}). The download may have been cut off; "
            "get it again."
        ) from e
    with archive:
        yield _arrange(origin.stem, origin, ZipFiles(archive))
