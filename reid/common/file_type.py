"""Tell what a file is by its first bytes, because names are often wrong."""

from pathlib import Path
from typing import Literal, NamedTuple

HEAD = 512
"""The first bytes of a file that suffice to recognise it."""

Group = Literal["zip", "archive", "image", "placeholder"]


class FileType(NamedTuple):
    """What a file is, in words for a message."""

    group: Group
    """``zip`` for a zip archive, ``archive`` for other packed files and parts of archives,
    ``image``, or ``placeholder`` for a text that stands in place of the file."""
    words: str
    """The type with its article: ``a WebP image``."""
    advice: str
    """What to do to get a file that can be used, without a full stop."""


UNPACK = "unpack it"
SAVE = "save it as JPEG or PNG"
JOIN = "join the parts of the archive and unpack the whole"
DOWNLOAD = "a server sent it instead of the file; download the file again, signed in if it must be"

ZIP = FileType("zip", "a zip archive", UNPACK)
JPEG = FileType("image", "a JPEG image", SAVE)
PNG = FileType("image", "a PNG image", SAVE)

SVG = FileType("image", "an SVG drawing", SAVE)

SIGNATURES = (
    (b"PK\x03\x04", ZIP),
    (b"PK00PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"PK\x07\x08", FileType("archive", "the first part of a zip archive that was split", JOIN)),
    (b"\x1f\x8b", FileType("archive", "a gzip archive", UNPACK)),
    (b"BZh", FileType("archive", "a bzip2 archive", UNPACK)),
    (b"\xfd7zXZ\x00", FileType("archive", "an xz archive", UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileType("archive", "a Zstandard archive", UNPACK)),
    (b"\x04\x22\x4d\x18", FileType("archive", "an LZ4 archive", UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileType("archive", "a 7z archive", UNPACK)),
    (b"Rar!\x1a\x07", FileType("archive", "a RAR archive", UNPACK)),
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF8", FileType("image", "a GIF image", SAVE)),
    (b"II*\x00", FileType("image", "a TIFF image", SAVE)),
    (b"MM\x00*", FileType("image", "a TIFF image", SAVE)),
    (b"8BPS", FileType("image", "a Photoshop image", SAVE)),
    (b"%PDF-", FileType("image", "a PDF document", SAVE)),
    (b"<svg", SVG),
    (b"%!PS", FileType("image", "a PostScript picture", SAVE)),
    (b"\xff\x0a", FileType("image", "a JPEG XL image", SAVE)),
    (b"\x00\x00\x00\x0cJXL ", FileType("image", "a JPEG XL image", SAVE)),
    (b"\x00\x00\x00\x0cjP  ", FileType("image", "a JPEG 2000 image", SAVE)),
    (b"\xff\x4f\xff\x51", FileType("image", "a JPEG 2000 image", SAVE)),
)
WEBP = FileType("image", "a WebP image", SAVE)
BMP = FileType("image", "a BMP image", SAVE)
HEIC = FileType("image", "a HEIC image", SAVE)
AVIF = FileType("image", "an AVIF image", SAVE)
TAR = FileType("archive", "a tar archive", UNPACK)
LFS_POINTER = FileType(
    "placeholder", "a Git LFS pointer", "fetch the files themselves with `git lfs pull`"
)
ANNEX_POINTER = FileType(
    "placeholder", "a git-annex pointer", "fetch the files themselves with `git annex get`"
)
HTML = FileType("placeholder", "an HTML page", DOWNLOAD)
HTML_BEGINS = tuple(
    f"<{tag}".encode() for tag in ("!doctype html", "html", "head", "body", "!--", "title", "meta")
)
XML = FileType("placeholder", "an XML text", DOWNLOAD)
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


def file_type(head: bytes) -> FileType | None:
    """Return what a file is that begins with ``head``, `HEAD` bytes or the whole file.

    None stands for a type that is not known here.
    """
    for signature, found in SIGNATURES:
        if head.startswith(signature):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    # "BM" alone could begin a text: the four bytes after the file's size are zero in a BMP.
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return BMP
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return HEIC if brand in HEIC_BRANDS else AVIF if brand in AVIF_BRANDS else None
    if head[257:262] == b"ustar":
        return TAR
    return _placeholder(head)


def _placeholder(head: bytes) -> FileType | None:
    """Recognise the texts that tools and servers give in place of a file."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        return LFS_POINTER
    if b"/annex/objects/" in text:
        return ANNEX_POINTER
    if text.startswith(HTML_BEGINS):
        return HTML
    if text.startswith(b"<?xml"):
        return HTML if b"<html" in text else SVG if b"<svg" in text else XML
    return None


def read_head(path: Path) -> bytes:
    """Read the first bytes of a file, as `file_type` needs them."""
    with path.open("rb") as file:
        return file.read(HEAD)
