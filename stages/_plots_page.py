"""The curves of ``dvc plots show`` on one page, for a run's pages in MLflow."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from reid.common.errors import UserError
from reid.data.paths import PIPELINE, PLOTS

if TYPE_CHECKING:
    from runs.tracking import Tracker

PICTURE = ".png"
"""How the names of the plots that are pictures end."""


def write_plots_page(folder: Path) -> Path:
    """Draw all plots of ``dvc.yaml`` but the pictures, on one page without other files.

    Raises:
        UserError: DVC can't draw them.
    """
    plots = yaml.safe_load(Path(PIPELINE).read_text(encoding="utf-8"))["plots"]
    drawn = (plot for plot in plots if isinstance(plot, dict))
    names = [name for plot in drawn for name in plot if not name.endswith(PICTURE)]
    show = [sys.executable, "-m", "dvc", "plots", "show", "--out", str(folder), *names]
    done = subprocess.run(show, capture_output=True, text=True, check=False)
    page = folder / "index.html"
    if done.returncode or not page.exists():
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"`dvc plots show` fails: {said[0]}")
    return page.rename(folder / "curves.html")


def log_plots_page(tracker: "Tracker") -> None:
    """Log the page next to the run's other plots."""
    with TemporaryDirectory() as folder:
        tracker.log_file(write_plots_page(Path(folder)), PLOTS.name)
