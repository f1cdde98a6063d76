"""The form in which an index keeps a photo."""

import io

import numpy as np
from PIL import Image

from reid.data.images import UnreadableImageError, decode, photo_facts
from reid.data.metadata import AS_STORED, orientation, without_metadata

MAX_BYTES = 10 * 2**20
"""The largest file that is read."""
MAX_PIXELS = 40_000_000
KEPT_BYTES = 40_000
"""A file that is not larger is kept as it is. Milvus's texts hold 65,535 bytes of base64."""
KEPT_HEIGHT, KEPT_WIDTH = 384, 384
"""A larger photo is scaled down to fit into this, in pixels: networks take at most 256x128."""
QUALITIES = (92, 80, 60, 40, 20)
"""The JPEG qualities that are tried until a photo is small enough."""


def kept_form(content: bytes) -> bytes:
    """Return a photo without metadata (places, times, names of devices), upright and small.

    A small upright file keeps its pixels to the bit. Other photos are written as JPEG.

    Raises:
        UnreadableImageError: the file is too large or can't be decoded.
    """
    if len(content) > MAX_BYTES:
        raise UnreadableImageError(f"more than {MAX_BYTES // 2**20} MB; save it smaller")
    facts = photo_facts(content)
    plain = without_metadata(content)
    if len(plain.content) <= KEPT_BYTES and orientation(plain.exif) == AS_STORED:
        return plain.content
    scale = min(1.0, KEPT_HEIGHT / facts.height, KEPT_WIDTH / facts.width)
    height, width = (max(1, round(scale * side)) for side in (facts.height, facts.width))
    return _small_jpeg(decode(content, height, width))


def named_kept_form(name: str, content: bytes) -> bytes:
    """Return the form that an index keeps; an error's message begins with the name of the photo.

    Raises:
        UnreadableImageError: see `kept_form`.
    """
    try:
        return kept_form(content)
    except UnreadableImageError as e:
        raise UnreadableImageError(f"{name}: {e}") from e


def _small_jpeg(pixels: np.ndarray) -> bytes:
    for quality in QUALITIES:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        if file.tell() <= KEPT_BYTES:
            break
    return file.getvalue()


def limit_pixels() -> None:
    """Let this process refuse photos of more than ``MAX_PIXELS`` before it decodes them."""
    # Pillow warns from this number on, and refuses twice as many.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
