"""Results side by side in the terminal."""

from collections.abc import Sequence
from math import inf
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Column, Table
from rich.text import Text

from experiments.joining import METRICS, TO_PUBLISH, Result
from reid.common.errors import UserError
from reid.evaluation.figures import FIGURES
from runs.run_store import short

Protocol = tuple[str, ...]
"""As in ``Result.protocol``."""
SHOWN = ("baseline/rank1", "baseline/mAP", "triplet/rank1", "triplet/mAP")


def slim_table(*columns: Column | str, **options: Any) -> Table:
    """A table that leaves its width to what stands in it; ``options`` are those of ``Table``."""
    return Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, **options)


def slim(parameter: str) -> str:
    """A parameter's name as the heading of a column."""
    return parameter.replace(".", ".\n")


def sorted_by(results: Sequence[Result], metric: str) -> list[Result]:
    """The best first; at the end those that have no figures yet.

    Raises:
        UserError: there is no such metric.
    """
    if metric not in METRICS:
        raise UserError(f"no metric {metric}. Choose one of {', '.join(METRICS)}.")
    order = (metric, "triplet/mAP", "baseline/mAP")
    return sorted(results, key=lambda r: [-r.metrics.get(name, -inf) for name in order])


def differing_params(results: Sequence[Result]) -> list[str]:
    """Names of the parameters that have more than one value among the results.

    Results from before a parameter was there say nothing of it.
    """
    values: dict[str, set[str]] = {}
    for result in results:
        for name, value in result.params.items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def results_table(results: Sequence[Result], metric: str, console: Console, top: int) -> Group:
    """The first ``top`` results, a row each, and below them what some of them need to be said.

    Among those that can be compared, the best of each metric is bold and the best by ``metric``
    starred: of all ``results``, whatever is shown. Each parameter that differs has a column of its
    own, where the console is wide enough; else all stand in a table of their own below.
    """
    shown = results[:top]
    best = _best(results)
    names = differing_params(shown)
    table = _figures(shown, best, metric, names)
    unlimited = console.options.update(width=1000)
    if console.measure(table, options=unlimited).maximum <= console.width:
        return Group(table, *_notes(shown))
    return Group(_figures(shown, best, metric, []), _params(shown, names), *_notes(shown))


def _best(results: Sequence[Result]) -> dict[Protocol, dict[str, float]]:
    return {
        protocol: {name: max(r.metrics.get(name, -inf) for r in alike) for name in METRICS}
        for protocol, alike in _comparable(results).items()
    }


def _figures(
    results: Sequence[Result],
    best: dict[Protocol, dict[str, float]],
    metric: str,
    names: list[str],
) -> Table:
    metrics = list(dict.fromkeys([*SHOWN, metric]))
    caption = f"per cent; * is the best by {metric}"
    if len(_comparable(results)) > 1:
        caption += (
            " among those on the same test;\n"
            "figures on other data or galleries, or re-ranked otherwise, can't be compared"
        )
    table = slim_table(caption=caption, caption_justify="left")
    table.add_column("", width=1)
    table.add_column("result", overflow="fold", max_width=24)
    for heading in ("in", "run", "status"):
        table.add_column(heading, no_wrap=True)
    for name in names:
        table.add_column(slim(name))
    for name in metrics:
        model, _, figure = name.partition("/")
        heading = f"{model}\n{FIGURES[figure]}"
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        bests = best.get(result.protocol, {})
        table.add_row(
            "*" if metric in result.metrics and result.metrics[metric] == bests[metric] else "",
            ", ".join(result.names),
            Text(result.place, style="bold red" if result.run_metrics else ""),
            short(result.run_id) or "-",
            result.status,
            *(result.params.get(name, "-") for name in names),
            *(_figure(result, name, bests.get(name, inf)) for name in metrics),
        )
    return table


def _comparable(results: Sequence[Result]) -> dict[Protocol, list[Result]]:
    """Those that have figures, apart from those that they can't be compared with."""
    found: dict[Protocol, list[Result]] = {}
    for result in results:
        if result.metrics:
            found.setdefault(result.protocol, []).append(result)
    return found


def _notes(results: Sequence[Result]) -> list[Text]:
    """What the column ``in`` asks the reader to do."""
    notes = []
    if any(result.run_metrics for result in results):
        notes.append("both, differ: DVC's figures are shown; its run has others, see --json")
    if not all(result.is_published for result in results):
        notes.append(f"DVC, killed or failed: has no whole run. {TO_PUBLISH}")
    return [Text(note) for note in notes]


def _params(results: Sequence[Result], names: list[str]) -> Table:
    table = slim_table()
    table.add_column("result", overflow="fold", max_width=24)
    table.add_column("parameters that differ: the first result's, and what others have instead")
    for result in results:
        first = {} if result is results[0] else results[0].params
        values = [
            f"{name}={result.params[name]}"
            for name in names
            if name in result.params and result.params[name] != first.get(name)
        ]
        table.add_row(", ".join(result.names), "  ".join(values) or "-")
    return table


def _figure(result: Result, name: str, best: float) -> Text:
    if name not in result.metrics:
        return Text("-")
    value = result.metrics[name]
    return Text(f"{100 * value:.1f}", style="bold" if value == best else "")
