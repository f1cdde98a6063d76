"""Does a result come out again? The figures of two computations from the same inputs."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MODELS = ("baseline", "triplet")
FIGURES = ("rank1", "rank5", "rank10", "mAP", "mAP_official", "mINP")
COUNTS = ("queries", "queries_without_match", "gallery", "junk", "distractors")
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
    def is_count(self) -> bool:
        """Whether it counts what was evaluated, and so has to be equal."""
        return self.name.rpartition("/")[2] in COUNTS

    @property
    def verdict(self) -> Verdict:
        """A figure that is missing from one of the computations differs."""
        if self.now == self.before:
            return "equal"
        near = abs(self.now - self.before) <= TOLERANCE + ROUNDING
        return "within" if near and not self.is_count else "differs"


def metrics_in(folder: Path) -> dict[str, float]:
    """What the metrics files in a project's folder hold, under names like ``triplet/rank1``."""
    files = {model: folder / "metrics" / f"{model}.json" for model in MODELS}
    return {
        f"{model}/{key}": float(value)
        for model, file in files.items()
        for key, value in json.loads(file.read_text(encoding="utf-8")).items()
    }


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
