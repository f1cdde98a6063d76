"""Figures of the models as a table for the terminal."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from reid.errors import UserError

FIGURES = {"rank1": "rank-1", "rank5": "rank-5", "rank10": "rank-10", "mAP": "mAP", "mINP": "mINP"}


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """The metrics of each model, by its name. Raises UserError where there are none."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UserError(f"{folder}/ holds no metrics yet. Run `dvc repro` first.")
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def metrics_table(title: str, metrics: dict[str, dict[str, Any]]) -> Table:
    """A row a model; figures in per cent, the best of each column bold."""
    first = next(iter(metrics.values()))
    scored = first["queries"] - first["queries_without_match"]
    caption = (
        f"per cent of {scored} queries against {first['gallery']} gallery images, "
        f"{first['distractors']} of them distractors"
    )
    table = Table("model", title=title, caption=caption)
    for heading in FIGURES.values():
        table.add_column(heading, justify="right")
    best = {figure: max(m[figure] for m in metrics.values()) for figure in FIGURES}
    for name, values in metrics.items():
        cells = [
            f"[bold]{100 * values[figure]:.1f}[/bold]"
            if values[figure] == best[figure]
            else f"{100 * values[figure]:.1f}"
            for figure in FIGURES
        ]
        table.add_row(name, *cells)
    return table
