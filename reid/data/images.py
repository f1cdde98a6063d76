"""Decode image files to arrays: the only place that opens photos."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import NamedTuple

import numpy as np
import simplejpeg
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

USUAL_JPEG = ("YCbCr", "Gray")
"""The colour spaces of JPEG files that cameras write."""

TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
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

    rgb: np.ndarray
    """Without transparency, not yet turned: uint8 (height, width, 3)."""
    orientation: int
    transparent: bool

    def upright(self) -> np.ndarray:
        turn = TURNS.get(self.orientation)
        return self.rgb if turn is None else turn(self.rgb)


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
    turn = orientation(plain.exif)
    if kind == JPEG and (rgb := _usual_jpeg(plain.content)) is not None:
        return _Pixels(rgb, turn, transparent=False)
    try:
        # Phones write MPO files under the name .jpg: a JPEG that further pictures follow.
        with Image.open(io.BytesIO(plain.content), formats=("JPEG", "PNG")) as image:
            image.load()
            opaque, transparent = _without_transparency(image, plain)
    except Exception as e:  # Pillow has no list of what it raises on damaged files.
        raise UnreadableImageError(_reason(e)) from e
    return _Pixels(np.asarray(opaque), turn, transparent)


def _usual_jpeg(content: bytes) -> np.ndarray | None:
    """Decode a JPEG file to RGB by the library that Pillow uses, three times as fast.

    Returns:
        The same pixels as Pillow's, or None for a file that is left to Pillow: because it is large,
        has other colours than the usual ones, or may be damaged.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in USUAL_JPEG or height * width > (Image.MAX_IMAGE_PIXELS or inf):
            return None
        return simplejpeg.decode_jpeg(content)
    except (ValueError, KeyError):  # KeyError: a rare kind of subsampling, 4:4:1
        return None


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


def _flat_bottom(rows: np.ndarray) -> float:
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
    flat_bottom = 0.0 if pixels.transparent else _flat_bottom(pixels.rgb)
    height, width, _ = pixels.upright().shape
    return PhotoFacts(width, height, pixels.transparent, flat_bottom)


def decode(content: bytes, height: int, width: int) -> np.ndarray:
    """Decode a JPEG or PNG file to RGB and scale it to (height, width): uint8 (height, width, 3).

    The photo is turned as its EXIF orientation says. Transparent pixels show `BACKGROUND`.

    Raises:
        UnreadableImageError: ``content`` is empty, cut off, damaged or of another format; or the
            image has more than 8 bits per channel, and its bright parts would turn white.
    """
    rgb = _read_pixels(content).upright()
    if rgb.shape[:2] != (height, width):
        image = Image.fromarray(np.ascontiguousarray(rgb))
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return rgb


def decode_all(contents: Sequence[bytes], height: int, width: int) -> np.ndarray:
    """Decode n image files on all processors to one array: uint8 (n, height, width, 3)."""
    images = np.empty((len(contents), height, width, 3), np.uint8)
    threads = min(len(contents), os.cpu_count() or 1) or 1

    def fill(first: int) -> None:
        for row in range(first, len(contents), threads):
            images[row] = decode(contents[row], height, width)

    if threads == 1:
        # A thread takes longer to start than one photo to decode.
        fill(0)
        return images
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(threads)))
    return images
