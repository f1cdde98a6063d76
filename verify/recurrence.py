"""Does a result come out again? The figures of two computations from the same inputs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reid.data.paths import MODELS
from reid.evaluation.figures import COUNTS, FIGURES

TOLERANCE = 0.08
"""Of the figures. Models depend on the kind of processor: this is about twice of what AVX2 and
AVX-512 made of the sample (docs/results.md)."""
ROUNDING = 1e-9
"""0.83 - 0.75 is more than 0.08 in floating point."""

Verdict = Literal["equal", "within", "differs"]


@dataclass(frozen=True)
class Recurrence:
    """One figure or count, computed twice."""

    name: str
    """With its model: ``triplet/rank1``."""
    before: float
    now: float

    @property
    def model(self) -> str:
        """Whose it is."""
        return self.name.partition("/")[0]

    @property
    def metric(self) -> str:
        """Its name without the model's: one of ``FIGURES`` or ``COUNTS``."""
        return self.name.partition("/")[2]

    @property
    def moved(self) -> float:
        """How far it moved; positive is more."""
        return self.now - self.before

    @property
    def is_count(self) -> bool:
        """Whether it counts what was evaluated, and so has to be equal."""
        return self.metric in COUNTS

    @property
    def verdict(self) -> Verdict:
        """A figure that is missing from one of the computations differs."""
        if self.now == self.before:
            return "equal"
        near = abs(self.moved) <= TOLERANCE + ROUNDING
        return "within" if near and not self.is_count else "differs"


def recurrences(before: Mapping[str, float], now: Mapping[str, float]) -> list[Recurrence]:
    """Lay two computations side by side.

    Args:
        before: metrics under names like ``triplet/rank1``; those that are compared are taken.
        now: likewise.
    """
    names = [f"{model}/{key}" for model in MODELS for key in (*FIGURES, *COUNTS)]
    return [
        Recurrence(name, before.get(name, math.nan), now.get(name, math.nan))
        for name in names
        if name in before or name in now
    ]
