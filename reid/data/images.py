"""Decode image files to arrays."""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from reid.common.errors import UserError

MODES_OF_32_BITS = ("I", "F")
"""Pillow's modes with 32 bits per channel. The names of those with 16 begin with "I;16"."""


class UnreadableImageError(UserError):
    """An image that can't be decoded."""


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """Give the image of a file, decoded completely; raise `UnreadableImageError` if it can't be."""
    if not content:
        raise UnreadableImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.mode in MODES_OF_32_BITS or image.mode.startswith("I;16"):
                raise UnreadableImageError("more than 8 bits per channel; save it with 8")
            yield image
    except Image.UnidentifiedImageError as e:
        raise UnreadableImageError("not an image in a known format") from e
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise UnreadableImageError(str(e)) from e


def image_size(content: bytes) -> tuple[int, int]:
    """Decode an image completely and return its (width, height) in pixels.

    Raises:
        UnreadableImageError: ``content`` is empty, cut off or not an image; or the image has more
            than 8 bits per channel, and its bright parts would turn white.
    """
    with _opened(content) as image:
        return image.size


def decode(content: bytes, height: int, width: int) -> np.ndarray:
    """Decode an image file to RGB and scale it to (height, width): uint8 (height, width, 3).

    Raises:
        UnreadableImageError: as `image_size` does.
    """
    with _opened(content) as image:
        # Cameras and phones store how a photo is turned in a tag; the pixels stay unturned.
        rgb = ImageOps.exif_transpose(image).convert("RGB")
    if rgb.size != (width, height):
        rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def decode_all(contents: Sequence[bytes], height: int, width: int) -> np.ndarray:
    """Decode n image files on all processors to one array: uint8 (n, height, width, 3)."""
    images = np.empty((len(contents), height, width, 3), np.uint8)

    def fill(row: int) -> None:
        images[row] = decode(contents[row], height, width)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(len(contents))))
    return images
