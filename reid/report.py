"""The figures of both models for the terminal, in tables and sentences."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from reid.common.errors import UserError
from reid.data import paths
from reid.data.protocols import ANY_CAMERA, protocol_of, words_for
from reid.evaluation.breakdown import LEFT_OUT
from reid.evaluation.figures import (
    FIGURES,
    OPEN_SET_FPIR,
    REPORTED,
    at_fpir,
    in_points,
    value_and_interval,
)
from reid.evaluation.reranking_method import words_for_reranking

ROWS = 10


def read_difference(folder: Path) -> dict[str, float]:
    """Read the test of one model against the other. Raises UserError if it is not there."""
    return _read(folder / paths.metrics_file(paths.COMPARISON).name)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise UserError(f"{file} is not there. Run `dvc repro` first.")
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the metrics of each model, by its name. Raises UserError if there are none."""
    files = sorted(file for file in folder.glob("*.json") if file.stem != paths.COMPARISON)
    if not files:
        raise UserError(f"{folder}/ holds no metrics yet. Run `dvc repro` first.")
    return {file.stem: _read(file) for file in files}


def metrics_table(title: str, metrics: dict[str, dict[str, Any]]) -> Table:
    """Show one row per model: figures in per cent with their intervals, the best ones bold."""
    first = next(iter(metrics.values()))
    scored = first["queries"] - first["queries_without_match"]
    caption = (
        f"per cent of {scored} queries against {first['gallery']} gallery images, "
        f"{first['distractors']} of them distractors; 95 % intervals over the people "
        "of the test set, for these trained models"
    )
    if left_out := first["queries_without_match"]:
        caption += f"; {left_out} more queries have no right answer and are left out"
    caption += words_for_reranking(first["reranked"])
    if protocol_of(first) == ANY_CAMERA:
        caption += (
            "; any camera: photos by the query's own camera are right answers, too, which is "
            "easier than across cameras"
        )
    table = Table("model", title=Text(title), caption=Text(caption))
    for figure in REPORTED:
        table.add_column(FIGURES[figure], justify="right", no_wrap=True)
    best = {figure: max(m[figure] for m in metrics.values()) for figure in REPORTED}
    for name, values in metrics.items():
        table.add_row(Text(name), *(_cell(values, figure, best[figure]) for figure in REPORTED))
    return table


def _cell(metrics: dict[str, Any], figure: str, best: float) -> Text:
    value, interval = value_and_interval(metrics, figure)
    cell = Text(value, style="bold" if metrics[figure] == best else "")
    return Text.assemble(cell, "\n", (interval, "dim")) if interval else cell


def camera_table(plots: Path, models: Iterable[str]) -> Table:
    """Show one row per camera of the queries: rank-1 and mAP of each model in per cent.

    Args:
        plots: the folder with one folder per model, as the stage ``evaluate`` writes them.
        models: the names of the models.

    Raises:
        UserError: a model has no figures by camera.
    """
    cameras = {model: _read(paths.cameras_file(plots / model)) for model in models}
    first = next(iter(cameras.values()))
    more = len(first) - ROWS
    captions = [f"{more} more cameras are in the plots"] if more > 0 else []
    pairs = _read(paths.camera_pairs_file(plots / next(iter(cameras))))
    captions += [f"pairs of cameras are {pairs[LEFT_OUT]}"] if LEFT_OUT in pairs else []
    table = Table("camera", title="by camera of the query", caption="; ".join(captions))
    table.add_column("queries", justify="right")
    for model in cameras:
        table.add_column(Text(f"{model}\nrank-1"), justify="right")
        table.add_column("\nmAP", justify="right")
    for camera, facts in list(first.items())[:ROWS]:
        figures = [
            f"{100 * by_camera[camera][figure]:.1f}" if figure in by_camera[camera] else ""
            for by_camera in cameras.values()
            for figure in ("rank1", "mAP")
        ]
        table.add_row(Text(camera), str(facts["queries_with_match"]), *figures)
    return table


def difference_line(test: dict[str, float]) -> str:
    """Put the test of the triplet model against the baseline into one sentence."""
    differences = []
    for figure in ("rank1", "mAP"):
        points = in_points(*(test[f"{figure}_{key}"] for key in ("difference", "low", "high")))
        differences.append(f"{FIGURES[figure]} {points}, p = {test[f'{figure}_p_value']:.4f}")
    return f"triplet minus baseline{words_for(protocol_of(test))}: {'; '.join(differences)}"


def mistakes_line(metrics: dict[str, dict[str, Any]]) -> str:
    """Say in one sentence how many first answers of each model are wrong."""
    models = [
        f"{name} {values['wrong_first_answers']}, "
        f"{values['wrong_first_answers_distractor']} of them distractors"
        for name, values in metrics.items()
    ]
    return f"wrong first answers: {'; '.join(models)}"


def open_set_line(metrics: dict[str, dict[str, Any]]) -> str:
    """Say in one sentence how many people each model misses if few strangers may be accepted.

    Empty if there were too few queries to set a threshold.
    """
    sentences = []
    for fpir in OPEN_SET_FPIR:
        key = at_fpir("FNIR", fpir)
        errors = [
            f"{name} misses {100 * values[key]:.1f} % of people and accepts "
            f"{100 * values[at_fpir('FPIR', fpir)]:.1f} % of strangers"
            for name, values in metrics.items()
            if key in values
        ]
        if errors:
            sentences.append(f"with a threshold for {100 * fpir:g} %, {'; '.join(errors)}")
    return f"is the person here at all: {'. And '.join(sentences)}" if sentences else ""
