"""One run of the pipeline in a folder of its own: ``dvc exp run --temp`` as a child process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil

BEGUN = "Reproducing experiment '"
"""What DVC prints once the workspace is as it was and the stages are next."""
LOOK_SECONDS = 0.2
ASK_AGAIN_SECONDS = 15
"""The time after which a stage is asked again to end.

Python forgets a Ctrl-C that comes while it frees memory ("Exception ignored").
"""
STOP_SECONDS = 60
"""The time that a stage has to end by itself before it is killed."""


class TemporaryRun:
    """A running experiment. What it and its stages print goes to a log file."""

    def __init__(self, name: str, changes: Mapping[str, str], log: Path) -> None:
        """Start the workspace's pipeline with some parameters changed.

        The child has a session of its own, so that Ctrl-C in the terminal does not reach DVC: for
        a moment, DVC stashes the working tree and puts git on another commit.
        """
        self.name, self._log = name, log
        self.began = time.monotonic()
        self._has_begun = False
        self._asked_to_end: dict[psutil.Process, float] = {}
        overrides = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._dvc = psutil.Popen(
                # It waits for DVC's lock: another run may hold it for a moment at its end.
                [
                    *(sys.executable, "-m", "runs.single_experiment", "--wait-for-lock"),
                    *("exp", "run", "--temp", "--name", name, *overrides),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    @property
    def is_over(self) -> bool:
        """Whether the child process has ended."""
        return self._dvc.poll() is not None

    @property
    def has_succeeded(self) -> bool:
        """Whether DVC has kept the result."""
        return self._dvc.poll() == 0

    @property
    def has_begun(self) -> bool:
        """Whether the pipeline was started. Only then may the next run start.

        DVC passes a run's state through one stash: of two runs that start at once, one could take
        the state of the other.
        """
        self._has_begun = self._has_begun or BEGUN in self._text()
        return self._has_begun

    @property
    def last_line(self) -> str:
        """The last thing that the run printed."""
        lines = [line.strip() for line in self._text().splitlines()]
        return next((line for line in reversed(lines) if line), "starting")

    @property
    def failure(self) -> str:
        """Why the run failed: what its stage, or else DVC, complained of first."""
        return reason_of_failure(self._text())

    def end_stages(self) -> None:
        """Ask the stages that run now to end, as by Ctrl-C, unless they were asked just now."""
        now = time.monotonic()
        for stage in self._stages():
            if now - self._asked_to_end.get(stage, -ASK_AGAIN_SECONDS) >= ASK_AGAIN_SECONDS:
                self._asked_to_end[stage] = now
                _send(stage, signal.SIGINT)

    def kill_stages(self) -> None:
        """End the stages that did not do what they were asked to."""
        for stage in self._stages():
            _send(stage, signal.SIGKILL)

    def _stages(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [process for process in self._dvc.children(recursive=True) if _is_stage(process)]
        return []

    def _text(self) -> str:
        return self._log.read_text("utf-8", "replace")


def _is_stage(process: psutil.Process) -> bool:
    """Whether a process is ``python -m stages...``, and neither a shell around it nor a helper."""
    with suppress(psutil.Error):
        command = process.cmdline()
        return any(
            option == "-m" and module.startswith("stages.") for option, module in pairwise(command)
        )
    return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def end_all(runs: Sequence[TemporaryRun]) -> None:
    """End the stages of all runs, and wait until DVC has cleaned up after each.

    DVC itself gets no signal. A training that is ended has its state after the last epoch saved.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while left := [run for run in runs if not run.is_over]:
        for run in left:
            # One that DVC still prepares has its first stage ended as soon as that runs.
            run.end_stages()
            if time.monotonic() > deadline:
                run.kill_stages()
        time.sleep(LOOK_SECONDS)


def reason_of_failure(printed: str) -> str:
    """Return the first complaint of a stage, or else of DVC, or else the last line."""
    lines = [line.strip() for line in printed.splitlines()]
    for start in ("error: ", "ERROR: "):
        for line in lines:
            if line.startswith(start):
                return line.removeprefix(start)
    return next((line for line in reversed(lines) if line), "it printed nothing")
