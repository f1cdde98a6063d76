"""The terminal, which shows text from outside as it is."""

from typing import Any

from rich.console import Console


def console(**options: Any) -> Console:
    """Return a console for which no text has a meaning: neither ``[red]`` nor ``:smile:``.

    File names, data sets, runs and errors bring any text. What is to be bold or red is a
    ``rich.text.Text`` with a style. ``options`` are those of ``Console``.
    """
    return Console(markup=False, emoji=False, highlight=False, **options)
