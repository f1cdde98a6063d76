"""What must stay quick, beside what is allowed: ``python -m benchmarks.limits``.

Run it in a clone with data in it, on a machine with nothing else to do. It brings the pipeline up
to date first, and trains in a copy.
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

from reid.data.paths import PARAMS

REPRO_SECONDS, IMPORT_SECONDS, TRACKING_PER_CENT = 6.0, 1.0, 1.0
LIGHT_STAGES = ("ingest", "split", "evaluate", "compare", "track")
"""They need neither TensorFlow nor Great Expectations."""
REPEATS, PAIRS = 3, 7


@dataclass(frozen=True)
class Measured:
    """One figure beside its limit."""

    what: str
    value: float
    limit: float
    """Beyond it is too slow."""
    unit: str = "s"

    @property
    def over(self) -> bool:
        """Whether it is beyond its limit."""
        return self.value > self.limit


def seconds(*command: str) -> tuple[float, str]:
    """Wall time and output of a command that has to succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stdout}{done.stderr}")
    return took, done.stdout


def idle_repro() -> Measured:
    """``dvc repro`` with nothing to do but ``track``."""
    repro = (sys.executable, "-m", "dvc", "repro")
    seconds(*repro)
    times = []
    for _ in range(REPEATS):
        took, output = seconds(*repro)
        run = [line for line in output.splitlines() if line.startswith("Running stage")]
        if run != ["Running stage 'track':"]:
            sys.exit(f"error: there was something to do: {run}")
        times.append(took)
    return Measured("dvc repro with nothing to do", median(times), REPRO_SECONDS)


def imports() -> Iterator[Measured]:
    """Starting Python and importing each light stage."""
    for stage in LIGHT_STAGES:
        command = (sys.executable, "-c", f"import stages.{stage}")
        seconds(*command)  # From here on it is compiled, and in the system's cache.
        times = [seconds(*command)[0] for _ in range(REPEATS)]
        yield Measured(f"import stages.{stage}", median(times), IMPORT_SECONDS)


TRAINING = "from stages._stage import run; from stages.train_baseline import main; run(main)"
SILENT = (
    "from contextlib import nullcontext; from unittest.mock import MagicMock; "
    "from stages import _training; _training.live_report = lambda _: nullcontext(MagicMock()); "
)
"""Put before a training, it leaves the live reports out."""


@dataclass(frozen=True)
class Spent:
    """What a training took, as a whole, from the start of its process to the end."""

    wall: float
    """Seconds."""
    processors: float
    """Seconds of all processors, and of all processes that it started."""

    def __str__(self) -> str:
        """Both, for people."""
        return f"{self.wall:.1f} s ({self.processors:.1f} s of a processor)"


def trained(project: Path, code: str) -> Spent:
    """Train the baseline in a project, to a tracking store that is new."""
    shutil.rmtree(project / ".dvc" / "tmp" / "checkpoints", ignore_errors=True)
    store = project / "mlflow.db"
    store.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{store}"},
        check=True,
        capture_output=True,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if store.exists() == code.startswith(SILENT):
        sys.exit("error: the live reports are not where they are expected")
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return Spent(wall, user + system)


def tracking() -> Iterator[Measured]:
    """What live reports add to the training of the baseline, as a share of it.

    The sample's 20 epochs are the shortest training that the limit is meant for. What the reports
    take is spent once, at the beginning, so it shows best in trainings of two epochs, with and
    without reports in turn.
    """
    with TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(
            ".",
            project,
            symlinks=True,
            ignore=shutil.ignore_patterns(".venv", "cache", "mlartifacts", "mlflow.db", "clones"),
        )
        whole = trained(project, TRAINING)
        params = yaml.safe_load((project / PARAMS).read_text(encoding="utf-8"))
        params["baseline"]["epochs"] = 2
        (project / PARAMS).write_text(yaml.safe_dump(params), encoding="utf-8")
        pairs = []
        for _ in range(PAIRS):
            pairs.append((trained(project, TRAINING), trained(project, SILENT + TRAINING)))
            print("two epochs with live reports {}, without {}".format(*pairs[-1]))
    longer = median(one.wall - other.wall for one, other in pairs)
    busier = median(one.processors - other.processors for one, other in pairs)
    print(f"live reports: {longer:.2f} s, and {busier:.2f} s of a processor; training: {whole}")
    share = 100 * longer / whole.wall
    yield Measured("live reports' share of a training", share, TRACKING_PER_CENT, "%")


def main() -> None:
    """Print a table; exit with status 1 where a limit is passed."""
    measured = [idle_repro(), *imports(), *tracking()]
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
