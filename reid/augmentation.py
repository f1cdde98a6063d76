"""Random changes of training images, drawn for a whole batch at once on uint8 arrays."""

import numpy as np
from pydantic import Field

from reid.settings import Settings


class Augmentation(Settings):
    """How much to change; zero (or False) switches an ingredient off."""

    flip: bool
    """Mirror half of the images left to right."""
    pad: int = Field(ge=0)
    """Pixels of border to add before a random crop back to the size."""
    colour: float = Field(ge=0, lt=1)
    """Largest relative change of an image's brightness; half of it for each colour channel."""
    erase: float = Field(ge=0, le=1)
    """Probability that a rectangle of an image is filled with noise (Zhong et al., "Random
    Erasing Data Augmentation", AAAI 2020: 2-40 % of the area, sides 0.3 to 1/0.3)."""


def shift_and_flip(
    images: np.ndarray, pad: int, flip: bool, rng: np.random.Generator
) -> np.ndarray:
    """Pad by ``pad`` black pixels, crop back at a random place, mirror half of the images.

    Args:
        images: uint8 (n, height, width, 3).
        pad: pixels.
        flip: whether to mirror.
        rng: source of randomness.

    Returns:
        uint8 (n, height, width, 3).
    """
    n, height, width, _ = images.shape
    tops, lefts = rng.integers(0, 2 * pad + 1, (2, n))
    is_mirrored = np.less(rng.random(n), 0.5) if flip else np.zeros(n, bool)
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    shifted = np.empty_like(images)
    for row, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        crop = padded[row, top : top + height, left : left + width]
        shifted[row] = crop[:, ::-1] if is_mirrored[row] else crop
    return shifted


def jitter_colour(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Scale brightness by up to ``1 +- strength``, and each channel by up to half as much more."""
    n = len(images)
    brightness = rng.uniform(1 - strength, 1 + strength, (n, 1, 1, 1))
    balance = rng.uniform(1 - strength / 2, 1 + strength / 2, (n, 1, 1, 3))
    # A table of 256 entries an image and channel instead of arithmetic on every pixel.
    levels = np.arange(256).reshape(256, 1)
    factors = (brightness * balance).reshape(n, 1, 3)
    tables = np.clip(np.rint(levels * factors), 0, 255).astype(np.uint8)
    changed = np.empty_like(images)
    for row, channel in np.ndindex(n, 3):
        changed[row, ..., channel] = tables[row, :, channel][images[row, ..., channel]]
    return changed


def erase_rectangles(
    images: np.ndarray, probability: float, rng: np.random.Generator
) -> np.ndarray:
    """Fill a random rectangle of some images with noise, in place; gives ``images`` back."""
    n, height, width, _ = images.shape
    chosen = np.flatnonzero(rng.random(n) < probability)
    area = rng.uniform(0.02, 0.4, len(chosen)) * height * width
    aspect = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3), len(chosen)))
    box_heights = np.clip(np.rint(np.sqrt(area * aspect)), 1, height - 1).astype(int)
    box_widths = np.clip(np.rint(np.sqrt(area / aspect)), 1, width - 1).astype(int)
    tops = rng.integers(0, height - box_heights)
    lefts = rng.integers(0, width - box_widths)
    noise = rng.integers(0, 256, images.shape[1:], dtype=np.uint8)
    for row, top, left, h, w in zip(chosen, tops, lefts, box_heights, box_widths, strict=True):
        images[row, top : top + h, left : left + w] = noise[:h, :w]
    return images


def augment(images: np.ndarray, how: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Change a batch: crop and flip, then colour, then erasing. uint8 (n, height, width, 3)."""
    changed = shift_and_flip(images, how.pad, how.flip, rng)
    if how.colour:
        changed = jitter_colour(changed, how.colour, rng)
    if how.erase:
        changed = erase_rectangles(changed, how.erase, rng)
    return changed
