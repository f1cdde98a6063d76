"""A sweep's report as files: a CSV, and a page with a plot of all its runs."""

import json
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd
from tqdm import tqdm

from experiments.parallel_plot import parallel_coordinates
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
from reid.common.files import replacing_file
from reid.evaluation.figures import FIGURES, value_and_interval

PLOTS_PAGE = Path(".dvc/plots_page/page.html")
"""The frame of `dvc plots show`, with Vega's code in it."""


def write_sweep(files: Path, runs: Sequence[SweepRun]) -> None:
    """Write ``<files>.csv``, and ``<files>.html``, which needs no network."""
    with replacing_file(files.with_suffix(".csv")) as part:
        sweep_frame(runs).to_csv(part, index=False)
    with replacing_file(files.with_suffix(".html")) as part:
        part.write_text(sweep_page(files.name, runs), encoding="utf-8")


def sweep_frame(runs: Sequence[SweepRun]) -> pd.DataFrame:
    """Return one row per run in the order of the grid.

    The columns are the name, the parameters, the figures as shares with the ends of their 95 %
    intervals, the seconds and the error.
    """
    figures = [f"{figure}{end}" for figure in SWEEP_FIGURES for end in ("", "_low", "_high")]
    return pd.DataFrame(
        {"name": run.name}
        | run.changes
        | {figure: run.metrics.get(figure) for figure in figures}
        | {"seconds": run.seconds, "error": run.error}
        for run in runs
    )


def sweep_page(title: str, runs: Sequence[SweepRun]) -> str:
    """Return a page of the table and the plot, Vega's code included."""
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=folder, autoescape=True, trim_blocks=True)
    body = environment.get_template("sweep_page.html.j2").render(
        title=title,
        parameters=parameters(runs),
        figures=SWEEP_FIGURES,
        runs=ranked(runs),
        best=best_run(runs),
        best_by=FIGURES[BEST_BY],
        model=MODEL,
        protocol=protocol_words(runs),
        value_and_interval=value_and_interval,
        interval=tqdm.format_interval,
        # No name may end the script: in JSON, a `<` is always within a text.
        plot=json.dumps(parallel_coordinates(runs)).replace("<", "\\u003c"),
    )
    page = PLOTS_PAGE.read_text(encoding="utf-8").replace("{refresh_tag}", "")
    return page.replace("<title>Plots<", f"<title>{title}<").replace("{plot_divs}", body)
