"""The figures of two computations from the same inputs, compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reid.data.paths import MODELS
from reid.evaluation.figures import COUNTS, FIGURES

TOLERANCE = 0.08
"""The move of a figure that is allowed with ``processor: this``. It is about twice the difference
between AVX2 and AVX-512 on the sample (docs/results.md)."""
ROUNDING = 1e-9
"""The slack for floating point, where 0.83 - 0.75 is more than 0.08."""

Verdict = Literal["equal", "within", "differs"]


@dataclass(frozen=True)
class Recurrence:
    """One figure or count, computed twice."""

    name: str
    """The name with its model: ``triplet/rank1``."""
    before: float
    now: float

    @property
    def model(self) -> str:
        """The model that was measured."""
        return self.name.partition("/")[0]

    @property
    def metric(self) -> str:
        """The name without the model: one of ``FIGURES`` or ``COUNTS``."""
        return self.name.partition("/")[2]

    @property
    def moved(self) -> float:
        """The difference; positive if the new value is larger."""
        return self.now - self.before

    @property
    def is_count(self) -> bool:
        """Whether this is a count of the test set, which has to be equal."""
        return self.metric in COUNTS

    @property
    def verdict(self) -> Verdict:
        """The result of the comparison; a figure that only one computation has differs."""
        if self.now == self.before:
            return "equal"
        near = abs(self.moved) <= TOLERANCE + ROUNDING
        return "within" if near and not self.is_count else "differs"


def recurrences(before: Mapping[str, float], now: Mapping[str, float]) -> list[Recurrence]:
    """Compare the figures and counts of two computations.

    Args:
        before: metrics under names like ``triplet/rank1``; others than ``FIGURES`` and ``COUNTS``
            are ignored.
        now: the same of the other computation.
    """
    names = [f"{model}/{key}" for model in MODELS for key in (*FIGURES, *COUNTS)]
    return [
        Recurrence(name, before.get(name, math.nan), now.get(name, math.nan))
        for name in names
        if name in before or name in now
    ]
