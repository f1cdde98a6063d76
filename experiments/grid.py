"""The grid of a sweep: every combination of some parameters' values, and its names."""

import re
from collections.abc import Iterable
from itertools import product

from reid.common.errors import UserError
from runs.params import PROTOCOL


def parse_grid(settings: list[str]) -> dict[str, list[str]]:
    """Parse ``["lr=0.01,0.02"]`` into ``{"lr": ["0.01", "0.02"]}``.

    Raises:
        UserError: a setting has another form, a parameter or a value is there twice, or the
            parameter is the protocol.
    """
    grid: dict[str, list[str]] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        values = [value.strip() for value in text.split(",")]
        if not key or not all(values):
            raise UserError(f"-S {setting}: name a parameter and its values, as in lr=0.01,0.02")
        if key == PROTOCOL:
            raise UserError(
                f"-S {setting}: figures by two protocols can't be compared, so no run would be the "
                "best. Set the protocol in params.yaml"
            )
        if key in grid:
            raise UserError(f"-S {setting}: {key} is given twice. Put all its values in one -S")
        if len(set(values)) < len(values):
            raise UserError(f"-S {setting}: a value is there twice")
        grid[key] = values
    if not grid:
        raise UserError("no parameter to change. Name some, as in -S lr=0.01,0.02")
    return grid


def combinations(grid: dict[str, list[str]]) -> list[dict[str, str]]:
    """Combine every value with every other; the last parameter changes fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def run_name(sweep: str, changes: dict[str, str]) -> str:
    """Name an experiment after what it changes: ``sweep1-lr0.01-margin0.3``."""
    parts = [f"{key.rpartition('.')[2]}{value}" for key, value in changes.items()]
    return re.sub(r"[^\w.+-]", "_", "-".join([sweep, *parts]))


def next_sweep(taken: Iterable[str]) -> str:
    """Return ``sweep1``, ``sweep2``, ...: the first after all that names in use begin with."""
    numbers = [int(found[1]) for name in taken if (found := re.match(r"sweep(\d+)\b", name))]
    return f"sweep{max(numbers, default=0) + 1}"
