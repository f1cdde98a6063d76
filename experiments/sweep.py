"""A grid of parameters through DVC's queue: ``python -m experiments.sweep``."""

import json
import logging
import math
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import dvc.api
import typer
from rich.console import Console
from rich.markup import escape
from tqdm import tqdm

from experiments.dvc_errors import explained
from experiments.dvc_queue import FAILED, QUEUED, RUNNING, SUCCESS, Queue, Task
from experiments.signals import STOPPING, put_off
from experiments.sweep_report import MODEL, Run, sweep_table, write_sweep
from reid.common.errors import UserError
from reid.data.paths import metrics_file

FOLDER = Path("sweeps")
POLL_SECONDS = 2
SECONDS_WITHOUT_WORKERS = 30
"""After which nobody is taken to work on the queue any more; workers take a while to start."""
STARTS = 3
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

console = Console(highlight=False)


def parse_grid(settings: list[str]) -> dict[str, list[str]]:
    """``["lr=0.01,0.02"]`` to ``{"lr": ["0.01", "0.02"]}``. Raises UserError for anything else."""
    grid: dict[str, list[str]] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        values = [value.strip() for value in text.split(",")]
        if not key or not all(values):
            raise UserError(f"-S {setting}: name a parameter and its values, as in lr=0.01,0.02")
        if key in grid:
            raise UserError(f"-S {setting}: {key} is given twice. Put all its values behind one -S")
        if len(set(values)) < len(values):
            raise UserError(f"-S {setting}: a value is there twice")
        grid[key] = values
    if not grid:
        raise UserError("no parameter to change. Name some, as in -S lr=0.01,0.02")
    return grid


def combinations(grid: dict[str, list[str]]) -> list[dict[str, str]]:
    """Every value with every value; the last parameter changes fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def run_name(sweep: str, changes: dict[str, str]) -> str:
    """Name an experiment so that it says what was changed: ``sweep1-lr0.01-margin0.3``."""
    parts = [f"{key.rpartition('.')[2]}{value}" for key, value in changes.items()]
    return re.sub(r"[^\w.+-]", "_", "-".join([sweep, *parts]))


def next_sweep(taken: set[str]) -> str:
    """Give the first of ``sweep1``, ``sweep2``, ... after all that names start with."""
    numbers = [int(found[1]) for name in taken if (found := re.match(r"sweep(\d+)\b", name))]
    return f"sweep{max(numbers, default=0) + 1}"


@dataclass
class Sweep:
    """The runs of one grid and what became of them."""

    name: str
    runs: dict[str, Run]

    @property
    def files(self) -> Path:
        """Where its report is, without the suffix."""
        return FOLDER / self.name

    @property
    def unfinished(self) -> list[Run]:
        """Runs that wait or go on."""
        return [run for run in self.runs.values() if not run.is_finished]

    @property
    def failed(self) -> list[Run]:
        """Runs that ended without a result."""
        return [run for run in self.runs.values() if run.error]


def failure(log: Path | None) -> str:
    """Say why a run failed: what its stage or DVC complained of first."""
    if log is None or not log.exists():
        return "it failed before its first stage; see .dvc/tmp/exps/celery/*.out"
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    for start in ("error: ", "ERROR: "):
        for line in lines:
            if line.startswith(start):
                return line.removeprefix(start)
    return next((line for line in reversed(lines) if line), "it printed nothing")


def last_line(task: Task) -> str:
    """What a run is doing: the last thing it printed."""
    if task.log is None or not task.log.exists():
        return "starting"
    lines = task.log.read_text("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "starting")


def finish(run: Run, task: Task, seconds: float) -> None:
    """Note what a task that has ended gave."""
    run.seconds = seconds
    if task.state == FAILED:
        run.error = failure(task.log)
    else:
        # `metrics_show` would want the file in the workspace, too.
        run.metrics = json.loads(dvc.api.read(metrics_file(MODEL).as_posix(), rev=run.name))


def outcome(run: Run) -> str:
    """One run's result in words."""
    if run.error:
        return f"[red]failed[/red]: {escape(run.error)}"
    return f"rank-1 {100 * run.metrics['rank1']:.1f}, mAP {100 * run.metrics['mAP']:.1f}"


def follow(sweep: Sweep, queue: Queue, jobs: int) -> None:
    """Have all runs run, telling of each as it ends. Raises UserError where that gets nowhere."""
    began = time.monotonic()
    began_at: dict[str, float] = {}
    starts, worked = 0, -math.inf
    with console.status("waiting for DVC's queue") as status:
        while sweep.unfinished:
            now = time.monotonic()
            if queue.has_workers():
                worked = now
            elif now - worked > SECONDS_WITHOUT_WORKERS:
                if starts == STARTS:
                    raise UserError(
                        "DVC's workers end before their work; see .dvc/tmp/exps/celery/*.out"
                    )
                # A worker can find an order to stop that was meant for one before it.
                queue.start(jobs)
                starts, worked = starts + 1, now
            tasks = queue.tasks()
            doing = []
            for run in sweep.unfinished:
                task = tasks.get(run.name, Task(run.name, QUEUED, None))
                if task.state == RUNNING:
                    began_at.setdefault(run.name, now)
                    doing.append(escape(f"{run.name}: {last_line(task)}"))
                elif task.state in {FAILED, SUCCESS}:
                    finish(run, task, now - began_at.get(run.name, now))
                    write_sweep(sweep.files, list(sweep.runs.values()))
                    tell(sweep, run, now - began)
            status.update("\n  ".join(doing) or "waiting for DVC's queue")
            time.sleep(POLL_SECONDS)


def tell(sweep: Sweep, run: Run, elapsed: float) -> None:
    """Print the result of a run that has ended, and how long the others will take."""
    left = len(sweep.unfinished)
    done = len(sweep.runs) - left
    rest = f"; about {tqdm.format_interval(elapsed / done * left)} left" if left else ""
    console.print(f"{done}/{len(sweep.runs)}  {run.name}  {outcome(run)}{rest}", soft_wrap=True)


def report(sweep: Sweep) -> None:
    """Show the table and where to look next."""
    console.print(sweep_table(sweep.name, list(sweep.runs.values())))
    console.print(
        "Look next at\n"
        f"  {sweep.files}.html   the same with a plot of parameters and figures; "
        f"{sweep.files.name}.csv for your own\n"
        "  dvc exp show --only-changed   all experiments; dvc exp apply NAME takes one over\n"
        "  make ui   MLflow: choose the runs, Compare, Parallel Coordinates Plot",
        soft_wrap=True,
    )


def plan(queue: Queue, grid: dict[str, list[str]]) -> Sweep:
    """Name the runs of a sweep. Raises UserError where the queue holds something else."""
    if others := queue.unfinished():
        raise UserError(
            f"DVC's queue already holds {', '.join(others)}. Run that with `dvc queue start`, or "
            "drop it with `dvc queue remove --queued`"
        )
    name = next_sweep(queue.experiment_names() | {path.stem for path in FOLDER.glob("*.csv")})
    runs = [Run(run_name(name, changes), changes) for changes in combinations(grid)]
    return Sweep(name, {run.name: run for run in runs})


def run_sweep(sweep: Sweep, queue: Queue, jobs: int) -> None:
    """Queue all runs, wait for them, and leave none in the queue, however it ends."""
    try:
        with console.status("filling DVC's queue"):
            for run in sweep.runs.values():
                queue.put(run.name, run.changes)
        follow(sweep, queue, jobs)
        queue.close()
    except BaseException:
        # A second Ctrl-C must not leave runs behind, nor must a terminal that is gone.
        with put_off():
            with suppress(OSError):
                console.print("Stopping what runs, and emptying DVC's queue: some seconds.")
            queue.clear(sweep.runs)
        raise


def say_interrupted(sweep: Sweep) -> None:
    """Say what is left after Ctrl-C, and how to go on."""
    done = len(sweep.runs) - len(sweep.unfinished)
    page = f" They are in {sweep.files}.html." if done else ""
    console.print(
        f"Stopped: {done} of {len(sweep.runs)} runs have ended and are kept.{page} Nothing is left "
        "in DVC's queue. The same command again takes what is finished from DVC's cache, and an "
        "interrupted training goes on after its last epoch.",
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
    queue = Queue()
    sweep = plan(queue, grid)
    console.print(
        f"{sweep.name}: {len(sweep.runs)} runs over {' x '.join(grid)}, {jobs} at a time. "
        "Ctrl-C stops them.",
        soft_wrap=True,
    )
    # Whatever ends this process must end its runs. Workers inherit a signal that is ignored, as
    # SIGINT is behind a shell's `&`, and DVC ends them by SIGINT.
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    try:
        run_sweep(sweep, queue, jobs)
    except KeyboardInterrupt:
        # Nothing is left to stop: one more Ctrl-C must not cut off what is said, or the status.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        say_interrupted(sweep)
        raise typer.Exit(INTERRUPTED) from None
    report(sweep)
    if sweep.failed:
        names = ", ".join(run.name for run in sweep.failed)
        raise UserError(
            f"{len(sweep.failed)} of {len(sweep.runs)} runs failed: {names}. "
            "`dvc queue logs NAME` shows all that one printed"
        )


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        with explained():
            typer.run(main)
    except UserError as e:
        sys.exit(f"error: {e}")
