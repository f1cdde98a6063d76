"""Lay the pattern of a cloth on a part of the body."""

import numpy as np

from sample.person import Fabric, Rgb
from sample.render import Array, Surface, Texture


def linear(colour: Rgb) -> Array:
    """Convert an sRGB colour to linear light, (3,) float32. Gamma 2 approximates the sRGB curve."""
    return np.square(np.asarray(colour, np.float32))


def plain(colour: Rgb) -> Texture:
    """Return a texture of a single colour."""
    light = linear(colour)[None]
    return lambda surface: light


def woven(fabric: Fabric) -> Texture:
    """Return the texture of a part that is made of a fabric."""
    if fabric.pattern in ("plain", "print"):
        return plain(fabric.colour)
    base, second = linear(fabric.colour), linear(fabric.second)

    def texture(surface: Surface) -> Array:
        return base + _second_share(fabric, surface)[:, None] * (second - base)

    return texture


def _second_share(fabric: Fabric, surface: Surface) -> Array:
    """Return the share of the second colour at each pixel, (n,) float32 in [0, 1]."""
    along, around, pitch = surface.along, surface.around, fabric.pitch
    match fabric.pattern:
        case "stripes":
            share = (along * pitch) % 1 < 0.42
        case "pinstripes":
            share = (around * (pitch * 0.8)) % 1 < 0.3
        case "checks":
            share = 0.5 * ((along * pitch) % 1 < 0.5) + 0.5 * ((around * pitch * 0.45) % 1 < 0.5)
        case "dots":
            row = along * (pitch + 3)
            column = around * 2.2 + 0.5 * (np.floor(row) % 2)
            share = (row % 1 - 0.5) ** 2 + (column % 1 - 0.5) ** 2 < 0.07
        case "block":
            share = along > 0.62
        case _:
            share = np.abs(along - 0.58) < 0.11
    return np.asarray(share, np.float32)
