"""A sweep's plot in parallel coordinates, for Vega-Lite."""

from collections.abc import Iterator, Sequence
from typing import Any

from experiments.sweep_run import BEST_BY, SWEEP_FIGURES, SweepRun, best_run, parameters
from reid.evaluation.figures import FIGURES


def _number_or_text(value: str) -> tuple[bool, float, str]:
    """Return a sort key: numbers by size, and other values after them."""
    try:
        return (False, float(value), "")
    except ValueError:
        return (True, 0.0, value)


def _parameter_axis(runs: Sequence[SweepRun], parameter: str) -> dict[str, float]:
    """Spread the values of a parameter evenly over its axis, which goes from 0 to 1."""
    values = sorted({run.changes[parameter] for run in runs}, key=_number_or_text)
    return {value: (place + 0.5) / len(values) for place, value in enumerate(values)}


def _figure_axis(runs: Sequence[SweepRun], figure: str) -> tuple[float, float]:
    """Return the lowest and highest value of a figure, rounded outwards to whole per cents."""
    values = [100 * run.metrics[figure] for run in runs if run.metrics] or [0.0, 100.0]
    return float(int(min(values))), float(-int(-max(values) // 1))


def _points(runs: Sequence[SweepRun]) -> Iterator[dict[str, Any]]:
    """Say where the line of each run that has ended meets each axis.

    The line of a failed run meets those of the parameters alone.
    """
    best = best_run(runs)
    axes = {parameter: _parameter_axis(runs, parameter) for parameter in parameters(runs)}
    for run in filter(lambda run: run.is_finished, runs):
        about = {
            "run": run.name,
            "state": "failed" if run.error else "best" if run is best else "run",
            BEST_BY: 100 * run.metrics[BEST_BY] if run.metrics else None,
        }
        for parameter, places in axes.items():
            value = run.changes[parameter]
            yield about | {"axis": parameter, "place": places[value], "value": value}
        for figure, heading in SWEEP_FIGURES.items():
            if run.metrics:
                low, high = _figure_axis(runs, figure)
                share = 100 * run.metrics[figure]
                place = (share - low) / (high - low) if high > low else 0.5
                yield about | {"axis": heading, "place": place, "value": f"{share:.1f}"}


def _ticks(runs: Sequence[SweepRun]) -> Iterator[dict[str, Any]]:
    for parameter in parameters(runs):
        for value, place in _parameter_axis(runs, parameter).items():
            yield {"axis": parameter, "place": place, "label": value}
    for figure, heading in SWEEP_FIGURES.items():
        low, high = _figure_axis(runs, figure)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            label = f"{low + share * (high - low):.4g}"
            yield {"axis": heading, "place": share, "label": label}


def parallel_coordinates(runs: Sequence[SweepRun]) -> dict[str, Any]:
    """Return a Vega-Lite plot: one line per run through its parameters' values and its figures."""
    axes = [*parameters(runs), *SWEEP_FIGURES.values()]
    x = {"field": "axis", "type": "nominal", "sort": axes, "title": None}
    y = {"field": "place", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1]}}
    ends = [{"axis": axis, "low": 0, "high": 1} for axis in axes]
    points = list(_points(runs))
    line = {"type": "line", "point": True, "tooltip": True}
    line_of_run = {
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
                "encoding": line_of_run,
            },
            {
                "data": {"values": [point for point in points if point["state"] != "failed"]},
                "mark": line,
                "encoding": line_of_run
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
