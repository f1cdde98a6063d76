"""A measured figure, next to peers and limits that were measured in turn with it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from statistics import median

TURNS = 3


@dataclass(frozen=True)
class Figure:
    """Times of one piece of work, and of what it is compared with."""

    what: str
    unit: str
    """The unit of all times: s or ms."""
    times: tuple[float, ...]
    peers: Mapping[str, tuple[float, ...]]
    """The times of other programs that do the same."""
    limits: Mapping[str, tuple[float, ...]]
    """The times of a part of the work that cannot be avoided."""

    def ratio(self, other: tuple[float, ...]) -> float:
        """Return how many times as long as another this takes, by the medians."""
        return median(self.times) / median(other)


def in_turns(
    what: str,
    work: Callable[[], object],
    peers: Mapping[str, Callable[[], object]] | None = None,
    limits: Mapping[str, Callable[[], object]] | None = None,
    turns: int = TURNS,
    unit: str = "s",
    count: int = 1,
) -> Figure:
    """Time a piece of work and what it is compared with, one after the other, several times.

    Args:
        what: the name of the work.
        work: does it.
        peers: do the same in another way.
        limits: do a part of it that can't be avoided.
        turns: how often each is timed. Each is called once before, which is not timed.
        unit: s or ms.
        count: how many pieces of work a call does; the times are for one.
    """
    peers, limits = peers or {}, limits or {}
    steps = {"": work, **peers, **limits}
    times: dict[str, list[float]] = {name: [] for name in steps}
    factor = {"s": 1.0, "ms": 1000.0}[unit] / count
    for turn in range(turns + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if turn:
                times[name].append(factor * (time.perf_counter() - began))
    found = {name: tuple(values) for name, values in times.items()}
    return Figure(
        what,
        unit,
        found[""],
        {name: found[name] for name in peers},
        {name: found[name] for name in limits},
    )


def figures_of(group: str) -> list[Figure]:
    """Measure a group: a module of ``benchmarks`` with a function ``figures``."""
    return list(import_module(f"benchmarks.{group}").figures())
