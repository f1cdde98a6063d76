"""What a sweep has found: a table for the terminal, and a page with a plot of all its runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from rich.markup import escape
from rich.table import Column, Table
from tqdm import tqdm

from experiments.table import slim, slim_table
from reid.common.files import replacing_file
from reid.evaluation.figures import FIGURES, value_and_interval

MODEL = "triplet"
SHOWN = {figure: FIGURES[figure] for figure in ("rank1", "mAP")}
"""In per cent, each with the ends of its 95 % interval."""
BEST_BY = "mAP"
"""It counts all right answers, so that it moves less by chance than rank-1."""
PLOTS_PAGE = Path(".dvc/plots_page/page.html")
"""The frame of `dvc plots show`, with Vega's code in it."""


@dataclass
class Run:
    """One combination of the grid, and its result once it has ended."""

    name: str
    changes: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    """Those of ``MODEL``; empty where the run failed or has not ended."""
    error: str = ""
    """Why it failed."""
    seconds: float = 0.0

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return bool(self.metrics or self.error)


def best_run(runs: list[Run]) -> Run | None:
    """The run of the highest ``BEST_BY``, the first of equals; None where none has a result."""
    return max(
        (run for run in runs if run.metrics), key=lambda run: run.metrics[BEST_BY], default=None
    )


def ranked(runs: list[Run]) -> list[Run]:
    """The best run first, those without a result last."""
    return sorted(runs, key=lambda run: run.metrics.get(BEST_BY, -1.0), reverse=True)


def sweep_table(title: str, runs: list[Run]) -> Table:
    """A row a run for the terminal, the best first and bold."""
    caption = (
        f"{MODEL} model, per cent with 95 % intervals over the people of the test set. Best by "
        f"{FIGURES[BEST_BY]}; runs within each other's intervals may differ by chance"
    )
    # Narrow enough that a run's name is whole: `dvc exp apply` wants it.
    name = Column("run", overflow="fold")
    table = slim_table(name, *map(slim, runs[0].changes), title=title, caption=caption)
    for heading in (*SHOWN.values(), "time"):
        table.add_column(heading, justify="right")
    best = best_run(runs)
    for run in ranked(runs):
        if run.metrics:
            figures = [
                "{} [dim]{}[/dim]".format(*value_and_interval(run.metrics, figure))
                for figure in SHOWN
            ]
        else:
            state = "[red]failed[/red]" if run.error else "not run"
            figures = [state, *[""] * (len(SHOWN) - 1)]
        time = tqdm.format_interval(run.seconds) if run.is_finished else ""
        cells = [*(escape(cell) for cell in (run.name, *run.changes.values())), *figures, time]
        table.add_row(*cells, style="bold" if run is best else None)
    return table


def write_sweep(files: Path, runs: list[Run]) -> None:
    """Write ``<files>.csv``, shares and seconds, and ``<files>.html``, which needs no network."""
    with replacing_file(files.with_suffix(".csv")) as part:
        sweep_frame(runs).to_csv(part, index=False)
    with replacing_file(files.with_suffix(".html")) as part:
        part.write_text(sweep_page(files.name, runs), encoding="utf-8")


def sweep_frame(runs: list[Run]) -> pd.DataFrame:
    """A row a run in the order of the grid: name, parameters, figures, seconds, error."""
    figures = [f"{figure}{end}" for figure in SHOWN for end in ("", "_low", "_high")]
    return pd.DataFrame(
        {"name": run.name}
        | run.changes
        | {figure: run.metrics.get(figure) for figure in figures}
        | {"seconds": run.seconds, "error": run.error}
        for run in runs
    )


def sweep_page(title: str, runs: list[Run]) -> str:
    """A page of the table and the plot, Vega's code included."""
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=folder, autoescape=True, trim_blocks=True)
    body = environment.get_template("sweep_page.html.j2").render(
        title=title,
        parameters=list(runs[0].changes),
        figures=SHOWN,
        runs=ranked(runs),
        best=best_run(runs),
        best_by=FIGURES[BEST_BY],
        model=MODEL,
        value_and_interval=value_and_interval,
        interval=tqdm.format_interval,
        # `</script>` in a name must not end the script.
        plot=json.dumps(parallel_coordinates(runs)).replace("</", "<\\/"),
    )
    page = PLOTS_PAGE.read_text(encoding="utf-8").replace("{refresh_tag}", "")
    return page.replace("<title>Plots<", f"<title>{title}<").replace("{plot_divs}", body)


def _number_or_text(value: str) -> tuple[bool, float, str]:
    """A sort key: numbers by size, and other values behind them."""
    try:
        return (False, float(value), "")
    except ValueError:
        return (True, 0.0, value)


def _parameter_axis(runs: list[Run], parameter: str) -> dict[str, float]:
    """The place, 0 to 1, of each value of a parameter, evenly spread."""
    values = sorted({run.changes[parameter] for run in runs}, key=_number_or_text)
    return {value: (place + 0.5) / len(values) for place, value in enumerate(values)}


def _figure_axis(runs: list[Run], figure: str) -> tuple[float, float]:
    """The lowest and highest value of a figure, rounded outwards to whole per cents."""
    values = [100 * run.metrics[figure] for run in runs if run.metrics] or [0.0, 100.0]
    return float(int(min(values))), float(-int(-max(values) // 1))


def _points(runs: list[Run]) -> Iterator[dict[str, Any]]:
    """Where the line of each finished run meets each axis; without a result, its parameters'."""
    best = best_run(runs)
    axes = {parameter: _parameter_axis(runs, parameter) for parameter in runs[0].changes}
    for run in filter(lambda run: run.is_finished, runs):
        about = {
            "run": run.name,
            "state": "failed" if run.error else "best" if run is best else "run",
            BEST_BY: 100 * run.metrics[BEST_BY] if run.metrics else None,
        }
        for parameter, places in axes.items():
            value = run.changes[parameter]
            yield about | {"axis": parameter, "place": places[value], "value": value}
        for figure, heading in SHOWN.items():
            if run.metrics:
                low, high = _figure_axis(runs, figure)
                share = 100 * run.metrics[figure]
                place = (share - low) / (high - low) if high > low else 0.5
                yield about | {"axis": heading, "place": place, "value": f"{share:.1f}"}


def _ticks(runs: list[Run]) -> Iterator[dict[str, Any]]:
    for parameter in runs[0].changes:
        for value, place in _parameter_axis(runs, parameter).items():
            yield {"axis": parameter, "place": place, "label": value}
    for figure, heading in SHOWN.items():
        low, high = _figure_axis(runs, figure)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            label = f"{low + share * (high - low):.4g}"
            yield {"axis": heading, "place": share, "label": label}


def parallel_coordinates(runs: list[Run]) -> dict[str, Any]:
    """A Vega-Lite plot: a line a run through its parameters' values and its figures."""
    axes = [*runs[0].changes, *SHOWN.values()]
    x = {"field": "axis", "type": "nominal", "sort": axes, "title": None}
    y = {"field": "place", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1]}}
    ends = [{"axis": axis, "low": 0, "high": 1} for axis in axes]
    points = list(_points(runs))
    line = {"type": "line", "point": True, "tooltip": True}
    of_a_run = {
        "detail": {"field": "run"},
        "tooltip": [{"field": name} for name in ("run", "axis", "value", "state")],
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": {"step": 190},
        "height": 340,
        "config": {"view": {"stroke": None}},
        "encoding": {
            "x": x
            | {
                "axis": {
                    "orient": "top",
                    "domain": False,
                    "ticks": False,
                    "labelAngle": 0,
                    "labelFontSize": 13,
                    "labelFontWeight": "bold",
                    "labelPadding": 12,
                }
            },
            "y": y,
        },
        "layer": [
            {
                "data": {"values": ends},
                "mark": {"type": "rule", "color": "#999"},
                "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            {
                "data": {"values": [point for point in points if point["state"] == "failed"]},
                "mark": line | {"color": "#c0392b", "strokeDash": [4, 4]},
                "encoding": of_a_run,
            },
            {
                "data": {"values": [point for point in points if point["state"] != "failed"]},
                "mark": line,
                "encoding": of_a_run
                | {
                    "color": {
                        "field": BEST_BY,
                        "type": "quantitative",
                        "title": FIGURES[BEST_BY],
                        "scale": {"scheme": "viridis", "reverse": True},
                    },
                    "strokeWidth": {
                        "condition": {"test": "datum.state === 'best'", "value": 4},
                        "value": 1.5,
                    },
                },
            },
            # Lines pass behind the labels.
            *(
                {
                    "data": {"values": list(_ticks(runs))},
                    "mark": {"type": "text", "align": "right", "dx": -8} | style,
                    "encoding": {"text": {"field": "label"}},
                }
                for style in ({"stroke": "white", "strokeWidth": 5}, {"color": "#333"})
            ),
        ],
    }
