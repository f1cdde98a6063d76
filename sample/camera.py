"""The six cameras: the place that each looks at, the light there, and the camera's colours."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from sample.render import Array, Light
from sample.scene import Scene

IMAGE_SIZE = (64, 128)


@dataclass(frozen=True)
class Camera:
    """A camera and its place.

    camid: 1 to 6. scene: the place that the camera looks at. light: the light there.
    pitch: the angle by which the camera looks down, in radians.
    balance: factors of red, green and blue light. exposure: a factor of all light.
    saturation, contrast: 1 is neutral. veil: stray light added to all pixels.
    sensor: the fewest and the most rows of a person's box on the sensor. blur: in pixels.
    noise: the standard deviation in grey levels.
    heading: the angle by which most people are turned, in radians; 0 faces the camera.
    """

    camid: int
    scene: Scene
    light: Light
    pitch: float
    balance: tuple[float, float, float]
    exposure: float
    saturation: float
    contrast: float
    veil: float
    sensor: tuple[int, int]
    blur: float
    noise: float
    heading: float

    def develop(self, picture: Array, brightness: float, rng: np.random.Generator) -> Image.Image:
        """Return the photo that the camera takes of a picture, a 64x128 RGB image.

        picture: (height, width, 3) float32, linear light, of any size and aspect ratio.
        brightness: the light of the moment, 1 on average.
        """
        rows = int(rng.integers(self.sensor[0], self.sensor[1] + 1))
        columns = max(rows * 27 // 64, 16)
        image = _to_image(np.sqrt(np.clip(picture, 0, 1)))
        image = image.resize((columns, rows), Image.Resampling.HAMMING)
        if self.blur:
            image = image.filter(ImageFilter.GaussianBlur(self.blur * rng.uniform(0.5, 1.5)))
        light = np.square(np.asarray(image, np.float32) / 255)
        light *= np.asarray(self.balance, np.float32) * np.float32(self.exposure * brightness)
        light += np.float32(self.veil)
        tone = np.sqrt(np.clip(light, 0, 1.15))
        grey = tone.mean(axis=2, keepdims=True)
        tone = grey + np.float32(self.saturation) * (tone - grey)
        tone = 0.45 + np.float32(self.contrast) * (tone - 0.45)
        grain = rng.standard_normal((rows, columns, 3), np.float32)
        tone += (grain * 0.5 + grain[..., :1]) * np.float32(self.noise / 255)
        return _to_image(tone).resize(IMAGE_SIZE, Image.Resampling.BICUBIC)


def _to_image(tone: Array) -> Image.Image:
    return Image.fromarray((np.clip(tone, 0, 1) * 255).astype(np.uint8))


def _sun(azimuth: float, elevation: float, ambient: float) -> Light:
    """Return the light of a sun. Angles in degrees: azimuth 0 is behind the camera, 90 right."""
    a, e = math.radians(azimuth), math.radians(elevation)
    return Light((math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)), ambient)


CAMERAS = (
    Camera(
        camid=1,
        scene=Scene("shops", horizon=20, wall=250, far=380, near=660),
        light=_sun(40, 50, 0.45),
        pitch=0.16,
        balance=(1.03, 1.0, 0.96),
        exposure=1.1,
        saturation=1.0,
        contrast=1.05,
        veil=0.0,
        sensor=(96, 150),
        blur=0.6,
        noise=2.5,
        heading=0.3,
    ),
    Camera(
        camid=2,
        scene=Scene("park", horizon=40, wall=240, far=370, near=650),
        light=_sun(-70, 35, 0.35),
        pitch=0.12,
        balance=(1.0, 1.04, 0.93),
        exposure=1.2,
        saturation=1.1,
        contrast=1.1,
        veil=0.0,
        sensor=(88, 132),
        blur=0.7,
        noise=3.0,
        heading=math.pi,
    ),
    Camera(
        camid=3,
        scene=Scene("brick_court", horizon=0, wall=260, far=390, near=660),
        light=_sun(15, 60, 0.6),
        pitch=0.26,
        balance=(1.08, 0.99, 0.87),
        exposure=0.92,
        saturation=0.95,
        contrast=1.0,
        veil=0.005,
        sensor=(96, 150),
        blur=0.5,
        noise=3.0,
        heading=1.2,
    ),
    Camera(
        camid=4,
        scene=Scene("road", horizon=60, wall=230, far=370, near=640),
        light=_sun(110, 40, 0.5),
        pitch=0.09,
        balance=(0.93, 0.99, 1.08),
        exposure=1.0,
        saturation=0.92,
        contrast=0.95,
        veil=0.01,
        sensor=(84, 124),
        blur=0.7,
        noise=3.0,
        heading=-1.5,
    ),
    Camera(
        camid=5,
        scene=Scene("shade", horizon=30, wall=250, far=380, near=660),
        light=_sun(-30, 70, 0.75),
        pitch=0.2,
        balance=(0.97, 1.02, 0.97),
        exposure=0.78,
        saturation=0.9,
        contrast=1.05,
        veil=0.004,
        sensor=(88, 132),
        blur=0.6,
        noise=3.5,
        heading=2.6,
    ),
    Camera(
        camid=6,
        scene=Scene("plaza", horizon=50, wall=240, far=370, near=650),
        light=_sun(160, 30, 0.6),
        pitch=0.14,
        balance=(0.98, 1.0, 1.03),
        exposure=1.2,
        saturation=0.88,
        contrast=0.95,
        veil=0.012,
        sensor=(68, 96),
        blur=0.5,
        noise=2.5,
        heading=0.0,
    ),
)
