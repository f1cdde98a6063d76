"""Figures of the models as a table for the terminal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from reid.errors import UserError

FIGURES = {"rank1": "rank-1", "rank5": "rank-5", "rank10": "rank-10", "mAP": "mAP", "mINP": "mINP"}


COMPARISON = "comparison"


def read_comparison(folder: Path) -> dict[str, float]:
    """The test of the two models. Raises UserError where it is not there."""
    file = folder / f"{COMPARISON}.json"
    if not file.exists():
        raise UserError(f"{file} is not there. Run `dvc repro` first.")
    values: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return values


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """The metrics of each model, by its name. Raises UserError where there are none."""
    files = sorted(file for file in folder.glob("*.json") if file.stem != COMPARISON)
    if not files:
        raise UserError(f"{folder}/ holds no metrics yet. Run `dvc repro` first.")
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def metrics_table(title: str, metrics: dict[str, dict[str, Any]]) -> Table:
    """A row a model; figures in per cent, the best of each column bold, below it its interval."""
    first = next(iter(metrics.values()))
    scored = first["queries"] - first["queries_without_match"]
    caption = (
        f"per cent of {scored} queries against {first['gallery']} gallery images, "
        f"{first['distractors']} of them distractors; 95 % intervals over the people "
        "of the test set, for these trained models"
    )
    if first["reranked"]:
        caption += "; re-ranked"
    table = Table("model", title=title, caption=caption)
    for heading in FIGURES.values():
        table.add_column(heading, justify="right")
    best = {figure: max(m[figure] for m in metrics.values()) for figure in FIGURES}
    for name, values in metrics.items():
        table.add_row(name, *(_cell(values, figure, best[figure]) for figure in FIGURES))
    return table


def value_and_interval(metrics: Mapping[str, float], figure: str) -> tuple[str, str]:
    """In per cent, ``("83.0", "76.3-89.2")``; the second is empty where there is no interval."""
    value = f"{100 * metrics[figure]:.1f}"
    if f"{figure}_low" not in metrics:
        return value, ""
    low, high = (100 * metrics[f"{figure}_{end}"] for end in ("low", "high"))
    return value, f"{low:.1f}-{high:.1f}"


def _cell(metrics: dict[str, Any], figure: str, best: float) -> str:
    value, interval = value_and_interval(metrics, figure)
    cell = f"[bold]{value}[/bold]" if metrics[figure] == best else value
    return f"{cell}\n[dim]{interval}[/dim]" if interval else cell


def comparison_line(comparison: dict[str, float]) -> str:
    """The test of the triplet model against the baseline in one sentence."""
    difference, low, high = (
        100 * comparison[f"rank1_{key}"] for key in ("difference", "low", "high")
    )
    return (
        f"triplet less baseline: rank-1 {difference:+.1f} points "
        f"(95 % interval {low:+.1f} to {high:+.1f}, p = {comparison['rank1_p_value']:.4f})"
    )
