"""What must stay quick, next to its limit: ``python -m benchmarks.limits``.

Run it in a clone with data, on a machine with nothing else to do. It first runs the pipeline, and
it trains in a copy.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.baseline_training import SILENT
from benchmarks.commands import idle_repro, stage_import
from benchmarks.figures import Figure
from reid.data.paths import PARAMS, TEMPORARY

REPRO_RATIO = 3.5
"""How many times as long as importing DVC and MLflow ``dvc repro`` may take with nothing to do."""
IMPORT_RATIO = 2.0
"""How many times as long as the libraries of every stage a stage may take to be imported."""
TRACKING_PER_CENT = 1.0
TRAINING_SECONDS = 900
"""The length of the training that ``TRACKING_PER_CENT`` is a share of."""
LIGHT_STAGES = ("ingest", "split", "evaluate", "compare", "track")
"""The stages that need neither TensorFlow nor Great Expectations."""
PAIRS = 7


@dataclass(frozen=True)
class Measured:
    """One figure and its limit."""

    what: str
    value: float
    limit: float
    """The largest value that is not too slow."""
    unit: str

    @property
    def over(self) -> bool:
        """Whether the figure exceeds its limit."""
        return self.value > self.limit


def within(figure: Figure, limit: float) -> Measured:
    """Put the ratio of a figure to its unavoidable part next to its limit.

    A machine's speed changes from hour to hour, and changes both.
    """
    ((unavoidable, times),) = figure.limits.items()
    what = f"{figure.what}, {median(figure.times):.2f} s, divided by {unavoidable}"
    return Measured(what, figure.ratio(times), limit, "")


@dataclass(frozen=True)
class Spent:
    """The time of a whole training, from the start of its process to its end."""

    wall: float
    """The seconds that passed."""
    processors: float
    """The seconds of all processors, for the process and those that it started."""

    def __str__(self) -> str:
        """Return both in words."""
        return f"{self.wall:.1f} s ({self.processors:.1f} s of a processor)"


def trained(project: Path, *options: str) -> Spent:
    """Train the baseline in a project with a new tracking store.

    Args:
        project: the project's folder.
        options: of ``benchmarks.baseline_training``.
    """
    shutil.rmtree(project / TEMPORARY / "checkpoints", ignore_errors=True)
    store = project / "mlflow.db"
    store.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.baseline_training", *options],
        cwd=project,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{store}"},
        check=True,
        capture_output=True,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if store.exists() == (SILENT in options):
        sys.exit("error: the live reports are not where they are expected")
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return Spent(wall, user + system)


def tracking() -> Iterator[Measured]:
    """Measure what live reports add to a training of 15 minutes, as a share of it.

    Importing MLflow and creating the store take nearly all of that time, however long the training
    is. So the added seconds are measured in trainings of two epochs, with and without reports in
    turn.
    """
    with TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(
            ".",
            project,
            symlinks=True,
            ignore=shutil.ignore_patterns(".venv", "cache", "mlartifacts", "mlflow.db", "clones"),
        )
        params = yaml.safe_load((project / PARAMS).read_text(encoding="utf-8"))
        params["baseline"]["epochs"] = 2
        (project / PARAMS).write_text(yaml.safe_dump(params), encoding="utf-8")
        pairs = []
        for _ in range(PAIRS):
            pairs.append((trained(project), trained(project, SILENT)))
            print("two epochs with live reports {}, without {}".format(*pairs[-1]))
    longer = median(one.wall - other.wall for one, other in pairs)
    busier = median(one.processors - other.processors for one, other in pairs)
    print(f"live reports: {longer:.2f} s, and {busier:.2f} s of a processor")
    share = 100 * longer / TRAINING_SECONDS
    yield Measured("live reports' share of 15 minutes", share, TRACKING_PER_CENT, "%")


def main() -> None:
    """Print a table; exit with status 1 if a limit is exceeded."""
    measured = [
        within(idle_repro(), REPRO_RATIO),
        *(within(stage_import(stage), IMPORT_RATIO) for stage in LIGHT_STAGES),
        *tracking(),
    ]
    table = Table("", title=f"{os.cpu_count()} processors")
    for heading in ("measured", "allowed"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for one in measured:
        table.add_row(
            one.what,
            f"{one.value:.2f} {one.unit}",
            f"{one.limit:.2f} {one.unit}",
            "[red]too slow[/red]" if one.over else "",
        )
    Console().print(table)
    sys.exit(any(one.over for one in measured))


if __name__ == "__main__":
    main()
