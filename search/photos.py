"""The form in which an index keeps a photo."""

import hashlib
import io
from typing import NamedTuple

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


class KeptPhoto(NamedTuple):
    """A photo in the form that an index keeps."""

    content: bytes
    """A JPEG or PNG file that shows the photo upright, without metadata."""
    sha256: str
    """The hash of the file as it was given."""


def kept_form(content: bytes) -> KeptPhoto:
    """Return a photo without metadata (places, times, names of devices), upright and small.

    A small upright file keeps its pixels to the bit. Other photos are written as JPEG.

    Raises:
        UnreadableImageError: the file is too large or can't be decoded.
    """
    if len(content) > MAX_BYTES:
        raise UnreadableImageError(f"more than {MAX_BYTES // 2**20} MB; save it smaller")
    facts = photo_facts(content)
    sha256 = hashlib.sha256(content).hexdigest()
    plain = without_metadata(content)
    if len(plain.content) <= KEPT_BYTES and orientation(plain.exif) == AS_STORED:
        return KeptPhoto(plain.content, sha256)
    scale = min(1.0, KEPT_HEIGHT / facts.height, KEPT_WIDTH / facts.width)
    height, width = (max(1, round(scale * side)) for side in (facts.height, facts.width))
    return KeptPhoto(_small_jpeg(decode(content, height, width)), sha256)


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
