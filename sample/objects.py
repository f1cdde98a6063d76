"""Draw things that stand in a street, behind people and sometimes in front of them."""

import numpy as np
from PIL import ImageDraw

Ink = tuple[int, ...]


def draw_bicycle(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, ink: Ink) -> None:
    """Draw a parked bicycle. x, y: the point on the ground between its wheels; size: its length."""
    radius, thick = 0.21 * size, max(int(size / 26), 1)
    for wheel in (x - 0.3 * size, x + 0.3 * size):
        draw.ellipse(
            (wheel - radius, y - 2 * radius, wheel + radius, y), outline=(34, 34, 36), width=thick
        )
    hub, front = (x - 0.3 * size, y - radius), (x + 0.3 * size, y - radius)
    pedal, seat, bar = (
        (x - 0.05 * size, y - 0.19 * size),
        (x - 0.13 * size, y - 0.5 * size),
        (
            x + 0.22 * size,
            y - 0.52 * size,
        ),
    )
    draw.line((hub, pedal, bar, seat, pedal), fill=ink, width=thick + 1)
    draw.line((hub, seat), fill=ink, width=thick)
    draw.line((bar, front), fill=ink, width=thick + 1)
    draw.line((bar[0] - 6 * thick, bar[1] - 3 * thick, *bar), fill=(40, 40, 42), width=thick + 1)
    draw.ellipse(
        (seat[0] - 0.07 * size, seat[1] - 0.04 * size, seat[0] + 0.07 * size, seat[1]),
        fill=(30, 28, 28),
    )


def draw_bush(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, size: float
) -> None:
    """Draw a bush of leaves in several greens. x, y: its foot; size: its width."""
    for _ in range(26):
        left = x + rng.normal(0, 0.24) * size
        top = y - abs(rng.normal(0.3, 0.16)) * size
        radius = rng.uniform(0.07, 0.16) * size
        green = rng.uniform(0.5, 1.2)
        ink = (int(64 * green), int(92 * green), int(46 * green))
        draw.ellipse((left - radius, top - radius, left + radius, top + radius), fill=ink)


def draw_tree(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, height: float
) -> None:
    """Draw the trunk of a tree and the low part of its crown. x, y: its foot."""
    trunk = 0.032 * height
    draw.rectangle((x - trunk, y - height, x + trunk, y), fill=(88, 72, 56))
    draw.rectangle((x + 0.3 * trunk, y - height, x + trunk, y), fill=(62, 50, 40))
    draw_bush(draw, rng, x, y - 0.66 * height, 0.6 * height)


def draw_car(draw: ImageDraw.ImageDraw, x: float, y: float, length: float, ink: Ink) -> None:
    """Draw a parked car from its side. x: its left end; y: the ground under it."""
    body = y - 0.1 * length
    draw.ellipse((x, y - 0.05 * length, x + length, y + 0.04 * length), fill=(48, 48, 50))
    draw.rounded_rectangle(
        (x, body - 0.17 * length, x + length, body + 0.04 * length), 0.06 * length, fill=ink
    )
    roof = [(0.16, 0.15), (0.3, 0.3), (0.72, 0.3), (0.88, 0.15)]
    draw.polygon([(x + a * length, body - b * length) for a, b in roof], fill=ink)
    glass = [(0.22, 0.16), (0.32, 0.28), (0.7, 0.28), (0.82, 0.16)]
    draw.polygon([(x + a * length, body - b * length) for a, b in glass], fill=(52, 62, 72))
    for wheel in (x + 0.2 * length, x + 0.8 * length):
        radius = 0.085 * length
        draw.ellipse((wheel - radius, y - 2 * radius, wheel + radius, y), fill=(28, 28, 30))
        radius *= 0.5
        draw.ellipse((wheel - radius, y - 3 * radius, wheel + radius, y - radius), fill=(130,) * 3)
