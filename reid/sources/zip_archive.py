"""Open zip archives that come from anywhere: find faults before any member is read.

Source: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 6.3.
"""

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from reid.common.errors import UserError, listed

READABLE_METHODS = {
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
}
METHOD_NAMES = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
    99: "AES encryption",
}
ENCRYPTED = 0x1
"""The flag of a member that needs a password."""

END_RECORD = b"PK\x05\x06"
LONGEST_END = 22 + 65_535
"""The bytes at the end of an archive that may hold the end record: it and the longest comment."""
ONLY_DISKS = (0, 0xFFFF)
"""The number of the last part in the end record if there is one part; 0xFFFF is Zip64."""

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""The errors that reading a damaged archive raises."""

DRIVE = re.compile(r"[A-Za-z]:")
INSTEAD = "Unpack it with the program that packed it, and use the unpacked files"


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        UserError: the archive is one part of several, cut off or damaged.
        PermissionError: the file may not be read.
    """
    try:
        archive = zipfile.ZipFile(path)
    except PermissionError:
        raise
    except DAMAGED as e:
        if _is_last_of_several(path):
            raise UserError(_split(path)) from e
        raise UserError(
            f"{path} is not a readable zip archive ({e}). The download may have been cut off; "
            "get it again."
        ) from e
    if _is_last_of_several(path):
        archive.close()
        raise UserError(_split(path))
    return archive


def _split(path: Path) -> str:
    return (
        f"{path} is the last part of a zip archive that was split. Join the parts, for example "
        f"with `zip -s 0 {path.name} --out whole.zip`, or unpack them all."
    )


def _is_last_of_several(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LONGEST_END))
        end = file.read()
    at = end.rfind(END_RECORD)
    return at >= 0 and int.from_bytes(end[at + 4 : at + 6], "little") not in ONLY_DISKS


def member_path(name: str) -> PurePosixPath:
    """Return the path of a member. Some programs of Windows write backslashes between folders."""
    return PurePosixPath(name.replace("\\", "/"))


def members(archive: zipfile.ZipFile) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files of an archive by their paths.

    Raises:
        UserError: a member leads out of the archive or occurs twice; or members are encrypted, or
            packed in a way that Python can't unpack, or links.
    """
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        path = member_path(info.filename)
        if path.is_absolute() or ".." in path.parts or DRIVE.match(info.filename):
            raise UserError(
                f"{archive.filename}: the member {info.filename!r} leads out of the "
                "archive. Don't trust this archive; get it again from its source."
            )
        if path in found:
            raise UserError(
                f"{archive.filename}: {path} is in the archive twice. "
                "Pack the archive again, with each file once."
            )
        if not info.filename.endswith(("/", "\\")):
            found[path] = info
    _require_readable(archive, found.values())
    return found


def _require_readable(archive: zipfile.ZipFile, infos: Collection[zipfile.ZipInfo]) -> None:
    encrypted = [i.filename for i in infos if i.flag_bits & ENCRYPTED or i.compress_type == 99]
    if encrypted:
        raise UserError(
            f"{archive.filename}: {_counted(encrypted, infos)} encrypted with a password. "
            f"{INSTEAD}."
        )
    unknown = {i.compress_type for i in infos} - READABLE_METHODS
    if unknown:
        packed = [i.filename for i in infos if i.compress_type in unknown]
        methods = " and ".join(METHOD_NAMES.get(m, f"method {m}") for m in sorted(unknown))
        raise UserError(
            f"{archive.filename}: {_counted(packed, infos)} packed with {methods}, which Python "
            f"can't unpack. {INSTEAD}, or pack it again with the method Deflate."
        )
    links = [i.filename for i in infos if stat.S_ISLNK(i.external_attr >> 16)]
    if links:
        raise UserError(
            f"{archive.filename}: links, without what they lead to, are in place of "
            f"{len(links):,} of {len(infos):,} files: {listed(links, limit=3)}. "
            "Pack the archive again with the files themselves."
        )


def _counted(some: Collection[str], of_all: Collection[zipfile.ZipInfo]) -> str:
    return f"{len(some):,} of {len(of_all):,} files {'is' if len(some) == 1 else 'are'}"


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a member.

    Raises:
        UserError: the member is damaged.
    """
    try:
        return archive.read(info)
    except DAMAGED as e:
        raise UserError(
            f"{archive.filename}: {member_path(info.filename)} can't be unpacked ({e}). "
            "The archive is damaged; get it again."
        ) from e
