"""Paint the six places that the cameras look at: ground in perspective, a backdrop, objects.

A scene is painted once and kept. Each photo shows a small part of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sample.body import Pose, body_parts
from sample.objects import draw_bicycle, draw_bush, draw_car, draw_tree
from sample.person import sample_person
from sample.render import Array, Canvas, Light, View

WIDTH, HEIGHT = 1100, 700
_EYE_HEIGHT = 3.0  # metres from the ground to the camera
_STATURE = 1.7
_FOCAL = 900.0

_Painter = Callable[[np.random.Generator, "Scene"], Array]


@dataclass(frozen=True)
class Scene:
    """A place.

    name: the name of the function that paints it. horizon: the row of the horizon.
    wall: the row at which the backdrop meets the ground.
    far, near: the rows between which people walk.
    """

    name: str
    horizon: int
    wall: int
    far: int
    near: int

    def stature(self, row: float) -> float:
        """Return the height in pixels of an average person who stands at a row."""
        return (row - self.horizon) * _STATURE / _EYE_HEIGHT


@cache
def painted(scene: Scene) -> Image.Image:
    """Return the picture of a scene, (1100, 700) RGB. It doesn't depend on any seed."""
    rng = np.random.default_rng([ord(letter) for letter in scene.name])
    picture = np.clip(_PAINTERS[scene.name](rng, scene), 0, 255).astype(np.uint8)
    image = _with_passers_by(Image.fromarray(picture), scene, rng)
    return image.filter(ImageFilter.GaussianBlur(1.8))


def _with_passers_by(image: Image.Image, scene: Scene, rng: np.random.Generator) -> Image.Image:
    canvas = Canvas(np.square(np.asarray(image, np.float32) / 255))
    light = Light((0.3, 0.6, 0.74), 0.5)
    for _ in range(3):
        person = sample_person(rng)
        row = float(rng.uniform(scene.wall + 12, scene.far + 60))
        view = View(
            yaw=float(rng.uniform(0, 2 * math.pi)),
            pitch=0.12,
            scale=scene.stature(row),
            foot=(float(rng.uniform(0, WIDTH)), row),
        )
        pose = Pose(float(rng.uniform(0, 2 * math.pi)), person.stride, ("swing", "swing"))
        for loft in body_parts(person, pose):
            canvas.draw(loft, view, light)
    return Image.fromarray((np.sqrt(np.clip(canvas.light, 0, 1)) * 255).astype(np.uint8))


# --- surfaces -------------------------------------------------------------------------------------


def _noise(rng: np.random.Generator, cell: float) -> Array:
    """Return smooth noise, (700, 1100, 1), about standard normal, with spots of `cell` pixels."""
    size = (max(int(WIDTH / cell), 2), max(int(HEIGHT / cell), 2))
    grain = Image.fromarray(rng.standard_normal(size[::-1]).astype(np.float32))
    spots = np.asarray(grain.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return (spots / spots.std())[..., None]


def _ground(scene: Scene) -> tuple[Array, Array]:
    """Return how many metres right and ahead the ground at each pixel is, (700, 1100) each."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    columns = np.arange(WIDTH, dtype=np.float32)[None]
    drop: Array = np.maximum(rows - scene.horizon, np.float32(8))
    right: Array = (columns - np.float32(WIDTH / 2)) * np.float32(_EYE_HEIGHT) / drop
    ahead: Array = np.broadcast_to(np.float32(_EYE_HEIGHT * _FOCAL) / drop, (HEIGHT, WIDTH))
    return right, ahead


def _flat(colour: tuple[int, int, int]) -> Array:
    return np.tile(np.asarray(colour, np.float32), (HEIGHT, WIDTH, 1))


def _paving(
    rng: np.random.Generator, scene: Scene, colour: tuple[int, int, int], slab: float, spread: float
) -> Array:
    """Paint slabs of `slab` metres with dark joints, which differ by `spread` grey levels."""
    x, z = _ground(scene)
    x, z = x * 0.97 + z * 0.24, z * 0.97 - x * 0.24
    columns, rows = np.floor(x / slab).astype(int), np.floor(z / slab).astype(int)
    tones = rng.normal(0, spread, (61, 67)).astype(np.float32)
    joint = (x / slab % 1 < 0.06) | (z / slab % 1 < 0.06)
    tone = tones[rows % 61, columns % 67] - 16 * joint
    return _flat(colour) + tone[..., None] + 6 * _noise(rng, 50) + 5 * _noise(rng, 3)


def _asphalt(rng: np.random.Generator, colour: tuple[int, int, int]) -> Array:
    return _flat(colour) + 7 * _noise(rng, 60) + 7 * _noise(rng, 2)


def _grass(rng: np.random.Generator) -> Array:
    tint = np.array([1.0, 1.1, 0.8], np.float32)
    return _flat((112, 122, 86)) + tint * (9 * _noise(rng, 40) + 12 * _noise(rng, 4))


def _bricks(
    rng: np.random.Generator, colour: tuple[int, int, int], height: int, width: int
) -> Array:
    rows = np.arange(HEIGHT)[:, None] // height
    shifted = np.arange(WIDTH)[None] + (rows % 2) * (width // 2)
    tones = rng.normal(0, 9, (53, 71)).astype(np.float32)
    joint = (np.arange(HEIGHT)[:, None] % height < 2) | (shifted % width < 2)
    tone = tones[rows % 53, shifted // width % 71] + 22 * joint
    return _flat(colour) + tone[..., None] + 6 * _noise(rng, 60)


def _joined(scene: Scene, wall: Array, ground: Array) -> Array:
    """Join the wall above and the ground below, with dirt at the line between them."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None, None]
    picture = np.where(rows < scene.wall, wall, ground)
    dirt = 0.35 * np.exp(-(((rows - scene.wall) / 10) ** 2))
    return np.asarray(picture * (1 - dirt), np.float32)


def _over(
    picture: Array, rng: np.random.Generator, paint: Callable[[ImageDraw.ImageDraw], None]
) -> Array:
    """Draw on a picture with `paint`."""
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    paint(ImageDraw.Draw(image))
    return np.asarray(image, np.float32) + 3 * _noise(rng, 2)


# --- places ---------------------------------------------------------------------------------------


def _shops(rng: np.random.Generator, scene: Scene) -> Array:
    picture = _joined(
        scene,
        _flat((172, 166, 156)) + 6 * _noise(rng, 30),
        _paving(rng, scene, (154, 149, 141), 0.6, 7),
    )

    def paint(draw: ImageDraw.ImageDraw) -> None:
        for left in range(-40, WIDTH, 150):
            draw.rectangle((left, 0, left + 128, scene.wall - 14), fill=(62, 74, 82))
            draw.rectangle((left + 6, 60, left + 122, scene.wall - 20), fill=(88, 100, 106))
            for _ in range(7):
                x, y = left + int(rng.integers(8, 92)), int(rng.integers(70, scene.wall - 80))
                tint = tuple(int(value) for value in rng.integers(60, 235, 3))
                draw.rectangle(
                    (x, y, x + int(rng.integers(14, 40)), y + int(rng.integers(18, 60))), fill=tint
                )
        draw.rectangle((0, 0, WIDTH, 46), fill=(150, 52, 44))
        for left in range(120, WIDTH, 260):
            shade = tuple(int(value) for value in rng.integers(40, 150, 3))
            draw_bicycle(draw, left, scene.wall + 40, 90, shade)

    return _over(picture, rng, paint)


def _park(rng: np.random.Generator, scene: Scene) -> Array:
    x, z = _ground(scene)
    path = np.abs(x + 0.22 * z - 1.2) < 2.6
    picture = np.where(path[..., None], _paving(rng, scene, (158, 152, 142), 0.9, 4), _grass(rng))
    trees = _flat((84, 100, 74)) + np.array([1, 1.2, 0.8], np.float32) * (
        13 * _noise(rng, 26) + 9 * _noise(rng, 6)
    )
    picture = _joined(scene, trees, picture)

    def paint(draw: ImageDraw.ImageDraw) -> None:
        for left in range(30, WIDTH, 170):
            draw_tree(draw, rng, left + int(rng.integers(-40, 40)), scene.wall + 20, 300)
        for left in range(0, WIDTH, 120):
            draw_bush(draw, rng, left, scene.wall + 4, 60)

    return _over(picture, rng, paint)


def _brick_court(rng: np.random.Generator, scene: Scene) -> Array:
    picture = _joined(
        scene, _bricks(rng, (142, 106, 92), 12, 34), _paving(rng, scene, (156, 138, 126), 0.35, 10)
    )

    def paint(draw: ImageDraw.ImageDraw) -> None:
        for left in range(60, WIDTH, 240):
            draw.rectangle((left, 40, left + 96, 190), fill=(206, 202, 192))
            draw.rectangle((left + 8, 48, left + 88, 182), fill=(74, 84, 96))
            draw.line((left + 48, 48, left + 48, 182), fill=(206, 202, 192), width=5)
        for left in range(150, WIDTH, 330):
            draw.rectangle((left, scene.wall + 6, left + 110, scene.wall + 16), fill=(112, 78, 50))
            draw.rectangle((left, scene.wall - 18, left + 110, scene.wall - 8), fill=(122, 84, 54))
            for leg in (8, 98):
                draw.rectangle(
                    (left + leg, scene.wall, left + leg + 6, scene.wall + 34), fill=(40,) * 3
                )

    return _over(picture, rng, paint)


def _road(rng: np.random.Generator, scene: Scene) -> Array:
    _, z = _ground(scene)
    road = (z > 7.2)[..., None]
    kerb = (np.abs(z - 7.2) < 0.14)[..., None]
    ground = np.where(
        road, _asphalt(rng, (116, 116, 117)), _paving(rng, scene, (154, 152, 147), 0.5, 5)
    )
    picture = np.where(kerb, _flat((196, 192, 182)), ground)
    picture = _joined(scene, _flat((140, 148, 150)) + 10 * _noise(rng, 34), picture)

    def paint(draw: ImageDraw.ImageDraw) -> None:
        for left in range(-20, WIDTH, 130):
            draw.rectangle((left, 0, left + 84, 110), fill=(96, 110, 124))
        for index, left in enumerate(range(-60, WIDTH, 270)):
            tints = ((176, 176, 178), (58, 62, 70), (150, 40, 42), (214, 212, 206), (48, 70, 120))
            draw_car(draw, left, scene.wall + 44, 230, tints[index % len(tints)])

    return _over(picture, rng, paint)


def _shade(rng: np.random.Generator, scene: Scene) -> Array:
    ground = _paving(rng, scene, (156, 154, 145), 0.45, 9)
    spots = 1 + 0.2 * np.tanh(1.4 * (_noise(rng, 34) + 0.5 * _noise(rng, 14)))
    hedge = _flat((70, 88, 64)) + np.array([0.8, 1.2, 0.7], np.float32) * (
        10 * _noise(rng, 14) + 12 * _noise(rng, 5)
    )
    picture = _joined(scene, hedge, np.asarray(ground * spots, np.float32))

    def paint(draw: ImageDraw.ImageDraw) -> None:
        for left in range(60, WIDTH, 210):
            draw_tree(draw, rng, left, scene.wall + 46, 420)
        for left in range(140, WIDTH, 300):
            draw_bicycle(draw, left, scene.wall + 70, 110, (40, 44, 60))

    return _over(picture, rng, paint)


def _plaza(rng: np.random.Generator, scene: Scene) -> Array:
    picture = _joined(
        scene,
        _flat((168, 172, 176)) + 5 * _noise(rng, 60),
        _paving(rng, scene, (160, 160, 160), 1.2, 8),
    )

    def paint(draw: ImageDraw.ImageDraw) -> None:
        for left in range(20, WIDTH, 140):
            draw.rectangle((left, 0, left + 20, scene.wall), fill=(164, 166, 168))
            draw.rectangle((left + 30, 30, left + 128, scene.wall - 50), fill=(102, 122, 140))
        for left in range(90, WIDTH, 280):
            draw.rectangle(
                (left, scene.wall - 30, left + 90, scene.wall + 20), fill=(140, 140, 138)
            )
            draw_bush(draw, rng, left + 45, scene.wall - 24, 76)

    return _over(picture, rng, paint)


_PAINTERS: dict[str, _Painter] = {
    "shops": _shops,
    "park": _park,
    "brick_court": _brick_court,
    "road": _road,
    "shade": _shade,
    "plaza": _plaza,
}
