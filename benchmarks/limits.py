"""What must stay quick, beside what is allowed: ``python -m benchmarks.limits``.

Run it in a clone with data in it, on a machine with nothing else to do. It brings the pipeline up
to date first, and trains the baseline once more, to the same bytes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from stages import live
from stages.live import live_report

if TYPE_CHECKING:
    from reid.tracking import Tracker

REPRO_SECONDS, IMPORT_SECONDS, TRACKING_SHARE = 6.0, 1.0, 0.01
LIGHT_STAGES = ("ingest", "split", "evaluate", "compare", "track")
"""They need neither TensorFlow nor Great Expectations."""
REPEATS = 3


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


class TimedRun(live._LiveRun):
    """A live report that takes its own time on a processor, in its own thread."""

    seconds = 0.0
    """Of all reports."""

    def tell(self, action: "Callable[[Tracker], None]") -> None:
        """Do as before."""
        began = time.thread_time()
        super().tell(action)
        TimedRun.seconds += time.thread_time() - began


class Waits:
    """How long a training waits for its live reports."""

    def __init__(self) -> None:
        """Not yet."""
        self.seconds = 0.0

    @contextmanager
    def live_report(self, model: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
        """Do as ``stages.live.live_report`` does, which it calls."""
        with self._taken():
            context = live_report(model)
            report = context.__enter__()

        def timed_report(row: Mapping[str, float]) -> None:
            with self._taken():
                report(row)

        try:
            yield timed_report
        finally:
            with self._taken():
                context.__exit__(*sys.exc_info())

    @contextmanager
    def _taken(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began


def tracking() -> Iterator[Measured]:
    """The share of live reports in the training of the baseline, to a store that is new.

    It has two sides, each held to the limit: the time for which the training waits for them,
    and the processor time of their thread, as a share of what all processors could do while the
    training goes on; that of the git commands they call is not in it. Most of it is spent once,
    on importing MLflow, so the sample's 20 epochs, the shortest training that the limit is meant
    for, say most: the share of a longer one is less.
    """
    from stages.train_baseline import main as train  # noqa: PLC0415

    waits = Waits()
    live.live_report = waits.live_report
    live._LiveRun = TimedRun  # type: ignore[misc]
    with TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(folder) / 'mlflow.db'}"
        began = time.perf_counter()
        train()
        took = time.perf_counter() - began
    limit = 100 * TRACKING_SHARE
    waiting = 100 * waits.seconds / took
    working = 100 * TimedRun.seconds / (took * (os.cpu_count() or 1))
    yield Measured("training that waits for tracking", waiting, limit, "%")
    yield Measured("processors that tracking takes meanwhile", working, limit, "%")


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
