"""Tables that read well in a terminal and are Markdown, for the page of a pull request."""

from collections.abc import Sequence
from math import isnan, nan

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from reid.data.paths import LOCK
from reid.evaluation.figures import FIGURES
from verify.recurrence import Recurrence
from verify.result import Result
from verify.rule import Comparison

WIDTH = 120
SHORT = 8
"""Digits of a hash that are shown."""


def show(table: Table) -> None:
    """Print a table, as wide as it needs to be where nobody's terminal limits it."""
    console = Console()
    console.width = console.width if console.is_terminal else WIDTH
    console.print(table, highlight=False)


def figures_table(comparison: Comparison, base: Result | None = None) -> Table:
    """A row a figure: on the base branch, as committed, as it came out; in per cent.

    What the commit itself lowers by more than the tolerance is pointed out: it says that it means
    to, and a reader may ask why.
    """
    table = Table("model", "figure", box=MARKDOWN)
    for heading in (*(("base branch",) if base else ()), "committed", "came out", "moved by"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for figure in comparison.figures:
        before = [base.named_metrics.get(figure.name, nan)] if base else []
        by_commit = [Recurrence(figure.name, value, figure.before) for value in before]
        is_lowered = any(step.verdict == "differs" and step.moved < 0 for step in by_commit)
        remarks = ["too far"] if figure.verdict == "differs" else []
        remarks += ["lowered by the commit"] if is_lowered else []
        table.add_row(
            figure.model,
            FIGURES[figure.metric],
            *(_points(value) for value in (*before, figure.before, figure.now)),
            _points(figure.moved, sign="+") if figure.moved else "0",
            ", ".join(remarks),
        )
    return table


def _points(share: float, sign: str = "") -> str:
    return "-" if isnan(share) else f"{100 * share:{sign}.1f}"


def files_table(clones: Sequence[Result], committed: Result) -> Table:
    """A row a file or folder that the pipeline makes, with the md5 of each copy of it."""
    results = (*clones, committed)
    table = Table("file", *_names(clones), "committed", "what differs", box=MARKDOWN)
    table.add_row(LOCK, *_row([result.lock_md5 for result in results]))
    for path in {path: None for result in results for path in result.outputs}:
        table.add_row(path, *_row([result.outputs.get(path, "") for result in results]))
    return table


def _names(clones: Sequence[Result]) -> list[str]:
    return [f"clone {number}" for number in range(1, len(clones) + 1)]


def _row(hashes: Sequence[str]) -> list[str]:
    *clones, committed = hashes
    differs = ["the clones"] if len(set(clones)) > 1 else []
    differs += ["the committed one"] if committed not in clones else []
    return [*(hash_[:SHORT] or "none" for hash_ in hashes), " and ".join(differs)]
