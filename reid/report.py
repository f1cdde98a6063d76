"""What a result is worth, for the terminal: both models in tables and sentences."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from reid.common.errors import UserError
from reid.data import paths
from reid.evaluation.figures import FIGURES, REPORTED, in_points, value_and_interval


def read_comparison(folder: Path) -> dict[str, float]:
    """The test of the two models. Raises UserError where it is not there."""
    return _read(folder / paths.metrics_file(paths.COMPARISON).name)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise UserError(f"{file} is not there. Run `dvc repro` first.")
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """The metrics of each model, by its name. Raises UserError where there are none."""
    files = sorted(file for file in folder.glob("*.json") if file.stem != paths.COMPARISON)
    if not files:
        raise UserError(f"{folder}/ holds no metrics yet. Run `dvc repro` first.")
    return {file.stem: _read(file) for file in files}


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
    for figure in REPORTED:
        table.add_column(FIGURES[figure], justify="right")
    best = {figure: max(m[figure] for m in metrics.values()) for figure in REPORTED}
    for name, values in metrics.items():
        table.add_row(name, *(_cell(values, figure, best[figure]) for figure in REPORTED))
    return table


def _cell(metrics: dict[str, Any], figure: str, best: float) -> str:
    value, interval = value_and_interval(metrics, figure)
    cell = f"[bold]{value}[/bold]" if metrics[figure] == best else value
    return f"{cell}\n[dim]{interval}[/dim]" if interval else cell


def camera_table(plots: Path, models: Iterable[str]) -> Table:
    """A row a camera of the queries; rank-1 and mAP of each model in per cent.

    Args:
        plots: folder with a folder for each model, as the stage ``evaluate`` writes them.
        models: their names.

    Raises:
        UserError: a model has no figures by camera.
    """
    cameras = {model: _read(paths.cameras_file(plots / model)) for model in models}
    table = Table("camera", title="by camera of the query")
    table.add_column("queries", justify="right")
    for model in cameras:
        table.add_column(f"{model}\nrank-1", justify="right")
        table.add_column("\nmAP", justify="right")
    for camera, facts in next(iter(cameras.values())).items():
        figures = [
            f"{100 * of[camera][figure]:.1f}" if figure in of[camera] else ""
            for of in cameras.values()
            for figure in ("rank1", "mAP")
        ]
        table.add_row(camera, str(facts["queries_with_match"]), *figures)
    return table


def comparison_line(comparison: dict[str, float]) -> str:
    """The test of the triplet model against the baseline in one sentence."""
    differences = []
    for figure in ("rank1", "mAP"):
        points = in_points(
            *(comparison[f"{figure}_{key}"] for key in ("difference", "low", "high"))
        )
        differences.append(f"{FIGURES[figure]} {points}, p = {comparison[f'{figure}_p_value']:.4f}")
    return f"triplet less baseline: {'; '.join(differences)}"


def mistakes_line(metrics: dict[str, dict[str, Any]]) -> str:
    """Whom the wrong first answers of each model show, in one sentence."""
    models = [
        f"{name} {values['wrong_first_answers']}, "
        f"{values['wrong_first_answers_distractor']} of them distractors"
        for name, values in metrics.items()
    ]
    return f"wrong first answers: {'; '.join(models)}"
