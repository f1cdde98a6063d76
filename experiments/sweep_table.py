"""A sweep's table for the terminal."""

from collections.abc import Iterator, Sequence
from itertools import chain

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from tqdm import tqdm

from experiments.slim_table import fits, parameter_heading, slim_table
from experiments.sweep_run import (
    BEST_BY,
    MODEL,
    SWEEP_FIGURES,
    SweepRun,
    best_run,
    parameters,
    protocol_words,
    ranked,
)
from reid.evaluation.figures import FIGURES, value_and_interval

ROWS = 10


def sweep_table(title: str, runs: Sequence[SweepRun], console: Console) -> Table:
    """Show one row per run, the best first and bold.

    A terminal too narrow for that gets no columns of parameters, since the names of the runs say
    them, and then no intervals. The names stay whole, because `dvc exp apply` wants them so.
    """
    for names, with_intervals in ((parameters(runs), True), ([], True), ([], False)):
        table = _table(title, runs, names, with_intervals)
        if fits(table, console):
            break
    return table


def _table(
    title: str, runs: Sequence[SweepRun], names: Sequence[str], with_intervals: bool
) -> Table:
    intervals = " with 95 % intervals over the people of the test set" if with_intervals else ""
    caption = (
        f"{MODEL} model, per cent{intervals}{protocol_words(runs)}. Best by {FIGURES[BEST_BY]}; "
        "small differences may be chance"
    )
    if len(runs) > ROWS:
        caption += f". {len(runs) - ROWS} more runs are in the page"
    table = slim_table(Column("run", overflow="fold"), title=Text(title), caption=Text(caption))
    for name in names:
        table.add_column(Text(parameter_heading(name)))
    for heading in (*SWEEP_FIGURES.values(), "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    best = best_run(runs)
    for run in ranked(runs)[:ROWS]:
        time = tqdm.format_interval(run.seconds) if run.is_finished else ""
        values = [Text(run.changes[name]) for name in names]
        cells = chain([Text(run.name)], values, _figures(run, with_intervals), [Text(time)])
        table.add_row(*cells, style="bold" if run is best else None)
    return table


def _figures(run: SweepRun, with_intervals: bool) -> Iterator[Text]:
    if not run.metrics:
        state = Text("failed", "red") if run.error else Text("not run")
        yield from (state, *[Text()] * (len(SWEEP_FIGURES) - 1))
        return
    for figure in SWEEP_FIGURES:
        value, interval = value_and_interval(run.metrics, figure)
        yield Text.assemble(value, (f" {interval}" if with_intervals else "", "dim"))
