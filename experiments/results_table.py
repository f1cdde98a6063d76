"""Results side by side in the terminal."""

from collections.abc import Sequence
from math import inf

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from experiments.joining import TO_PUBLISH, JoinedResult
from experiments.slim_table import fits, parameter_heading, slim_table
from reid.common.errors import UserError, listed
from reid.data.protocols import ANY_CAMERA
from reid.evaluation.figures import FIGURES
from runs.known_results import METRICS
from runs.params import PROTOCOL
from runs.run_store import short

Protocol = tuple[str, ...]
"""What `JoinedResult.protocol` returns."""
TABLE_METRICS = ("baseline/rank1", "baseline/mAP", "triplet/rank1", "triplet/mAP")


def sorted_by(results: Sequence[JoinedResult], metric: str) -> list[JoinedResult]:
    """Sort the best to the front, and those that have no figures yet to the end.

    Raises:
        UserError: there is no such metric.
    """
    if metric not in METRICS:
        raise UserError(f"no metric {metric}. Choose one of {', '.join(METRICS)}.")
    order = (metric, "triplet/mAP", "baseline/mAP")
    return sorted(results, key=lambda r: [-r.metrics.get(name, -inf) for name in order])


def differing_params(results: Sequence[JoinedResult]) -> list[str]:
    """Return the names of the parameters that have more than one value among the results.

    A result from before a parameter existed has no value for it, except for those that decide how
    figures are measured.
    """
    values: dict[str, set[str]] = {}
    for result in results:
        for name, value in result.known_params.items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def results_table(
    results: Sequence[JoinedResult], metric: str, console: Console, top: int
) -> Group:
    """Show the first ``top`` results, one row per result, and what the reader can do about them.

    Among results that can be compared, the best value of each metric is bold and the best result
    by ``metric`` has a star. Both are the best of all ``results``, also of those not shown.

    One table has everything if the console is wide enough. Else the parameters that differ have a
    table of their own, and if that is still too wide, so has the origin of the results.
    """
    shown = results[:top]
    names = differing_params(shown)
    best = _best(results)
    caption = _caption(shown, metric)
    layouts: list[list[Table]] = [
        [_table(shown, best, metric, ["origin", "parameters", "figures"], names)],
        [_table(shown, best, metric, ["origin", "figures"]), _params(shown, names)],
        [
            _table(shown, best, metric, ["figures"]),
            _table(shown, best, metric, ["origin"]),
            _params(shown, names),
        ],
    ]
    chosen = next((tables for tables in layouts if fits(tables[0], console)), layouts[-1])
    parts: list[RenderableType] = [chosen[0], caption]
    # A table of parameters without any has no rows.
    parts += [table for table in chosen[1:] if table.row_count]
    return Group(*parts, *_notes(shown))


def _best(results: Sequence[JoinedResult]) -> dict[Protocol, dict[str, float]]:
    return {
        protocol: {name: max(r.metrics.get(name, -inf) for r in alike) for name in METRICS}
        for protocol, alike in _comparable(results).items()
    }


def _caption(results: Sequence[JoinedResult], metric: str) -> Text:
    caption = f"per cent; * is the best by {metric}"
    if len(_comparable(results)) > 1:
        caption += (
            " among those on the same test;\n"
            "figures on other data or galleries, by another protocol, or re-ranked differently, "
            "can't be compared"
        )
    protocols = {r.known_params[PROTOCOL] for r in results if r.metrics}
    if protocols == {ANY_CAMERA}:
        caption += f"; all by the protocol {ANY_CAMERA}"
    return Text(f"{caption}\n", style="italic dim")


def _table(
    results: Sequence[JoinedResult],
    best: dict[Protocol, dict[str, float]],
    metric: str,
    parts: Sequence[str],
    names: Sequence[str] = (),
) -> Table:
    """Show the origin, the parameters or the figures of results, or several of these."""
    metrics = list(dict.fromkeys([*TABLE_METRICS, metric])) if "figures" in parts else []
    table = slim_table()
    if metrics:
        table.add_column("", width=1)
    table.add_column("result", overflow="fold")
    if "origin" in parts:
        for heading in ("in", "run", "status"):
            table.add_column(heading, no_wrap=True)
    for name in names:
        table.add_column(Text(parameter_heading(name)))
    for name in metrics:
        model, _, figure = name.partition("/")
        table.add_column(f"{model}\n{FIGURES[figure]}", justify="right", no_wrap=True)
    for result in results:
        bests = best.get(result.protocol, {})
        cells = [Text(listed(result.names))]
        if metrics:
            is_best = metric in result.metrics and result.metrics[metric] == bests[metric]
            cells.insert(0, Text("*" if is_best else ""))
        if "origin" in parts:
            place = Text(result.place, style="bold red" if result.run_metrics else "")
            cells += [place, Text(short(result.run_id) or "-"), Text(result.status)]
        cells += [Text(result.known_params.get(name, "-")) for name in names]
        cells += [_figure(result, name, bests.get(name, inf)) for name in metrics]
        table.add_row(*cells)
    return table


def _comparable(results: Sequence[JoinedResult]) -> dict[Protocol, list[JoinedResult]]:
    """Group the results that have figures by what makes these comparable."""
    found: dict[Protocol, list[JoinedResult]] = {}
    for result in results:
        if result.metrics:
            found.setdefault(result.protocol, []).append(result)
    return found


def _notes(results: Sequence[JoinedResult]) -> list[Text]:
    """Say what the reader can do about what the column ``in`` shows."""
    notes = []
    if any(result.run_metrics for result in results):
        notes.append(
            "both, differ: DVC's figures are shown. The run has others, as from another kind of "
            "processor: --json shows them."
        )
    if not all(result.is_published for result in results):
        notes.append(f"DVC, killed, failed or incomplete: has no whole run. {TO_PUBLISH}")
    return [Text(note) for note in notes]


def _params(results: Sequence[JoinedResult], names: Sequence[str]) -> Table:
    """Show the parameters that differ: all of the first result, and what others have instead."""
    table = slim_table()
    table.add_column("result", overflow="fold", max_width=32)
    table.add_column("parameters that differ: the first result's, and what others have instead")
    for result in results if names else ():
        first = {} if result is results[0] else results[0].known_params
        params = result.known_params
        values = [
            f"{name}={params[name]}"
            for name in names
            if name in params and params[name] != first.get(name)
        ]
        table.add_row(Text(listed(result.names)), Text("  ".join(values) or "-"))
    return table


def _figure(result: JoinedResult, name: str, best: float) -> Text:
    if name not in result.metrics:
        return Text("-")
    value = result.metrics[name]
    return Text(f"{100 * value:.1f}", style="bold" if value == best else "")
