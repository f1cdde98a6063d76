"""A small depth-buffer renderer: bodies made of lofts, seen by a camera that is far away.

A loft is a straight axis with an elliptical cross-section that changes along it: a limb, a torso, a
skirt, a head. Seen in parallel projection its outline and its surface have a closed form, so a
part costs a few array operations on its own bounding box and no mesh is needed.

Body coordinates are in units of the body's height: x to the person's left, y up, z forward.
Colours are linear light in [0, 1].
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Array = NDArray[np.float32]
Point = tuple[float, float, float]

_STEPS = 32
_TILE = 64
_FAR = -9.0


class Surface(NamedTuple):
    """The places of the visible pixels on a loft.

    along: (n,) float32, 0 at the loft's start to 1 at its end.
    around: (n,) float32, radians in [-pi, pi): 0 faces forward, +pi/2 to the person's left.
    """

    along: Array
    around: Array


Texture = Callable[[Surface], Array]
Mask = Callable[[Surface], NDArray[np.bool_]]


class Loft(NamedTuple):
    """One part of a body.

    widths, depths: half the width and half the depth, at equal steps from start to end.
    caps: how far the rounded ends reach beyond start and end.
    texture: the colour (n, 3) or (1, 3) of a surface. covers: the part of the surface that exists.
    folds: the depth of the folds of the cloth, as a share of the light.
    """

    start: Point
    end: Point
    widths: tuple[float, ...]
    depths: tuple[float, ...]
    texture: Texture
    caps: tuple[float, float] = (0.0, 0.0)
    folds: float = 0.0
    covers: Mask | None = None


class Light(NamedTuple):
    """The light on a body.

    direction: the unit vector to the sun: to the right, up, towards the camera.
    ambient: the share of the light that comes from the whole sky, in [0, 1].
    """

    direction: Point
    ambient: float


class View(NamedTuple):
    """The camera's view of a body.

    yaw: the angle by which the body is turned, in radians; 0 faces the camera.
    pitch: the angle by which the camera looks down, in radians.
    scale: the height of the body in pixels. foot: column and row of the ground under the body.
    """

    yaw: float
    pitch: float
    scale: float
    foot: tuple[float, float]

    def project(self, point: Point) -> Point:
        """Return column, row and nearness (in pixels) of a point of the body."""
        x, y, z = point
        across = x * math.cos(self.yaw) + z * math.sin(self.yaw)
        near = z * math.cos(self.yaw) - x * math.sin(self.yaw)
        up = y * math.cos(self.pitch) - near * math.sin(self.pitch)
        nearness = near * math.cos(self.pitch) + y * math.sin(self.pitch)
        return (
            self.foot[0] + self.scale * across,
            self.foot[1] - self.scale * up,
            self.scale * nearness,
        )


class Canvas:
    """A picture to draw on.

    light: (height, width, 3) float32, linear. At the beginning it is the background.
    nearness: (height, width) float32, far away at pixels without a body.
    """

    def __init__(self, background: Array) -> None:
        """Take over a background (height, width, 3) in linear light. It is drawn on, not copied."""
        self.light = background
        self.nearness = np.full(background.shape[:2], _FAR * 1e3, np.float32)

    def draw(self, loft: Loft, view: View, light: Light, wrinkle: int = 0) -> None:
        """Draw the visible part of a loft. `wrinkle` shifts the pattern of its folds."""
        outline = _Outline(loft, view)
        pixels = outline.pixels(self.nearness.shape)
        if pixels is None:
            return
        nearest = self.nearness.reshape(-1)
        surface = Surface(pixels.along, outline.around(pixels))
        visible = pixels.nearness > nearest[pixels.at]
        if loft.covers is not None:
            visible &= loft.covers(surface)
        brightness = outline.brightness(pixels, light)
        if loft.folds:
            brightness *= 1 + loft.folds * _folds_at(surface, outline.length / view.scale, wrinkle)
        colour = loft.texture(surface) * brightness[:, None]
        at = pixels.at[visible]
        self.light.reshape(-1, 3)[at] = colour[visible]
        nearest[at] = pixels.nearness[visible]

    def forget_depth(self) -> None:
        """Make everything that is drawn later cover everything that was drawn before."""
        self.nearness.fill(_FAR * 1e3)

    def darken_creases(self, scale: float, strength: float) -> None:
        """Darken points that lie behind their surroundings, as in armpits and between legs."""
        body = self.nearness > _FAR * 1e2
        span = np.clip(self.nearness * np.float32(400 / scale) + 128, 1, 255)
        filled = Image.fromarray(np.where(body, span, 0).astype(np.uint8))
        weight = Image.fromarray(np.where(body, np.uint8(255), np.uint8(0)))
        blur = ImageFilter.BoxBlur(scale * 0.025)
        mean = np.asarray(filled.filter(blur), np.float32) * 255
        mean /= np.maximum(np.asarray(weight.filter(blur), np.float32), 1)
        shade = np.clip((mean - span) * np.float32(strength / 16), 0, 0.55)
        shade[~body] = 0
        self.light *= (1 - shade)[..., None]


class _Pixels(NamedTuple):
    """The n pixels inside the outline of a loft.

    at: (n,) indices into the flattened picture. step: (n,) which step of the axis is nearest.
    along: (n,) 0 at the start to 1 at the end. across: (n,) -1 at the left edge to 1 at the right.
    tip: (n,) how far out on a rounded end, 0 between the ends, -1 and 1 at the tips.
    facing: (n,) how much the surface faces the camera. nearness: (n,) in pixels.
    """

    at: NDArray[np.intp]
    step: NDArray[np.intp]
    along: Array
    across: Array
    tip: Array
    facing: Array
    nearness: Array


class _Outline:
    """The camera's view of a loft: its axis on the picture and its ellipses in the view.

    An ellipse of half extents a, b turned by yaw has the half width h = sqrt(a^2 cos^2 + b^2 sin^2)
    and the visible surface u (b^2 - a^2) sin cos / h + a b / h sqrt(1 - u^2) for u in [-1, 1].
    """

    def __init__(self, loft: Loft, view: View) -> None:
        self.start, self.end = view.project(loft.start), view.project(loft.end)
        right, down = self.end[0] - self.start[0], self.end[1] - self.start[1]
        self.length = max(math.hypot(right, down), 0.5)
        self.axis = (right / self.length, down / self.length) if right or down else (0.0, -1.0)
        side_sign = -1 if self.axis[1] > 0 else 1
        self.side = (-side_sign * self.axis[1], side_sign * self.axis[0])
        self.caps = (
            max(loft.caps[0] * view.scale, 0.3),
            max(loft.caps[1] * view.scale, 0.3),
        )

        a, b = _in_steps(loft.widths) * view.scale, _in_steps(loft.depths) * view.scale
        sin, cos = math.sin(view.yaw), math.cos(view.yaw)
        half_width: Array = np.maximum(np.sqrt((a * cos) ** 2 + (b * sin) ** 2), np.float32(0.4))
        self.half_width = half_width
        self.half_depth = a * b / half_width
        self.shear = (b * b - a * a) * (sin * cos) / half_width
        middle = _STEPS // 2
        self.turn = math.atan2(float(b[middle]) * sin, float(a[middle]) * cos)

    def pixels(self, shape: tuple[int, ...]) -> _Pixels | None:
        """Return the pixels inside the outline in a picture of (height, width), or None."""
        (column, row, near), (end_column, end_row, end_near) = self.start, self.end
        margin = max(float(self.half_width.max()), *self.caps) + 1
        top = max(int(min(row, end_row) - margin), 0)
        bottom = min(int(max(row, end_row) + margin) + 1, shape[0])
        left = max(int(min(column, end_column) - margin), 0)
        right = min(int(max(column, end_column) + margin) + 1, shape[1])
        if top >= bottom or left >= right:
            return None
        down = np.arange(top - row, bottom - row - 0.5, dtype=np.float32)[:, None]
        over = np.arange(left - column, right - column - 0.5, dtype=np.float32)
        on_axis = (over * self.axis[0] + down * self.axis[1]).reshape(-1)
        off_axis = (over * self.side[0] + down * self.side[1]).reshape(-1)
        inner = np.minimum(np.maximum(on_axis, 0), self.length)
        beyond = on_axis - inner
        step = (inner * (_STEPS / self.length)).astype(np.intp)
        across = off_axis / self.half_width[step]
        tip = np.maximum(beyond, 0) / self.caps[1] + np.minimum(beyond, 0) / self.caps[0]
        radius = across * across + tip * tip

        inside = np.flatnonzero(radius < 1)
        if not inside.size:
            return None
        rows, columns = np.divmod(inside, over.size)
        step, across = step[inside], across[inside]
        along = inner[inside] / np.float32(self.length)
        facing = np.sqrt(1 - radius[inside])
        surface = self.shear[step] * across + self.half_depth[step] * facing
        return _Pixels(
            at=(rows + top) * shape[1] + columns + left,
            step=step,
            along=along.astype(np.float32, copy=False),
            across=across.astype(np.float32, copy=False),
            tip=tip[inside],
            facing=facing,
            nearness=surface + (near + (end_near - near) * along),
        )

    def around(self, pixels: _Pixels) -> Array:
        """Return the azimuth of the surface at each pixel, (n,) in [-pi, pi)."""
        azimuth = np.arcsin(pixels.across) + np.float32(math.pi - self.turn)
        return np.asarray(azimuth % np.float32(2 * math.pi) - np.float32(math.pi))

    def brightness(self, pixels: _Pixels, light: Light) -> Array:
        """Return the light from the surface to the camera, (n,): Lambert's law and a darker rim."""
        right, up, to_camera = light.direction
        lit = (
            pixels.across * (self.side[0] * right - self.side[1] * up)
            + pixels.tip * (self.axis[0] * right - self.axis[1] * up)
            + pixels.facing * (to_camera + 0.35 * up)
        )
        falling = light.ambient + (1 - light.ambient) * np.maximum(lit, 0)
        return np.asarray(falling * (0.72 + 0.28 * pixels.facing))


def _in_steps(values: tuple[float, ...]) -> Array:
    """Interpolate values at equal distances at `_STEPS` + 1 points, (33,) float32."""
    return _blend(len(values)) @ np.asarray(values, np.float32)


@cache
def _blend(count: int) -> Array:
    """Return the matrix (33, count) of linear interpolation between `count` values."""
    steps, knots = np.linspace(0, 1, _STEPS + 1), np.linspace(0, 1, count)
    columns = [
        np.interp(steps, knots, unit) if count > 1 else 1 + 0 * steps for unit in np.eye(count)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _folds_at(surface: Surface, length: float, wrinkle: int) -> Array:
    """Return the folds of a cloth on a surface of a loft of this length, (n,)."""
    rows = (surface.along * np.float32(190 * length)).astype(np.intp) + wrinkle
    columns = (surface.around * np.float32(10)).astype(np.intp) + 7 * wrinkle
    return _folds()[rows % _TILE, columns % _TILE]


@cache
def _folds() -> Array:
    """Make a tile of cloth folds, (64, 64) in [-1.5, 1.5], that repeats without a seam."""
    rng = np.random.default_rng(64)
    spectrum = np.fft.fft2(rng.standard_normal((_TILE, _TILE)))
    rows = np.fft.fftfreq(_TILE)[:, None] * _TILE
    columns = np.fft.fftfreq(_TILE)[None] * _TILE
    slanted = (rows + 0.6 * columns) ** 2 / 18 + (columns - 0.3 * rows) ** 2 / 60
    tile = np.real(np.fft.ifft2(spectrum * np.exp(-slanted)))
    return (tile / tile.std()).clip(-1.5, 1.5).astype(np.float32)
