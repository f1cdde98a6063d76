"""Draw a photo: a person in a moment of a walk past a camera, cut out by a detector's box."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from sample.body import ArmPose, Pose, body_parts
from sample.camera import Camera
from sample.objects import draw_bicycle, draw_bush
from sample.person import NO_BAG, Person, sample_bag, sample_person
from sample.render import Array, Canvas, Light, View
from sample.scene import WIDTH, painted

_ROWS = 192  # rows of the picture before the camera scales it down
# Shares of walks with changed clothes, and of photos with something in front.
_COAT_OFF, _NEW_BAG, _NO_BAG = 0.15, 0.07, 0.05
_OCCLUDED = 0.12

Box = Literal["person", "legs", "half", "pair", "empty"]


@dataclass(frozen=True)
class Walk:
    """A walk of a person past a camera: all that the photos of a tracklet have in common.

    person: the person as dressed for this walk.
    yaw: the angle by which the person is turned, in radians; 0 faces the camera.
    column, row: the point on the ground in the scene. brightness: the light, 1 on average.
    """

    person: Person
    yaw: float
    arms: tuple[ArmPose, ArmPose]
    column: float
    row: float
    brightness: float


def sample_walk(person: Person, camera: Camera, rng: np.random.Generator) -> Walk:
    """Sample how a person passes a camera, and which clothes the person changed before."""
    if person.coat is not None and rng.random() < _COAT_OFF:
        person = person.without_coat()
    chance = rng.random()
    if chance < _NEW_BAG:
        person = person.with_bag(sample_bag(rng))
    elif chance < _NEW_BAG + _NO_BAG:
        person = person.with_bag(NO_BAG)
    turn = float(rng.choice((0.0, math.pi, math.pi / 2, -math.pi / 2), p=(0.5, 0.2, 0.15, 0.15)))
    arms: tuple[ArmPose, ...] = ("swing", "phone", "pocket", "strap")
    left, right = (arms[rng.choice(4, p=(0.74, 0.08, 0.12, 0.06))] for _ in range(2))
    return Walk(
        person=person,
        yaw=camera.heading + turn + float(rng.normal(0, 0.3)),
        arms=(left, right),
        column=float(rng.uniform(120, WIDTH - 120)),
        row=float(rng.uniform(camera.scene.far, camera.scene.near)),
        brightness=float(np.exp(rng.normal(0, 0.12))),
    )


def draw(walk: Walk, camera: Camera, rng: np.random.Generator, box: Box = "person") -> Image.Image:
    """Draw a photo of a moment of a walk, 64x128 RGB.

    rng: determines the moment: step, place, edges of the box, blur and things in front.
    box: the content that the detector cut out, a person or one of the detector's mistakes.
    """
    row = walk.row + float(rng.normal(0, 8))
    if box == "empty":
        # Things that a detector takes for a person stand by the wall: trees, bicycles, cars.
        row = camera.scene.wall + float(rng.uniform(30, 100))
    stature = camera.scene.stature(row)
    loose = float(rng.uniform(1.02, 1.13))
    aspect = float(rng.uniform(0.34, 0.44))
    shift = rng.normal(0, (0.04, 0.015))
    zoom, offset = _framing(box, rng)
    height = stature * loose * zoom
    columns, scale = round(_ROWS * aspect), _ROWS / (loose * zoom)
    foot = (
        columns * (0.5 + float(shift[0]) + offset[0]),
        _ROWS * (0.5 + float(shift[1]) + offset[1]) + 0.5 * scale,
    )
    canvas = Canvas(
        _window(camera, walk.column + float(rng.normal(0, 40)), row, height, aspect, foot)
    )
    if box != "empty":
        view = View(walk.yaw + float(rng.normal(0, 0.22)), camera.pitch, scale, foot)
        _draw_person(canvas, walk, view, camera.light, rng)
    if box == "pair":
        other = sample_walk(sample_person(rng), camera, rng)
        beside = (foot[0] + columns * float(rng.choice((-0.45, 0.45))), foot[1] + 6)
        _draw_person(canvas, other, View(other.yaw, camera.pitch, scale, beside), camera.light, rng)
    if box == "person" and rng.random() < _OCCLUDED:
        _occlude(canvas, camera, scale, rng)
    flicker = walk.brightness * float(np.exp(rng.normal(0, 0.08)))
    return camera.develop(canvas.light, flicker, rng)


def _framing(box: Box, rng: np.random.Generator) -> tuple[float, tuple[float, float]]:
    """Return the box's height relative to the person, and the person's offset from its middle."""
    match box:
        case "legs":
            return float(rng.uniform(0.5, 0.62)), (float(rng.normal(0, 0.1)), -0.45)
        case "half":
            side = float(rng.choice((-1, 1)))
            return float(rng.uniform(0.75, 1.1)), (side * float(rng.uniform(0.35, 0.55)), 0.1)
        case _:
            return 1.0, (0.0, 0.0)


def _window(
    camera: Camera,
    column: float,
    row: float,
    height: float,
    aspect: float,
    foot: tuple[float, float],
) -> Array:
    """Return the part of the scene in a box whose ground point lies at `foot`, in linear light."""
    scene = painted(camera.scene)
    per_row = height / _ROWS
    top, left = row - foot[1] * per_row, column - foot[0] * per_row
    columns = round(_ROWS * aspect)
    corner = (left, top, left + columns * per_row, top + _ROWS * per_row)
    inside = (
        max(corner[0], 0.0),
        max(corner[1], 0.0),
        min(corner[2], float(scene.width)),
        min(corner[3], float(scene.height)),
    )
    window = scene.resize((columns, _ROWS), Image.Resampling.BILINEAR, box=inside)
    return np.square(np.asarray(window, np.float32) / 255)


def _draw_person(
    canvas: Canvas, walk: Walk, view: View, light: Light, rng: np.random.Generator
) -> None:
    pose = Pose(
        phase=float(rng.uniform(0, 2 * math.pi)),
        stride=walk.person.stride * float(rng.uniform(0.4, 1.1)),
        arms=walk.arms,
    )
    _cast_shadow(canvas, view, light)
    wrinkle = int(rng.integers(64))
    for index, loft in enumerate(body_parts(walk.person, pose)):
        canvas.draw(loft, view, light, wrinkle + 13 * index)
    canvas.darken_creases(view.scale, 1.0)


def _cast_shadow(canvas: Canvas, view: View, light: Light) -> None:
    """Darken the ground under a body and the strip of ground in its shadow."""
    height, width = canvas.light.shape[:2]
    top = max(int(view.foot[1] - 0.25 * view.scale), 0)
    if top >= height:
        return
    rows = (np.arange(top, height, dtype=np.float32)[:, None] - view.foot[1]) / view.scale
    columns = (np.arange(width, dtype=np.float32)[None] - view.foot[0]) / view.scale
    to_right, _, to_camera = light.direction
    lean = columns + 1.4 * to_right * np.sign(rows) * np.abs(rows)
    under = np.exp(-((columns / 0.13) ** 2) - (rows / 0.03) ** 2)
    along = np.where(rows * -to_camera > 0, np.exp(-((lean / 0.12) ** 2)), 0)
    strength = 0.55 * under + 0.5 * (1 - light.ambient) * along * np.exp(-((rows / 0.2) ** 2))
    canvas.light[top:] *= (1 - np.clip(strength, 0, 0.75)).astype(np.float32)[..., None]


def _occlude(canvas: Canvas, camera: Camera, scale: float, rng: np.random.Generator) -> None:
    """Draw something that is nearer to the camera than the person."""
    height, width = canvas.light.shape[:2]
    x = float(rng.uniform(0, width))
    kind = int(rng.integers(4))
    if kind == 0:
        other = sample_walk(sample_person(rng), camera, rng)
        side = float(rng.choice((-0.05, 1.05))) * width
        canvas.forget_depth()
        view = View(other.yaw, camera.pitch, 1.08 * scale, (side, height + 0.05 * scale))
        _draw_person(canvas, other, view, camera.light, rng)
        return
    image = Image.fromarray((np.sqrt(np.clip(canvas.light, 0, 1)) * 255).astype(np.uint8))
    pencil = ImageDraw.Draw(image)
    match kind:
        case 1:
            ink = tuple(int(tone) for tone in rng.integers(30, 150, 3))
            draw_bicycle(pencil, x, height - 2, 0.75 * scale, ink)
        case 2:
            for offset in (-0.15, 0.0, 0.15):
                at = x + offset * scale
                draw_bush(pencil, rng, at, height + 0.04 * scale, 0.4 * scale)
        case _:
            thick, grey = float(rng.uniform(0.015, 0.04)) * scale, int(rng.integers(60, 150))
            pencil.rectangle((x - thick, 0, x, height), fill=(grey, grey, grey))
            pencil.rectangle((x, 0, x + thick, height), fill=(grey * 2 // 3,) * 3)
    canvas.light = np.square(np.asarray(image, np.float32) / 255)
