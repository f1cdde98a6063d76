"""A grid of parameters, one experiment for each combination: ``python -m experiments.sweep``."""

import json
import logging
import shlex
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.text import Text
from tqdm import tqdm

from experiments.grid import combinations, next_sweep, parse_grid, run_name
from experiments.seed_table import has_seeds, seed_table
from experiments.sweep_page import write_sweep
from experiments.sweep_run import MODEL, SweepRun
from experiments.sweep_table import sweep_table
from experiments.temporary_run import TemporaryRun, end_all
from reid import terminal
from reid.common.errors import UserError, listed
from reid.data.paths import metrics_file
from runs.dvc_errors import explained
from runs.dvc_experiment import (
    file_of_experiment,
    kept_experiments,
    require_path_for_temporary_folders,
)
from runs.fingerprint import fingerprint_now
from runs.origin import worktree
from runs.project import project_root

FOLDER = Path("sweeps")
POLL_SECONDS = 0.5
ADDED_AT_ONCE = 10
"""The most files that a command in a message names."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals of Ctrl-C, of a supervisor, and of a terminal that was closed."""
INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

console = terminal.console()


@dataclass
class Sweep:
    """The runs of one grid and what became of them."""

    name: str
    runs: list[SweepRun]
    waiting: list[SweepRun] = field(init=False)
    """The runs that were not started yet."""
    running: dict[str, TemporaryRun] = field(default_factory=dict)
    """The processes that run now, by the names of their runs."""

    def __post_init__(self) -> None:
        """Let all runs wait."""
        self.waiting = list(self.runs)

    @property
    def files(self) -> Path:
        """The report's path without its suffix; the folder of this name holds the logs."""
        return FOLDER / self.name

    @property
    def finished(self) -> list[SweepRun]:
        """The runs that have a result or have failed."""
        return [run for run in self.runs if run.is_finished]

    def log(self, run: SweepRun) -> Path:
        """Return the file that holds all that a run printed."""
        return self.files / f"{run.name}.log"

    def can_start(self, jobs: int) -> bool:
        """Whether a run waits, fewer than ``jobs`` run, and DVC is done with starting those."""
        is_free = len(self.running) < jobs and all(r.has_begun for r in self.running.values())
        return bool(self.waiting) and is_free

    def start_next(self) -> None:
        """Start the first run that waits."""
        run = self.waiting.pop(0)
        self.running[run.name] = TemporaryRun(run.name, run.changes, self.log(run))

    def collect(self) -> list[SweepRun]:
        """Note the results of the processes that have ended, and write the report.

        Raises:
            UserError: DVC refused to start a run, as for a parameter that does not exist.
        """
        ended = [run for run in self.runs if run.name in self.running]
        ended = [run for run in ended if self.running[run.name].is_over]
        for run in ended:
            process = self.running.pop(run.name)
            if not process.has_begun and not process.has_succeeded:
                raise UserError(f"DVC can't start {run.name}: {process.failure}")
            self._note(run, process)
        if ended:
            write_sweep(self.files, self.runs)
        return ended

    def _note(self, run: SweepRun, process: TemporaryRun) -> None:
        run.seconds = time.monotonic() - process.began
        if process.has_succeeded:
            run.metrics = json.loads(file_of_experiment(run.name, metrics_file(MODEL)))
        else:
            run.error = process.failure

    def stop(self) -> None:
        """End what runs. Interrupted runs count as not finished."""
        if self.running:
            # A terminal that is gone must not keep the runs from being ended.
            with suppress(OSError):
                console.print("Stopping the runs: this takes some seconds.")
        end_all(list(self.running.values()))
        self.running = {name: one for name, one in self.running.items() if one.has_succeeded}


class StopRequest:
    """Notes the signals that ask the program to stop; a second one changes nothing."""

    def __init__(self) -> None:
        """Take over the signals."""
        self.is_made = False
        for number in STOPPING:
            # `nohup` has SIGHUP ignored. SIGINT, which a shell's `&` has ignored, must reach the
            # stages, and they inherit what is ignored here.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._make)

    def _make(self, _number: int, _frame: FrameType | None) -> None:
        self.is_made = True


def plan(grid: dict[str, list[str]]) -> Sweep:
    """Name the runs of a sweep; the names are new to DVC and to the folder of reports."""
    taken = {name for name, _ in kept_experiments(Path())}
    name = next_sweep(taken | {path.name for path in FOLDER.glob("*")})
    runs = [SweepRun(run_name(name, changes), changes) for changes in combinations(grid)]
    return Sweep(name, runs)


def require_known_code() -> None:
    """Raise UserError if git doesn't know a file among the code: no run of a sweep has it."""
    if unknown := worktree().unknown:
        files = shlex.join(unknown) if len(unknown) <= ADDED_AT_ONCE else "them"
        raise UserError(
            f"git doesn't know {listed(unknown)}. The runs of a sweep have only the files that "
            f"git knows: run `git add {files}`, or move what is not needed"
        )


def follow(sweep: Sweep, jobs: int, request: StopRequest) -> None:
    """Run all runs, at most ``jobs`` at a time, until they have ended or a stop is requested.

    Raises:
        UserError: DVC refused a run, or the pipeline was edited while runs still waited.
    """
    began = time.monotonic()
    inputs = fingerprint_now()
    try:
        with console.status("starting") as status:
            while (sweep.waiting or sweep.running) and not request.is_made:
                if sweep.can_start(jobs):
                    require_unedited(inputs)
                    sweep.start_next()
                doing = [f"{name}: {run.last_line}" for name, run in sweep.running.items()]
                status.update(Text("\n  ".join(doing)))
                time.sleep(POLL_SECONDS)
                for run in sweep.collect():
                    announce(sweep, run, time.monotonic() - began)
    finally:
        sweep.stop()
    sweep.collect()


def require_unedited(inputs: str) -> None:
    """Raise UserError if the workspace's pipeline is not the one that the sweep began with."""
    if fingerprint_now() != inputs:
        raise UserError(
            "parameters, code or data were edited while the sweep ran, so its other runs would "
            "not be comparable. Start the sweep again: results of what you take back come from "
            "DVC's cache"
        )


def announce(sweep: Sweep, run: SweepRun, elapsed: float) -> None:
    """Print the result of a run that has ended, and how long the others will take."""
    done, left = len(sweep.finished), len(sweep.runs) - len(sweep.finished)
    rest = f"; about {tqdm.format_interval(elapsed / done * left)} left" if left else ""
    console.print(
        Text.assemble(f"{done}/{len(sweep.runs)}  {run.name}  ", outcome(run), rest),
        soft_wrap=True,
    )


def outcome(run: SweepRun) -> Text:
    """Put the result of one run into words."""
    if run.error:
        return Text.assemble(("failed", "red"), f": {run.error}")
    return Text(f"rank-1 {100 * run.metrics['rank1']:.1f}, mAP {100 * run.metrics['mAP']:.1f}")


def report(sweep: Sweep) -> None:
    """Show the table and where to look next."""
    console.print(sweep_table(sweep.name, sweep.runs, console))
    if has_seeds(sweep.runs):
        console.print(seed_table(f"{sweep.name}, by recipe", sweep.runs))
    console.print(
        "Look next at\n"
        f"  {sweep.files}.html   all runs, with a plot of parameters and figures\n"
        f"  {sweep.files}.csv   the same as a table of numbers\n"
        "  dvc exp show --only-changed   all experiments; dvc exp apply NAME takes one over\n"
        "  make ui   MLflow: choose the runs, Compare, Parallel Coordinates Plot",
        soft_wrap=True,
    )


def say_stopped(sweep: Sweep) -> None:
    """Say what is left after Ctrl-C, and how to resume."""
    done = len(sweep.finished)
    page = f" They are in {sweep.files}.html." if done else ""
    console.print(
        f"Stopped: {done} of {len(sweep.runs)} runs have ended and are kept.{page} No run is left "
        "running. The same command again takes finished runs from DVC's cache and resumes an "
        "interrupted training after its last epoch.",
        soft_wrap=True,
    )


def main(
    settings: Annotated[
        list[str], typer.Option("-S", "--set", help="A parameter and its values: lr=0.01,0.02")
    ],
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Runs at a time.")] = 1,
) -> None:
    """Run the pipeline with every combination of some parameters' values, and compare."""
    grid = parse_grid(settings)
    require_path_for_temporary_folders(project_root())
    require_known_code()
    request = StopRequest()
    sweep = plan(grid)
    console.print(
        f"{sweep.name}: {len(sweep.runs)} runs over {' x '.join(grid)}, {jobs} at a time. "
        "Ctrl-C stops them.",
        soft_wrap=True,
    )
    follow(sweep, jobs, request)
    if len(sweep.finished) < len(sweep.runs):
        say_stopped(sweep)
        raise typer.Exit(INTERRUPTED)
    report(sweep)
    if failed := [run.name for run in sweep.runs if run.error]:
        raise UserError(
            f"{len(failed)} of {len(sweep.runs)} runs failed: {listed(failed)}. "
            f"{sweep.files}/NAME.log holds all that a run printed"
        )


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        with explained():
            typer.run(main)
    except UserError as e:
        sys.exit(f"error: {e}")
