"""Take the metadata out of JPEG and PNG files before a library sees it.

Cameras and programs write much into photos that is broken: resolutions of a wrong type, cut-off
thumbnails, texts. None of it matters to the pixels, except how the photo is turned. So this module
reads that one number, and gives the decoder a file without metadata.

Sources: ITU-T T.81 (JPEG), "PNG Specification, Third Edition" (W3C), CIPA DC-008 (EXIF).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

AS_STORED = 1
"""The orientation of a photo that needs no turning."""
ORIENTATION_TAG = 0x0112
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}
"""The `struct` letters of EXIF's types BYTE, SHORT and LONG, without and with a sign."""
EXIF = b"Exif\x00\x00"

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH_IN_IHDR = 8
"""The place of the bit depth in the IHDR chunk."""

START_OF_SCAN = 0xDA
FILL = {0x00, 0xFF}
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
"""JPEG markers that no length follows."""
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG markers of the segment with the size, which begins with the bits per sample."""
APP0, EXIF_MARKER, ADOBE_MARKER, APP15, COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
JFIF_LENGTH, ADOBE_LENGTH = 14, 12
"""The lengths below which decoders ignore these segments."""


class PlainFile(NamedTuple):
    """A JPEG or PNG file without metadata."""

    content: bytes
    """The file, whose pixels are those of the original."""
    bits: int | None
    """The bits per channel, if the file says so."""
    exif: bytes
    """The block with the EXIF tags, or nothing."""


def without_metadata(content: bytes) -> PlainFile:
    """Remove the metadata of a JPEG or PNG file. The file may be damaged.

    What comes after the first damaged place is left as it is: the decoder has to judge it.
    """
    return _plain_png(content) if content.startswith(PNG_SIGNATURE) else _plain_jpeg(content)


class _Segment(NamedTuple):
    """A segment of a JPEG file: its marker, its place in the file and its content."""

    marker: int
    start: int
    end: int
    payload: bytes


def _segments(content: bytes) -> Iterator[_Segment]:
    """Find the segments of a JPEG file before the pixels, up to the first damaged one."""
    at = 2
    # Decoders skip other bytes between two segments.
    while (at := content.find(b"\xff", at)) >= 0:
        marker = content[at + 1 : at + 2]
        if not marker or marker[0] == START_OF_SCAN:
            return
        if marker[0] in FILL or marker[0] in WITHOUT_LENGTH:
            at += 1
            continue
        length = content[at + 2 : at + 4]
        end = at + 2 + int.from_bytes(length)
        if end < at + 4 or end > len(content):
            return
        yield _Segment(marker[0], at, end, content[at + 4 : end])
        at = end


def _plain_jpeg(content: bytes) -> PlainFile:
    kept, rest, bits, exif = [content[:2]], 2, None, b""
    for segment in _segments(content):
        if segment.marker in FRAMES and segment.payload and bits is None:
            bits = segment.payload[0]
        if segment.marker == EXIF_MARKER and segment.payload.startswith(EXIF):
            exif = exif or segment.payload
        if _matters_to_pixels(segment):
            kept.append(content[segment.start : segment.end])
        rest = segment.end
    return PlainFile(b"".join([*kept, content[rest:]]), bits, exif)


def _matters_to_pixels(segment: _Segment) -> bool:
    """Return whether a JPEG decoder needs a segment. Two say how colours are stored."""
    marker, payload = segment.marker, segment.payload
    if marker == APP0:
        return payload.startswith(b"JFIF\x00") and len(payload) >= JFIF_LENGTH
    if marker == ADOBE_MARKER:
        return payload.startswith(b"Adobe") and len(payload) >= ADOBE_LENGTH
    return marker != COMMENT and not APP0 < marker <= APP15


def _plain_png(content: bytes) -> PlainFile:
    kept, bits, exif = [PNG_SIGNATURE], None, b""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        if end > len(content):
            break
        name, payload = content[at + 4 : at + 8], content[at + 8 : end - 4]
        if name == b"IHDR" and len(payload) > DEPTH_IN_IHDR:
            bits = payload[DEPTH_IN_IHDR]
        if name == b"eXIf":
            exif = exif or payload
        # A chunk whose name begins with a small letter is not needed to decode the file. The one
        # that says which colours are transparent changes the look.
        if name[:1].isupper() or name == b"tRNS":
            kept.append(content[at:end])
        at = end
    return PlainFile(b"".join([*kept, content[at:]]), bits, exif)


def orientation(exif: bytes) -> int:
    """Return how a photo has to be turned, from 1 to 8 as EXIF numbers it.

    Only the tag 0x0112 of the first directory is read. If it can't be, the answer is `AS_STORED`.
    """
    while exif.startswith(EXIF):
        exif = exif[len(EXIF) :]
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None:
        return AS_STORED
    try:
        (directory,) = struct.unpack_from(order + "L", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for number in range(entries):
            entry = directory + 2 + 12 * number
            tag, kind, count = struct.unpack_from(order + "HHL", exif, entry)
            if tag == ORIENTATION_TAG and kind in WHOLE_NUMBERS and count == 1:
                (value,) = struct.unpack_from(order + WHOLE_NUMBERS[kind], exif, entry + 8)
                return value if 1 <= value <= 8 else AS_STORED
    except struct.error:
        pass
    return AS_STORED
