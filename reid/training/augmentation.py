"""Random changes of training images, made on a whole batch at once, on uint8 arrays."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field

from reid.common.settings import Settings


class Augmentation(Settings):
    """How much to change images; zero (or False) switches a change off."""

    flip: bool
    """Whether to mirror half of the images, left to right."""
    pad: int = Field(ge=0)
    """The pixels of border to add before a random crop back to the original size."""
    colour: float = Field(ge=0, lt=1)
    """The largest relative change of an image's brightness; each channel changes by up to half as
    much more."""
    erase: float = Field(ge=0, le=1)
    """The probability that a rectangle of an image is filled with noise (Zhong et al., "Random
    Erasing Data Augmentation", AAAI 2020: 2-40 % of the area, sides 0.3 to 1/0.3)."""


def shift_and_flip(
    images: np.ndarray, pad: int, flip: bool, rng: np.random.Generator
) -> np.ndarray:
    """Pad by ``pad`` black pixels, crop back at a random place, and mirror half of the images.

    Args:
        images: uint8 (n, height, width, 3).
        pad: pixels to add on each side.
        flip: whether to mirror.
        rng: source of randomness.

    Returns:
        uint8 (n, height, width, 3).
    """
    n, height, width, channels = images.shape
    tops, lefts = rng.integers(0, 2 * pad + 1, (2, n))
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = sliding_window_view(_lines(padded), (height, width * channels), axis=(1, 2))
    shifted = windows[np.arange(n), tops, lefts * channels].reshape(images.shape)
    if flip:
        mirrored = rng.random(n) < 0.5
        shifted[mirrored] = shifted[mirrored, :, ::-1]
    return shifted


def jitter_colour(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Scale each image by ``1 +- strength`` at most, and each channel by half as much more.

    uint8 (n, height, width, 3).
    """
    n, _, width, channels = images.shape
    brightness = rng.uniform(1 - strength, 1 + strength, (n, 1, 1))
    balance = rng.uniform(1 - strength / 2, 1 + strength / 2, (n, 1, channels))
    factors = np.tile((brightness * balance).astype(np.float32), width)
    changed = _lines(images) * factors
    np.rint(changed, out=changed)
    np.minimum(changed, 255, out=changed)
    return changed.astype(np.uint8).reshape(images.shape)


def erase_rectangles(
    images: np.ndarray, probability: float, rng: np.random.Generator
) -> np.ndarray:
    """Fill a random rectangle of some images with noise: uint8 (n, height, width, 3).

    A rectangle that is larger than the image is cut to the image's size less a pixel. The paper
    draws another rectangle instead.
    """
    n, height, width, channels = images.shape
    area = rng.uniform(0.02, 0.4, n) * height * width
    aspect = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3), n))
    box_heights = np.clip(np.rint(np.sqrt(area * aspect)), 1, height - 1).astype(int)
    box_widths = np.clip(np.rint(np.sqrt(area / aspect)), 1, width - 1).astype(int)
    is_in_rows = _is_within(height, rng.integers(0, height - box_heights + 1), box_heights)
    is_in_columns = _is_within(width, rng.integers(0, width - box_widths + 1), box_widths)
    is_chosen = np.less(rng.random(n), probability)
    in_lines = np.repeat(is_in_columns, channels, axis=1)
    is_erased = (is_chosen[:, None] & is_in_rows)[:, :, None] & in_lines[:, None, :]
    noise = rng.integers(0, 256, is_erased.shape, dtype=np.uint8)
    return np.where(is_erased, noise, _lines(images)).reshape(images.shape)


def _lines(images: np.ndarray) -> np.ndarray:
    """View (n, height, width, 3) as (n, height, 3 width): numpy is slow on short last axes."""
    n, height, _, _ = images.shape
    return images.reshape(n, height, -1)


def _is_within(size: int, firsts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Say which of ``size`` places each of n intervals covers: bool (n, size)."""
    places = np.arange(size) - firsts[:, None]
    return (places >= 0) & (places < lengths[:, None])


def augment(images: np.ndarray, how: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Crop, flip, recolour and erase a batch, in this order: uint8 (n, height, width, 3)."""
    changed = shift_and_flip(images, how.pad, how.flip, rng)
    if how.colour:
        changed = jitter_colour(changed, how.colour, rng)
    if how.erase:
        changed = erase_rectangles(changed, how.erase, rng)
    return changed
