"""Build a person's body, clothes and bags in a pose from lofts that can be rendered.

Proportions are shares of the body's height, after the eight-heads figure of drawing books.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sample.fabric import linear, plain, woven
from sample.person import Bag, Coat, Fabric, Person, Rgb
from sample.render import Array, Loft, Point, Surface, Texture

_HIP, _SHOULDER, _CHIN, _CROWN = 0.515, 0.812, 0.872, 0.995
_THIGH, _SHANK, _ANKLE = 0.235, 0.235, 0.042
_UPPER_ARM, _FOREARM = 0.158, 0.145
_SIDES = (1, -1)

ArmPose = Literal["swing", "phone", "pocket", "strap"]


@dataclass(frozen=True)
class Pose:
    """A moment of a walk.

    phase: the phase of the gait in radians. stride: the angle by which a thigh swings, in radians.
    arms: the poses of the left and the right arm.
    """

    phase: float
    stride: float
    arms: tuple[ArmPose, ArmPose]


def body_parts(person: Person, pose: Pose) -> list[Loft]:
    """Return the lofts of a person who stands on the ground at the origin."""
    hips = [(side * 0.05 * person.build * person.hips, _HIP, 0.0) for side in _SIDES]
    legs = [_leg_joints(hip, side, pose) for hip, side in zip(hips, _SIDES, strict=True)]
    sink = min(ankle[1] for _, ankle, _ in legs) - _ANKLE
    parts: list[Loft] = []
    for hip, (knee, ankle, toe), side in zip(hips, legs, _SIDES, strict=True):
        parts += _leg(person, hip, knee, ankle, toe, side)
    parts += _lower_body(person, [knee for knee, _, _ in legs])
    parts += _torso(person, max(abs(knee[2]) for knee, _, _ in legs))
    for side, arm in zip(_SIDES, pose.arms, strict=True):
        parts += _arm(person, side, arm, pose)
    parts += _head(person)
    parts += _bag(person, pose)
    return [_lowered(_stooped(loft, person.stoop), sink) for loft in parts]


# --- joints ---------------------------------------------------------------------------------------


def _moved(point: Point, length: float, angle: float, outward: float = 0.0) -> Point:
    """Return the point at a distance of `length`: straight down at angle 0, forward at pi / 2."""
    x, y, z = point
    return (
        x + length * outward,
        y - length * math.cos(angle),
        z + length * math.sin(angle),
    )


def _leg_joints(hip: Point, side: int, pose: Pose) -> tuple[Point, Point, Point]:
    """Return knee, ankle and toe. The knee bends most while the leg swings forward."""
    phase = pose.phase if side > 0 else pose.phase + math.pi
    thigh = pose.stride * math.sin(phase) + 0.05
    bend = 0.06 + 1.7 * pose.stride * max(0.0, math.cos(phase)) ** 1.5
    knee = _moved(hip, _THIGH, thigh)
    ankle = _moved(knee, _SHANK, thigh - bend)
    pitch = 0.9 * (thigh - bend)
    toe = (
        ankle[0] + side * 0.018,
        ankle[1] - 0.026 + 0.085 * math.sin(min(pitch, 0.2)),
        ankle[2] + 0.085 * math.cos(pitch),
    )
    return knee, ankle, toe


def _lowered(loft: Loft, sink: float) -> Loft:
    """Move a loft down, so that the lower foot stands on the ground."""
    (x, y, z), (end_x, end_y, end_z) = loft.start, loft.end
    return loft._replace(start=(x, y - sink, z), end=(end_x, end_y - sink, end_z))


def _stooped(loft: Loft, stoop: float) -> Loft:
    """Lean a loft forward from the hips."""

    def lean(point: Point) -> Point:
        x, y, z = point
        return x, y, z + max(y - _HIP, 0.0) * math.sin(stoop)

    return loft._replace(start=lean(loft.start), end=lean(loft.end))


# --- legs -----------------------------------------------------------------------------------------


def _leg(
    person: Person, hip: Point, knee: Point, ankle: Point, toe: Point, side: int
) -> list[Loft]:
    lower = person.lower
    bare = plain(lower.legwear or person.skin)
    cloth = woven(lower.fabric)
    is_trousers = lower.cut in ("slim", "trousers", "wide")
    looseness = {"slim": 0.9, "trousers": 1.08, "wide": 1.3}.get(lower.cut, 0.82)
    build = person.build**0.8
    thigh = tuple(build * looseness * width for width in (0.058, 0.051, 0.042))
    calf_widths = (0.041, 0.039, 0.031, 0.026) if is_trousers else (0.041, 0.042, 0.032, 0.024)
    if lower.cut == "wide":
        calf_widths = (0.04, 0.041, 0.041, 0.042)
    calf = tuple(build * looseness * width for width in calf_widths)
    folds = 0.16 if is_trousers else 0.0
    leg_texture = cloth if is_trousers else bare
    parts = [
        Loft(hip, knee, thigh, thigh, leg_texture, (0.03, 0.03), folds),
        Loft(knee, ankle, calf, calf, leg_texture, (0.03, 0.008), folds * 1.4),
    ]
    if lower.cut == "shorts":
        share = min(lower.length * 2, 1.0)
        hem = _between(hip, knee, share)
        loose = tuple(build * 1.1 * width for width in (0.06, 0.058, 0.056))
        parts.append(Loft(hip, hem, loose, loose, cloth, (0.03, 0.0), 0.14))
    sole = (ankle[0], ankle[1] - 0.018, ankle[2] - 0.018)
    shoe = plain(person.shoes)
    parts.append(Loft(sole, toe, (0.026, 0.03, 0.026), (0.022, 0.022, 0.02), shoe, (0.02, 0.016)))
    if person.boots and not is_trousers:
        shaft = _between(ankle, knee, 0.62)
        parts.append(Loft(ankle, shaft, (0.028, 0.036), (0.03, 0.042), shoe, (0.01, 0.004)))
    return parts


def _between(start: Point, end: Point, share: float) -> Point:
    x, y, z = (a + share * (b - a) for a, b in zip(start, end, strict=True))
    return x, y, z


def _lower_body(person: Person, knees: list[Point]) -> list[Loft]:
    """Return the pelvis and the skirt that hangs from it."""
    lower = person.lower
    cloth = woven(lower.fabric)
    hip = 0.092 * person.build * person.hips
    depth = 0.068 * person.build
    parts = [
        Loft(
            (0.0, 0.475, -0.004),
            (0.0, 0.60, 0.0),
            (hip * 0.92, hip * 0.98, hip * 0.8),
            (depth * 0.95, depth, depth * 0.75),
            cloth,
            (0.02, 0.0),
            0.08,
        )
    ]
    if lower.cut in ("skirt", "long_skirt", "dress"):
        hem = _HIP + 0.04 - 0.47 * lower.length
        swing = 0.42 * max(abs(knee[2]) for knee in knees)
        flare = (1.25 if lower.cut != "skirt" else 1.1) if person.coat is None else 1.0
        parts.append(
            Loft(
                (0.0, 0.6, 0.0),
                (0.0, hem, 0.01),
                (hip * 0.84, hip * 1.06, hip * flare),
                (depth * 0.9, depth * 1.25, depth * flare + swing),
                cloth,
                (0.0, 0.006),
                0.2,
            )
        )
    return parts


# --- torso ----------------------------------------------------------------------------------------


def _torso(person: Person, swing: float) -> list[Loft]:
    """Return the top and the coat over it, whose hem moves with the swing of the knees."""
    top = person.top
    fabric = person.lower.fabric if person.lower.cut == "dress" else top.fabric
    texture = _with_straps(_top_texture(person, fabric), person.bag)
    hem = 0.515 if top.cut != "sweater" else 0.49
    parts = [_trunk(person, hem, 1.0, 0.0, texture, 0.12)]
    if person.coat is not None:
        coat = person.coat
        hem = {"jacket": 0.475, "vest": 0.5, "coat": 0.39, "long_coat": 0.27}[coat.cut]
        parts.append(
            _trunk(
                person,
                hem,
                1.14,
                swing,
                _with_straps(_coat_texture(coat, _top_texture(person, fabric)), person.bag),
                0.2,
            )
        )
        if coat.cut != "vest":
            parts.append(_collar(person, coat.fabric.colour))
    hooded = top.cut == "hoodie" and person.coat is None
    if hooded and person.headgear != "hood":
        parts.append(
            Loft(
                (0.0, 0.822, -0.05),
                (0.0, 0.852, -0.045),
                (0.066, 0.05),
                (0.034, 0.03),
                plain(fabric.colour),
                (0.025, 0.012),
                0.1,
            )
        )
    if person.scarf is not None:
        parts.append(
            Loft(
                (0.0, 0.826, 0.006),
                (0.0, 0.862, 0.01),
                (0.066, 0.056),
                (0.066, 0.06),
                plain(person.scarf),
                (0.015, 0.01),
                0.25,
            )
        )
    return parts


def _trunk(
    person: Person, hem: float, ease: float, swing: float, texture: Texture, folds: float
) -> Loft:
    """Return a garment from its hem to the shoulders. `ease` is a factor of its width."""
    build = person.build * ease
    heights = np.linspace(hem, _SHOULDER, 9)
    levels = (0.25, 0.5, 0.6, 0.72, 0.785, 0.812)
    widths = np.interp(
        heights,
        levels,
        (
            0.1 * person.hips,
            0.096 * person.hips,
            0.082,
            0.099 * person.shoulders,
            0.1 * person.shoulders,
            0.07 * person.shoulders,
        ),
    )
    depths = np.interp(heights, levels, (0.082, 0.078, 0.068, 0.07, 0.056, 0.04))
    depths += np.clip(_HIP - heights, 0, None) * 4.2 * swing
    if ease > 1:
        widths = np.maximum(widths, widths.mean() * 0.98)
        depths[heights < _HIP] += 0.008
        widths[-1] *= 0.86
    return Loft(
        (0.0, hem, 0.0),
        (0.0, _SHOULDER, -0.004),
        tuple(widths * build),
        tuple(depths * build),
        texture,
        (0.006, 0.02),
        folds,
    )


def _top_texture(person: Person, fabric: Fabric) -> Texture:
    """Return a top with its neckline, its buttons and the print on its chest."""
    base = woven(fabric)
    skin, second, dark = linear(person.skin), linear(fabric.second), linear(fabric.colour) * 0.45
    is_shirt = person.top.cut == "shirt"
    neckline = {"tank": 0.2, "tshirt": 0.1, "shirt": 0.14}.get(person.top.cut, 0.05)

    def texture(surface: Surface) -> Array:
        colour = np.broadcast_to(base(surface), (surface.along.size, 3)).copy()
        x, front = np.sin(surface.around), np.abs(surface.around) < 1.5
        if fabric.pattern == "print":
            motif = _motif(fabric.pitch, x, surface.along)
            colour[front & motif] = second
        if is_shirt:
            colour[front & (np.abs(x) < 0.05)] = dark
        colour[front & (np.abs(x) < (surface.along - (1 - neckline)) * 3)] = skin
        return colour

    return texture


def _motif(kind: int, x: Array, along: Array) -> NDArray[np.bool_]:
    """Return the printed pixels of a chest: a block, text, disc, badge, sash or letter."""
    y = (along - 0.62) * 2.2
    match kind:
        case 3:
            shape = (np.abs(x) < 0.42) & (np.abs(y) < 0.3)
        case 4:
            shape = (np.abs(x) < 0.55) & (np.abs(y) < 0.12)
        case 5:
            shape = x**2 + y**2 < 0.16
        case 6:
            shape = (x - 0.38) ** 2 + (y - 0.12) ** 2 < 0.03
        case 7:
            shape = np.abs(x + 0.8 * y) < 0.16
        case _:
            shape = ((np.abs(x) < 0.1) | (y > 0.18)) & (np.abs(x) < 0.4) & (np.abs(y) < 0.38)
    return np.asarray(shape)


def _coat_texture(coat: Coat, inner: Texture) -> Texture:
    """Return a coat whose open front shows the top, or whose closed front shows a zip."""
    base, zip_colour = woven(coat.fabric), linear(coat.fabric.colour) * 0.35

    def texture(surface: Surface) -> Array:
        colour = np.broadcast_to(base(surface), (surface.along.size, 3)).copy()
        from_middle = np.abs(surface.around)
        if coat.opening:
            gap = coat.opening * (0.75 + 0.35 * surface.along)
            shows = from_middle < gap
            colour[shows] = inner(Surface(surface.along[shows], surface.around[shows])) * 0.8
            colour[(from_middle >= gap) & (from_middle < gap + 0.12)] *= 0.6
        else:
            colour[from_middle < 0.07] = zip_colour
        return colour

    return texture


def _with_straps(base: Texture, bag: Bag) -> Texture:
    """Draw the straps of a bag on a garment."""
    if bag.kind not in ("backpack", "shoulder"):
        return base
    strap = linear(bag.colour) * 0.9

    def texture(surface: Surface) -> Array:
        colour = np.broadcast_to(base(surface), (surface.along.size, 3)).copy()
        x, along = np.sin(surface.around), surface.along
        if bag.kind == "backpack":
            on = (np.abs(np.abs(x) - 0.6) < 0.12) & (np.abs(surface.around) < 1.5) & (along > 0.4)
        else:
            on = np.abs(x - bag.side * (0.85 - 1.5 * along)) < 0.1
        colour[on] = strap
        return colour

    return texture


def _collar(person: Person, colour: Rgb) -> Loft:
    return Loft(
        (0.0, 0.822, -0.006),
        (0.0, 0.85, -0.012),
        (0.058 * person.build, 0.046),
        (0.05, 0.046),
        plain(colour),
        (0.01, 0.004),
        0.1,
        covers=lambda surface: np.abs(surface.around) > 0.5,
    )


# --- arms -----------------------------------------------------------------------------------------


def _arm(person: Person, side: int, arm: ArmPose, pose: Pose) -> list[Loft]:
    shoulder = (side * 0.095 * person.build * person.shoulders, 0.774, -0.006)
    swing = -0.75 * pose.stride * math.sin(pose.phase if side > 0 else pose.phase + math.pi)
    upper, lower, out, inward = {
        "swing": (swing, swing + 0.22 + 0.4 * pose.stride, 0.14, 0.03),
        "phone": (0.35, 1.9, 0.1, -0.35),
        "pocket": (-0.18, 0.35, 0.28, -0.22),
        "strap": (0.15, 2.5, 0.22, -0.3),
    }[arm]
    elbow = _moved(shoulder, _UPPER_ARM, upper, side * out)
    wrist = _moved(elbow, _FOREARM, lower, side * inward)
    hand = _moved(wrist, 0.03, lower)

    sleeve, cloth, ease = _sleeve(person)
    skin = plain(person.skin)
    build = person.build**0.8
    parts = [Loft(wrist, hand, (0.017, 0.019), (0.017, 0.019), skin, (0.01, 0.02))]
    bare = tuple(build * width for width in (0.032, 0.027, 0.023))
    thin = tuple(build * width for width in (0.024, 0.022, 0.016))
    if sleeve < 0.5:
        parts.append(Loft(shoulder, elbow, bare, bare, skin, (0.03, 0.02)))
    if sleeve < 1:
        parts.append(Loft(elbow, wrist, thin, thin, skin, (0.02, 0.01)))
    if sleeve > 0:
        end = _between(shoulder, elbow, min(sleeve * 2, 1.0))
        widths = tuple(ease * build * width for width in (0.034, 0.036, 0.033))
        parts.append(Loft(shoulder, end, widths, widths, cloth, (0.03, 0.008), 0.14))
    if sleeve > 0.5:
        end = _between(elbow, wrist, sleeve * 2 - 1)
        widths = tuple(ease * build * width for width in (0.032, 0.029, 0.025))
        parts.append(Loft(elbow, end, widths, widths, cloth, (0.03, 0.004), 0.2))
    return parts


def _sleeve(person: Person) -> tuple[float, Texture, float]:
    """Return the outermost sleeve: the share of the arm it covers, its texture and its width."""
    top, coat = person.top, person.coat
    if coat is not None and coat.cut != "vest":
        colour = coat.fabric.second if coat.fabric.pattern == "block" else coat.fabric.colour
        return 1.0, plain(colour), 1.2
    fabric = person.lower.fabric if person.lower.cut == "dress" else top.fabric
    is_raglan = fabric.pattern == "block" and fabric.pitch % 2 == 0
    return top.sleeve, plain(fabric.second) if is_raglan else woven(fabric), 1.05


# --- head -----------------------------------------------------------------------------------------


def _head(person: Person) -> list[Loft]:
    size = person.head
    crown = _CHIN + (_CROWN - _CHIN) * size
    skin = plain(person.skin)
    widths = tuple(size * width for width in (0.026, 0.043, 0.05, 0.053, 0.048, 0.028))
    depths = tuple(size * depth for depth in (0.034, 0.054, 0.061, 0.066, 0.06, 0.034))
    chin, top = (0.0, _CHIN, 0.018), (0.0, crown - 0.008, 0.008)
    parts = [
        Loft((0.0, 0.80, -0.012), (0.0, 0.885, 0.0), (0.036, 0.033), (0.036, 0.033), skin),
        Loft(chin, top, widths, depths, _face(person), (0.006, 0.008)),
    ]
    for side in _SIDES:
        ear = (side * 0.05 * size, _CHIN + 0.055, 0.0)
        parts.append(
            Loft(ear, (ear[0], ear[1] + 0.015, -0.004), (0.006,), (0.012,), skin, (0.008, 0.008))
        )
    parts += _hair(person, size, chin, top, widths, depths)
    parts += _headgear(person, size, crown)
    return parts


def _face(person: Person) -> Texture:
    """Return eyes, brows, mouth, beard and glasses: dark pixels that only the front shows."""
    skin = linear(person.skin)
    dark = linear(person.hair) * 0.6 + 0.02
    mouth = skin * np.array([0.75, 0.5, 0.5], np.float32)

    def texture(surface: Surface) -> Array:
        along, x = surface.along, np.abs(surface.around)
        front = x < 1.3
        colour = np.broadcast_to(skin, (along.size, 3)).copy()
        colour[front & (np.abs(along - 0.52) < 0.07) & (x > 0.2) & (x < 0.72)] *= 0.62
        colour[front & (np.abs(along - 0.4) < 0.07) & (x < 0.16)] *= 1.12
        if person.beard:
            colour[front & (along < 0.3) & ((along < 0.17) | (x > 0.3))] = dark
        colour[front & (np.abs(along - 0.24) < 0.035) & (x < 0.34)] = mouth
        if person.glasses:
            rim = (np.abs(along - 0.53) < 0.05) & (x > 0.1) & (x < 0.75)
            colour[front & rim] = 0.05
        return colour

    return texture


def _hair(
    person: Person,
    size: float,
    chin: Point,
    top: Point,
    widths: tuple[float, ...],
    depths: tuple[float, ...],
) -> list[Loft]:
    style = person.hair_style
    if style == "bald":
        return []
    colour = plain(person.hair)
    volume = {"cropped": 1.03, "short": 1.1, "ponytail": 1.06, "bun": 1.06}.get(style, 1.16)
    nape = {"cropped": 0.42, "short": 0.3, "ponytail": 0.25, "bun": 0.25}.get(style, 0.0)
    side_edge = {"bob": 0.05, "long": 0.0}.get(style, max(nape, 0.5))

    def covers(surface: Surface) -> NDArray[np.bool_]:
        x = np.abs(surface.around)
        edge = np.interp(x, (0.0, 0.75, 1.1, 1.7, 2.2), (0.8, 0.72, side_edge, side_edge, nape))
        return np.asarray(surface.along > edge)

    back = -0.006 * size
    parts = [
        Loft(
            (chin[0], chin[1], chin[2] + back),
            (top[0], top[1] + 0.008 * volume, top[2] + back),
            tuple(volume * width for width in widths),
            tuple(volume * depth for depth in depths),
            colour,
            (0.006, 0.012),
            0.22,
            covers,
        )
    ]
    if style == "long":
        parts.append(
            Loft(
                (0.0, 0.955, -0.03),
                (0.0, 0.76, -0.052),
                (0.05 * size, 0.058 * size, 0.052),
                (0.038, 0.032, 0.022),
                colour,
                (0.02, 0.03),
                0.3,
            )
        )
    elif style == "ponytail":
        parts.append(
            Loft(
                (0.0, 0.95, -0.066 * size),
                (0.0, 0.845, -0.085),
                (0.02, 0.024, 0.014),
                (0.02, 0.024, 0.014),
                colour,
                (0.016, 0.02),
                0.2,
            )
        )
    elif style == "bun":
        parts.append(
            Loft(
                (0.0, 0.975, -0.05),
                (0.0, 0.99, -0.05),
                (0.028,),
                (0.028,),
                colour,
                (0.022, 0.022),
                0.2,
            )
        )
    return parts


def _headgear(person: Person, size: float, crown: float) -> list[Loft]:
    width, depth = 0.058 * size, 0.07 * size
    if person.headgear == "hood":
        owner = person.coat.fabric if person.coat is not None else person.top.fabric
        return [
            Loft(
                (0.0, 0.825, -0.008),
                (0.0, crown + 0.006, -0.004),
                (0.064, 0.066 * size, 0.066 * size, 0.045),
                (0.06, 0.076 * size, 0.08 * size, 0.05),
                plain(owner.colour),
                (0.01, 0.012),
                0.2,
                covers=lambda surface: (np.abs(surface.around) > 0.75) | (surface.along > 0.84),
            )
        ]
    if person.headgear == "none":
        return []
    brow = _CHIN + 0.078 * size
    texture = plain(person.headgear_colour)
    parts = [
        Loft(
            (0.0, brow, 0.004),
            (0.0, crown - 0.004, -0.002),
            (width, width, width * 0.75),
            (depth, depth, depth * 0.75),
            texture,
            (0.0, 0.016),
            0.1,
        )
    ]
    if person.headgear == "cap":
        parts.append(
            Loft(
                (0.0, brow + 0.006, 0.05 * size),
                (0.0, brow - 0.004, 0.115 * size),
                (0.048, 0.038),
                (0.006, 0.006),
                texture,
                (0.01, 0.012),
            )
        )
    return parts


# --- bags -----------------------------------------------------------------------------------------


def _bag(person: Person, pose: Pose) -> list[Loft]:
    bag = person.bag
    body, size, side = plain(bag.colour), bag.size, bag.side
    if bag.kind == "backpack":
        z = -0.062 * person.build - 0.038
        return [
            Loft(
                (0.0, 0.60, z - 0.012),
                (0.0, 0.60 + 0.185 * size, z + 0.006),
                (0.075 * size, 0.084 * size, 0.08 * size, 0.06 * size),
                (0.058 * size, 0.056 * size, 0.042 * size, 0.03 * size),
                _backpack_texture(bag),
                (0.016, 0.022),
                0.1,
            )
        ]
    if bag.kind == "shoulder":
        x = -side * (0.108 * person.build * person.hips + 0.012)
        return [
            Loft(
                (x, 0.565, 0.01),
                (x, 0.565 - 0.11 * size, 0.01),
                (0.03 * size,) * 2,
                (0.075 * size, 0.08 * size),
                body,
                (0.008, 0.014),
                0.08,
            )
        ]
    if bag.kind in ("handbag", "plastic"):
        x = side * (0.135 * person.build * person.shoulders + 0.02)
        z = 0.02 - 0.1 * pose.stride * math.sin(pose.phase)
        return [
            Loft(
                (x, 0.46, z),
                (x, 0.46 - 0.13 * size, z),
                (0.014, 0.026 * size, 0.028 * size),
                (0.03, 0.066 * size, 0.072 * size),
                body,
                (0.01, 0.012),
                0.25 if bag.kind == "plastic" else 0.06,
            )
        ]
    return []


def _backpack_texture(bag: Bag) -> Texture:
    base, trim = linear(bag.colour), linear(bag.trim)

    def texture(surface: Surface) -> Array:
        colour = np.broadcast_to(base, (surface.along.size, 3)).copy()
        x = np.sin(surface.around)
        colour[(np.abs(surface.along - 0.52) < 0.03)] *= 0.4
        colour[(surface.along < 0.42) & (np.abs(x) < 0.6)] *= 0.82
        colour[(np.abs(surface.along - 0.26) < 0.1) & (np.abs(x) < 0.3)] = trim
        return colour

    return texture
