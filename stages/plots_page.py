"""The curves of ``dvc plots show`` on one page, for a run's pages in MLflow."""

import logging
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from reid.tracking import Tracker

logger = logging.getLogger(__name__)


def write_plots_page(folder: Path) -> Path | None:
    """Draw all plots of ``dvc.yaml`` but the pictures; gives the page, or None with a warning.

    The page needs neither a network nor a file beside it.
    """
    plots = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["plots"]
    names = [name for plot in plots if isinstance(plot, dict) for name in plot]
    show = [sys.executable, "-m", "dvc", "plots", "show", "--out", str(folder), *names]
    done = subprocess.run(show, capture_output=True, text=True, check=False)
    page = folder / "index.html"
    if done.returncode or not page.exists():
        said = done.stderr.strip().splitlines() or ["no reason given"]
        logger.warning("The run in MLflow gets no page of curves: %s", said[0])
        return None
    return page.rename(folder / "curves.html")


def log_plots_page(tracker: "Tracker") -> None:
    """Lay the page beside the run's other plots."""
    with TemporaryDirectory() as folder:
        page = write_plots_page(Path(folder))
        if page:
            tracker.log_file(page, "plots")
