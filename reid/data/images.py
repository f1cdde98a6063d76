"""Decode image files to arrays: the only place that opens photos."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from reid.common.errors import UserError
from reid.common.file_type import HEAD, JPEG, PNG, file_type
from reid.data.metadata import PlainFile, orientation, without_metadata

BITS = 8
"""The most bits per channel that are read."""
BACKGROUND = (128, 128, 128)
"""The colour behind transparent pixels. It is in the middle of the range of values, so neither
dark nor light clothes vanish in it."""
OPAQUE = 255

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a photo of each EXIF orientation upright."""


class UnreadableImageError(UserError):
    """An image that can't be decoded. The message is the reason; it doesn't name the file."""


class PhotoFacts(NamedTuple):
    """What the validation has to know of a photo."""

    width: int
    """The width in pixels of the upright photo."""
    height: int
    """The height in pixels of the upright photo."""
    transparent: bool
    """Whether a pixel is transparent, wholly or in part."""
    flat_bottom: float
    """The share of rows at the bottom that have one and the same colour over the whole width.

    The bottom is that of the pixels as they are stored: a decoder stops there if a file is cut off.
    A photo with transparent pixels has 0.
    """


class _Pixels(NamedTuple):
    """The pixels of a photo as they are stored."""

    image: Image.Image
    """The RGB image, without transparency, not yet turned."""
    orientation: int
    transparent: bool

    def upright(self) -> Image.Image:
        turn = TURNS.get(self.orientation)
        return self.image if turn is None else self.image.transpose(turn)


def _read_pixels(content: bytes) -> _Pixels:
    """Decode a file completely. Everything that reads a photo calls this."""
    if not content:
        raise UnreadableImageError("the file is empty")
    kind = file_type(content[:HEAD])
    if kind is None:
        raise UnreadableImageError("not an image in a known format (JPEG or PNG)")
    if kind not in (JPEG, PNG):
        raise UnreadableImageError(f"{kind.words} instead of a JPEG or PNG; {kind.advice}")
    plain = without_metadata(content)
    if plain.bits is not None and plain.bits > BITS:
        raise UnreadableImageError(f"more than {BITS} bits per channel; save it with {BITS}")
    try:
        # Phones write MPO files under the name .jpg: a JPEG that further pictures follow.
        with Image.open(io.BytesIO(plain.content), formats=("JPEG", "PNG")) as image:
            image.load()
            rgb, transparent = _without_transparency(image, plain)
    except Exception as e:  # Pillow has no list of what it raises on damaged files.
        raise UnreadableImageError(_reason(e)) from e
    return _Pixels(rgb, orientation(plain.exif), transparent)


def _reason(error: Exception) -> str:
    """Word an error of Pillow's without the numbers that differ from file to file."""
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; save it smaller"
    if "truncated" in str(error).lower():
        return "image file is truncated; copy or download it again"
    return "image file is damaged; copy or download it again"


def _without_transparency(image: Image.Image, plain: PlainFile) -> tuple[Image.Image, bool]:
    """Lay an image over `BACKGROUND`. Return it in RGB, and whether a pixel was transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB"), False
    if image.mode == "L" and plain.bits is not None:
        # Pillow spreads the levels of 2 and 4 bits over 0 to 255, but not the transparent level.
        image.info["transparency"] *= OPAQUE // (2**plain.bits - 1)
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    (least, _) = alpha.getextrema()
    if least == OPAQUE:
        return rgba.convert("RGB"), False
    rgb = Image.new("RGB", rgba.size, BACKGROUND)
    rgb.paste(rgba, mask=alpha)
    return rgb, True


def _flat_bottom(rgb: Image.Image) -> float:
    rows = np.asarray(rgb)
    for number, row in enumerate(reversed(rows)):
        if (row != rows[-1, 0]).any():
            return number / len(rows)
    return 1.0


def photo_facts(content: bytes) -> PhotoFacts:
    """Decode a JPEG or PNG file completely and describe it.

    Raises:
        UnreadableImageError: `decode` can't decode the file.
    """
    pixels = _read_pixels(content)
    flat_bottom = 0.0 if pixels.transparent else _flat_bottom(pixels.image)
    return PhotoFacts(*pixels.upright().size, pixels.transparent, flat_bottom)


def decode(content: bytes, height: int, width: int) -> np.ndarray:
    """Decode a JPEG or PNG file to RGB and scale it to (height, width): uint8 (height, width, 3).

    The photo is turned as its EXIF orientation says. Transparent pixels show `BACKGROUND`.

    Raises:
        UnreadableImageError: ``content`` is empty, cut off, damaged or of another format; or the
            image has more than 8 bits per channel, and its bright parts would turn white.
    """
    rgb = _read_pixels(content).upright()
    if rgb.size != (width, height):
        rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def decode_all(contents: Sequence[bytes], height: int, width: int) -> np.ndarray:
    """Decode n image files on all processors to one array: uint8 (n, height, width, 3)."""
    images = np.empty((len(contents), height, width, 3), np.uint8)

    def fill(row: int) -> None:
        images[row] = decode(contents[row], height, width)

    if len(contents) == 1:
        # A thread takes longer to start than a photo to decode.
        fill(0)
        return images
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(len(contents))))
    return images
