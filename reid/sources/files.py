"""The files of a data set, in a folder or in zip archives that stay packed."""

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from reid.common.errors import UserError, listed
from reid.sources.layout import LAYOUT_FOLDERS, expected_folder
from reid.sources.litter import is_litter
from reid.sources.zip_archive import members, read_member


class Files(Protocol):
    """Files that several threads can list and read at the same time, by their relative paths."""

    def paths(self) -> list[PurePosixPath]:
        """List all files but what desktops left."""

    def size(self, path: PurePosixPath) -> int:
        """Return the number of bytes of a file."""

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a file."""


@dataclass(frozen=True)
class FolderFiles:
    """The files below a folder. Links to files and folders are followed."""

    root: Path

    def paths(self) -> list[PurePosixPath]:
        """List all files, relative to the root.

        A link to a folder in which it lies adds nothing.

        Raises:
            UserError: links lead nowhere.
            PermissionError: a folder may not be read.
        """
        dangling: list[str] = []
        found = list(_walk(self.root, PurePosixPath(), (), dangling))
        if dangling:
            raise UserError(links_lead_nowhere(dangling))
        return found

    def size(self, path: PurePosixPath) -> int:
        """Return the number of bytes of a file."""
        return (self.root / path).stat().st_size

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a file."""
        return (self.root / path).read_bytes()


def links_lead_nowhere(links: Sequence[str]) -> str:
    """Word the fault of links whose targets don't exist."""
    return (
        f"Links lead nowhere: {listed(sorted(links))}. "
        "Mount the disk that they lead to, mend the links, or remove them."
    )


def _walk(
    root: Path, folder: PurePosixPath, above: tuple[Path, ...], dangling: list[str]
) -> Iterator[PurePosixPath]:
    """Yield the files below a folder. Add the links that lead nowhere to ``dangling``.

    Args:
        root: the folder that all paths are relative to.
        folder: the folder to list.
        above: the real paths of the folders that lead here.
        dangling: the list to add to.
    """
    here = (root / folder).resolve()
    if any(place.is_relative_to(here) for place in above):
        return
    with os.scandir(root / folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if is_litter(path):
                continue
            # Unlike the entry's own methods, these take a link to itself for a link to nowhere.
            if os.path.isdir(root / path):
                yield from _walk(root, path, (*above, here), dangling)
            elif os.path.isfile(root / path):
                yield path
            elif entry.is_symlink():
                dangling.append(f"{root / path} -> {os.readlink(root / path)}")


def behind_links(data: Path) -> str:
    """Return a hash of the files behind links to folders, by their paths and sizes.

    DVC doesn't look into such folders, so its hash of the data stays the same whatever is there.
    Without such links, the hash is empty.

    Raises:
        UserError: links lead nowhere.
    """
    folders = (Path(folder, name) for folder, names, _ in os.walk(data) for name in names)
    links = {PurePosixPath(f.relative_to(data)) for f in folders if f.is_symlink()}
    if not links:
        return ""
    files = FolderFiles(data)
    found = [path for path in files.paths() if not links.isdisjoint(path.parents)]
    lines = sorted(f"{path} {files.size(path)}" for path in found)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class ZipFiles:
    """The members of a zip archive.

    An archive of one folder of the layout may hold the folder's files only, if it has the folder's
    name, or nearly: ``query.zip``.

    Raises:
        UserError: a member's name leads out of the archive or occurs twice, or members can't be
            unpacked.
    """

    archive: zipfile.ZipFile
    members: dict[PurePosixPath, zipfile.ZipInfo] = field(init=False)

    def __post_init__(self) -> None:
        """Check all members."""
        found = {p: info for p, info in members(self.archive).items() if not is_litter(p)}
        folder = Path(self.archive.filename or "").stem
        is_named = folder in LAYOUT_FOLDERS or expected_folder(folder)
        if is_named and all(len(path.parts) == 1 for path in found):
            found = {PurePosixPath(folder) / path: info for path, info in found.items()}
        object.__setattr__(self, "members", found)

    def paths(self) -> list[PurePosixPath]:
        """List all members that are files."""
        return list(self.members)

    def size(self, path: PurePosixPath) -> int:
        """Return the number of bytes of a member when it is unpacked."""
        return self.members[path].file_size

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a member."""
        return read_member(self.archive, self.members[path])


@dataclass(frozen=True)
class JoinedFiles:
    """The members of several zip archives that are parts of one data set.

    Raises:
        UserError: two archives hold the same path.
    """

    parts: Sequence[ZipFiles]
    owners: dict[PurePosixPath, ZipFiles] = field(init=False)

    def __post_init__(self) -> None:
        """Find out which archive holds each path."""
        owners: dict[PurePosixPath, ZipFiles] = {}
        for part in self.parts:
            for path in part.paths():
                if path in owners:
                    names = f"{owners[path].archive.filename} and {part.archive.filename}"
                    raise UserError(
                        f"{names} are several data sets, or copies of one: both hold {path}. "
                        "Keep one and move the others elsewhere."
                    )
                owners[path] = part
        object.__setattr__(self, "owners", owners)

    def paths(self) -> list[PurePosixPath]:
        """List the members of all archives."""
        return list(self.owners)

    def size(self, path: PurePosixPath) -> int:
        """Return the number of bytes of a member when it is unpacked."""
        return self.owners[path].size(path)

    def read(self, path: PurePosixPath) -> bytes:
        """Read the content of a member."""
        return self.owners[path].read(path)
