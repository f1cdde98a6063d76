"""Sample a person at random: body, head and clothes, as people in a street look.

The palettes are skewed on purpose: many people wear dark coats and blue jeans, so that no single
colour tells them apart.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

Rgb = tuple[float, float, float]
Name = TypeVar("Name", bound=str)

HairStyle = Literal["bald", "cropped", "short", "bob", "long", "ponytail", "bun"]
Headgear = Literal["none", "cap", "beanie", "hood"]
Pattern = Literal["plain", "stripes", "pinstripes", "checks", "block", "dots", "print", "band"]
TopCut = Literal["tshirt", "shirt", "sweater", "hoodie", "tank"]
CoatCut = Literal["jacket", "coat", "vest", "long_coat"]
LowerCut = Literal["slim", "trousers", "wide", "shorts", "skirt", "long_skirt", "dress"]
BagKind = Literal["none", "backpack", "shoulder", "handbag", "plastic"]

# (share, sRGB in 0..255): most people wear the colours of the first half of each list.
_UPPER_COLOURS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (16, (38, 38, 42)),
    (10, (222, 220, 214)),
    (9, (44, 52, 78)),
    (8, (120, 122, 126)),
    (5, (74, 76, 82)),
    (6, (176, 44, 46)),
    (6, (72, 112, 166)),
    (4, (150, 190, 214)),
    (4, (204, 176, 140)),
    (4, (86, 98, 66)),
    (4, (226, 150, 168)),
    (4, (212, 176, 58)),
    (3, (106, 36, 52)),
    (3, (58, 126, 84)),
    (3, (214, 112, 52)),
    (3, (118, 84, 138)),
    (2, (58, 150, 152)),
    (2, (112, 78, 56)),
)
_COAT_COLOURS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (30, (34, 34, 38)),
    (16, (40, 46, 68)),
    (9, (92, 94, 98)),
    (8, (180, 156, 120)),
    (7, (76, 84, 58)),
    (6, (120, 40, 44)),
    (5, (90, 122, 160)),
    (5, (208, 204, 196)),
    (4, (104, 74, 52)),
    (3, (196, 150, 48)),
    (3, (186, 52, 52)),
    (2, (206, 130, 150)),
)
_LOWER_COLOURS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (24, (36, 36, 40)),
    (20, (58, 76, 112)),
    (12, (42, 50, 72)),
    (9, (104, 130, 164)),
    (8, (100, 100, 102)),
    (7, (176, 158, 126)),
    (4, (208, 204, 196)),
    (4, (84, 86, 64)),
    (3, (92, 66, 50)),
    (2, (128, 44, 50)),
)
_SKIRT_COLOURS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (20, (36, 36, 40)),
    (8, (58, 70, 106)),
    (7, (190, 60, 70)),
    (7, (212, 206, 196)),
    (6, (220, 146, 166)),
    (5, (104, 104, 108)),
    (4, (108, 150, 190)),
    (4, (84, 126, 88)),
    (3, (208, 178, 76)),
)
_SKINS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (30, (226, 182, 152)),
    (24, (210, 164, 128)),
    (16, (184, 134, 100)),
    (10, (138, 94, 68)),
    (8, (92, 62, 48)),
)
_HAIRS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (42, (26, 22, 22)),
    (26, (56, 40, 32)),
    (12, (98, 68, 44)),
    (8, (178, 142, 90)),
    (6, (152, 150, 148)),
    (3, (136, 58, 34)),
)
_SHOES: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (34, (30, 28, 30)),
    (26, (218, 216, 212)),
    (12, (96, 66, 46)),
    (10, (112, 112, 116)),
    (6, (168, 48, 48)),
    (5, (52, 76, 140)),
)
_BAGS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (36, (32, 32, 36)),
    (14, (40, 50, 84)),
    (12, (110, 78, 52)),
    (8, (106, 108, 112)),
    (8, (168, 46, 48)),
    (6, (196, 168, 122)),
    (6, (52, 116, 110)),
    (5, (206, 134, 52)),
    (5, (196, 116, 148)),
)


@dataclass(frozen=True)
class Fabric:
    """A cloth: two colours and their pattern. pitch: how often the pattern repeats on a part."""

    colour: Rgb
    second: Rgb
    pattern: Pattern
    pitch: int


@dataclass(frozen=True)
class Top:
    """A garment that is worn under a coat. sleeve: the share of the arm that it covers."""

    cut: TopCut
    fabric: Fabric
    sleeve: float


@dataclass(frozen=True)
class Coat:
    """A garment over the top. opening: half the width of the open front in radians, 0 if closed."""

    cut: CoatCut
    fabric: Fabric
    opening: float


@dataclass(frozen=True)
class Lower:
    """A garment on the legs. length: the share of the leg. legwear: stockings, or None."""

    cut: LowerCut
    fabric: Fabric
    length: float
    legwear: Rgb | None


@dataclass(frozen=True)
class Bag:
    """A bag. side: +1 hangs on the left, -1 on the right. size: 1 is usual."""

    kind: BagKind
    colour: Rgb
    trim: Rgb
    side: int
    size: float


NO_BAG = Bag("none", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1, 1.0)


@dataclass(frozen=True)
class Person:
    """All features that make a drawn person recognisable. Colours are sRGB in [0, 1].

    build: the width relative to the average. shoulders, hips: further factors of the width there.
    head: the size of the head relative to the average (a child's is large). stoop: in radians.
    """

    build: float
    shoulders: float
    hips: float
    head: float
    stoop: float
    stride: float
    skin: Rgb
    hair: Rgb
    hair_style: HairStyle
    beard: bool
    glasses: bool
    headgear: Headgear
    headgear_colour: Rgb
    scarf: Rgb | None
    top: Top
    coat: Coat | None
    lower: Lower
    shoes: Rgb
    boots: bool
    bag: Bag

    def without_coat(self) -> "Person":
        """Return the same person without the coat."""
        return replace(self, coat=None)

    def with_bag(self, bag: Bag) -> "Person":
        """Return the same person with another bag."""
        return replace(self, bag=bag)


def sample_person(rng: np.random.Generator) -> Person:
    """Sample a person. The same state of `rng` gives the same person."""
    woman = rng.random() < 0.48
    coat = _sample_coat(rng) if rng.random() < 0.42 else None
    return Person(
        build=float(np.clip(rng.normal(0.95 if woman else 1.04, 0.11), 0.78, 1.4)),
        shoulders=float(rng.normal(0.92 if woman else 1.04, 0.04)),
        hips=float(rng.normal(1.08 if woman else 0.96, 0.05)),
        head=float(np.clip(rng.normal(1.04, 0.05), 0.94, 1.25)),
        stoop=float(np.clip(rng.normal(0.03, 0.04), -0.04, 0.14)),
        stride=float(rng.uniform(0.24, 0.5)),
        skin=_pick(rng, _SKINS, 0.03),
        hair=_pick(rng, _HAIRS, 0.03),
        hair_style=_sample_hair(rng, woman),
        beard=bool(not woman and rng.random() < 0.18),
        glasses=bool(rng.random() < 0.2),
        headgear=_choose(rng, {"none": 78, "cap": 12, "beanie": 5, "hood": 5}),
        headgear_colour=_pick(rng, _UPPER_COLOURS, 0.04),
        scarf=_pick(rng, _UPPER_COLOURS, 0.04) if rng.random() < 0.08 else None,
        top=_sample_top(rng),
        coat=coat,
        lower=_sample_lower(rng, woman),
        shoes=_pick(rng, _SHOES, 0.04),
        boots=bool(rng.random() < 0.12),
        bag=sample_bag(rng) if rng.random() < 0.55 else NO_BAG,
    )


def sample_bag(rng: np.random.Generator) -> Bag:
    """Sample a bag."""
    kind: BagKind = _choose(rng, {"backpack": 44, "shoulder": 28, "handbag": 18, "plastic": 10})
    colour = (0.88, 0.87, 0.85) if kind == "plastic" else _pick(rng, _BAGS, 0.04)
    return Bag(
        kind=kind,
        colour=colour,
        trim=_pick(rng, _UPPER_COLOURS, 0.04),
        side=1 if rng.random() < 0.5 else -1,
        size=float(rng.uniform(0.8, 1.2)),
    )


def _sample_hair(rng: np.random.Generator, woman: bool) -> HairStyle:
    if woman:
        return _choose(rng, {"long": 40, "ponytail": 24, "bob": 18, "bun": 10, "short": 8})
    return _choose(rng, {"short": 60, "cropped": 22, "bald": 10, "bob": 5, "ponytail": 3})


def _sample_top(rng: np.random.Generator) -> Top:
    cut: TopCut = _choose(rng, {"tshirt": 38, "shirt": 20, "sweater": 20, "hoodie": 16, "tank": 6})
    sleeves = {"tshirt": 0.42, "shirt": 1.0, "sweater": 1.0, "hoodie": 1.0, "tank": 0.0}
    sleeve = sleeves[cut]
    if cut == "shirt" and rng.random() < 0.4:
        sleeve = 0.5
    pattern: Pattern = _choose(
        rng,
        {
            "plain": 36,
            "print": 18,
            "stripes": 15,
            "checks": 9,
            "block": 11,
            "band": 5,
            "pinstripes": 3,
            "dots": 3,
        },
    )
    return Top(cut, _fabric(rng, _UPPER_COLOURS, pattern), sleeve)


def _sample_coat(rng: np.random.Generator) -> Coat:
    cut: CoatCut = _choose(rng, {"jacket": 58, "coat": 22, "long_coat": 8, "vest": 12})
    pattern: Pattern = _choose(rng, {"plain": 66, "block": 17, "band": 10, "checks": 7})
    opening = float(rng.uniform(0.28, 0.7)) if rng.random() < 0.6 else 0.0
    return Coat(cut, _fabric(rng, _COAT_COLOURS, pattern), opening)


def _sample_lower(rng: np.random.Generator, woman: bool) -> Lower:
    shares: dict[LowerCut, int] = {"trousers": 58, "slim": 14, "wide": 8, "shorts": 20}
    if woman:
        shares = {"slim": 40, "trousers": 18, "wide": 4, "shorts": 12, "skirt": 12}
        shares |= {"long_skirt": 4, "dress": 10}
    cut = _choose(rng, shares)
    is_skirt = cut in ("skirt", "long_skirt", "dress")
    patterns: dict[Pattern, int] = {"plain": 94, "pinstripes": 6}
    if is_skirt:
        patterns = {"plain": 70, "dots": 8, "checks": 10, "stripes": 7, "band": 5}
    lengths: dict[LowerCut, tuple[float, float]] = {
        "shorts": (0.3, 0.52),
        "skirt": (0.3, 0.5),
        "long_skirt": (0.7, 0.86),
        "dress": (0.36, 0.6),
    }
    palette = _SKIRT_COLOURS if is_skirt else _LOWER_COLOURS
    return Lower(
        cut=cut,
        fabric=_fabric(rng, palette, _choose(rng, patterns)),
        length=float(rng.uniform(*lengths.get(cut, (0.93, 1.0)))),
        legwear=(0.1, 0.1, 0.12) if woman and rng.random() < 0.3 else None,
    )


def _fabric(
    rng: np.random.Generator,
    palette: tuple[tuple[float, tuple[int, int, int]], ...],
    pattern: Pattern,
) -> Fabric:
    colour = _pick(rng, palette, 0.05)
    second = _pick(rng, _UPPER_COLOURS, 0.04)
    if sum(abs(a - b) for a, b in zip(colour, second, strict=True)) < 0.35:
        second = (0.85, 0.85, 0.83) if sum(colour) < 1.5 else (0.16, 0.17, 0.22)
    return Fabric(colour, second, pattern, int(rng.integers(3, 9)))


def _pick(
    rng: np.random.Generator,
    palette: tuple[tuple[float, tuple[int, int, int]], ...],
    spread: float,
) -> Rgb:
    """Sample a colour of a palette, with brightness and hue varied by about `spread`."""
    shares = np.array([share for share, _ in palette])
    base = np.array(palette[rng.choice(len(palette), p=shares / shares.sum())][1]) / 255
    colour = base * np.exp(rng.normal(0, 2.5 * spread)) + rng.normal(0, spread / 2, 3)
    red, green, blue = np.clip(colour, 0.05, 0.93)
    return float(red), float(green), float(blue)


def _choose(rng: np.random.Generator, shares: dict[Name, int]) -> Name:
    names = list(shares)
    weights = np.array(list(shares.values()), float)
    return names[rng.choice(len(names), p=weights / weights.sum())]
