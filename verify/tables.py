"""Tables for a terminal that are also Markdown, for the page of a pull request."""

from collections.abc import Sequence
from math import isnan, nan

from rich.box import MARKDOWN
from rich.table import Column, Table
from rich.text import Text

from reid import terminal
from reid.data.paths import LOCK
from reid.evaluation.figures import FIGURES
from verify.recurrence import Recurrence
from verify.result import ResultFiles
from verify.rule import Judgement

WIDTH = 120
"""The width without a terminal, as in continuous integration."""
DIGITS = 7
"""The digits of a hash that are shown."""


def show(table: Table) -> None:
    """Print a table; without a terminal that limits it, it is as wide as it needs to be."""
    console = terminal.console()
    console.width = console.width if console.is_terminal else WIDTH
    console.print(table)


def figures_table(judgement: Judgement, base: ResultFiles | None = None) -> Table:
    """Show one row per figure, in per cent: on the base branch, committed, recomputed.

    A figure that the commit itself lowers by more than the tolerance is pointed out: the author
    means it, but a reader may ask why. Figures by another protocol can't be compared.
    """
    table = Table("model", "figure", box=MARKDOWN)
    for heading in (*(("base",) if base else ()), "committed", "recomputed", "moved by"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    other_protocol = base is not None and base.protocol != judgement.protocol
    for figure in judgement.figures:
        before = [base.named_metrics.get(figure.name, nan)] if base else []
        by_commit = [Recurrence(figure.name, value, figure.before) for value in before]
        is_lowered = any(step.verdict == "differs" and step.moved < 0 for step in by_commit)
        remarks = ["too far"] if figure.verdict == "differs" else []
        remarks += ["lowered by the commit"] if is_lowered and not other_protocol else []
        remarks += ["base is by another protocol"] if other_protocol else []
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


def files_table(clones: Sequence[ResultFiles], committed: ResultFiles) -> Table:
    """Show one row per output of the pipeline: the md5 in each clone and in the commit.

    The last column says what differs: the clones from each other, the commit from both, or all.
    """
    results = (*clones, committed)
    table = Table(Column("file", overflow="fold"), box=MARKDOWN)
    for heading in (*_names(clones), "commit", "differ"):
        table.add_column(heading, no_wrap=True)
    table.add_row(LOCK, *_cells([result.lock_md5 for result in results]))
    for path in {path: None for result in results for path in result.outputs}:
        hashes = [result.outputs.get(path, "") for result in results]
        table.add_row(Text(path), *_cells(hashes))
    return table


def _names(clones: Sequence[ResultFiles]) -> list[str]:
    return [f"clone {number}" for number in range(1, len(clones) + 1)]


def _cells(hashes: Sequence[str]) -> list[str]:
    *clones, committed = hashes
    clones_differ, commit_differs = len(set(clones)) > 1, committed not in clones
    differ = {
        (True, True): "all three",
        (True, False): "clones",
        (False, True): "commit",
        (False, False): "",
    }
    shown = [md5[:DIGITS] or "none" for md5 in hashes]
    return [*shown, differ[clones_differ, commit_differs]]
