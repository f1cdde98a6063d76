"""Tables for the terminal without lines between columns."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Column, Table

UNLIMITED = 10_000
"""Columns of a terminal that every table fits."""


def slim_table(*columns: Column | str, **options: Any) -> Table:
    """Make a table that leaves its width to its content; ``options`` are those of ``Table``."""
    return Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, **options)


def parameter_heading(parameter: str) -> str:
    """Return a parameter's name as a narrow heading, ``triplet.`` above ``margin``."""
    return parameter.replace(".", ".\n")


def fits(table: Table, console: Console) -> bool:
    """Say whether a table can be shown without a break in any of its cells."""
    options = console.options.update(width=UNLIMITED)
    return console.measure(table, options=options).maximum <= console.width
