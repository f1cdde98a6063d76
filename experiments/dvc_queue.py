"""DVC's queue of experiments: fill it, start it, watch it, empty it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import psutil
from dvc.repo import Repo

from experiments.signals import put_off
from reid.common.errors import UserError, first_line

QUEUED, RUNNING, FAILED, SUCCESS = "Queued", "Running", "Failed", "Success"
WORKERS = "dvc-exp-worker-*.json"
LOOK_SECONDS = 0.5
STOP_SECONDS = 60
"""After which a stage that doesn't end by itself is killed."""


@dataclass(frozen=True)
class Task:
    """An experiment in the queue: ``state`` is Queued, Running, Failed or Success."""

    name: str
    state: str
    log: Path | None
    """What its stages print; None before it has started, or where it failed before that."""


def dvc(*arguments: str) -> None:
    """Run a command of DVC; its complaint becomes a UserError.

    It is never cut off: to queue an experiment, DVC stashes the working tree and puts git on
    another commit for a while.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    # A file, for the workers that `dvc queue start` leaves behind would keep a pipe open.
    with TemporaryFile("w+", encoding="utf-8") as said:
        with put_off():
            done = subprocess.run(
                command,
                stdout=subprocess.DEVNULL,
                stderr=said,
                check=False,
                start_new_session=True,
            )
        said.seek(0)
        complaint = said.read().strip().removeprefix("ERROR: ")
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments)}: {complaint}")


@contextmanager
def _readable() -> Iterator[None]:
    """DVC finds a damaged queue in many ways: by errors of git, of JSON, of files, of its own."""
    try:
        yield
    except Exception as e:
        raise UserError(
            f"DVC can't read its queue: {first_line(e)}. `dvc queue remove --success --failed` "
            "drops what has ended, which may be it; the results stay"
        ) from e


class Queue:
    """The queue of the project in the working folder. Tasks that others put in are left alone."""

    def __init__(self) -> None:
        """Raise UserError outside a project."""
        try:
            self._repo = Repo()
        except Exception as e:
            raise UserError(f"DVC can't open this project: {e}") from e
        self._queue = self._repo.experiments.celery_queue

    def tasks(self) -> dict[str, Task]:
        """All tasks by name, those that ended long ago too. One that is damaged is a UserError."""
        found = {}
        with _readable():
            for entry in self._queue.status():
                process = self._queue.proc.get(entry["rev"])
                log = Path(process.stdout) if process else None
                found[entry["name"]] = Task(entry["name"], entry["status"], log)
        return found

    def unfinished(self) -> dict[str, str]:
        """States of the tasks that wait or run, by name; those that ended are not looked at."""
        states: dict[str, str] = {}
        with _readable():
            # In the order that they go: one that moves on in between is seen twice, and not never.
            for state, entries in (
                (QUEUED, self._queue.iter_queued()),
                (RUNNING, self._queue.iter_active()),
            ):
                states |= {entry.name or entry.stash_rev: state for entry in entries}
        return states

    def experiment_names(self) -> set[str]:
        """Names that can't be given to another experiment, tasks that failed included."""
        kept = self._repo.experiments.ls(all_commits=True)
        return {name for names in kept.values() for name, *_ in names} | set(self.tasks())

    def put(self, name: str, changes: dict[str, str]) -> None:
        """Queue the workspace's pipeline with some parameters changed."""
        overrides = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
        dvc("exp", "run", "--queue", "--name", name, *overrides)

    def start(self, jobs: int) -> None:
        """Let ``jobs`` experiments run at a time. The workers end by themselves."""
        dvc("queue", "start", "--jobs", str(jobs))

    def has_workers(self) -> bool:
        """Whether anybody works on the queue."""
        # DVC asks them, and takes no answer within a second for no: wrong on a busy machine.
        notes = [json.loads(file.read_text()) for file in Path(self._queue.wdir).glob(WORKERS)]
        return any(note["returncode"] is None and psutil.pid_exists(note["pid"]) for note in notes)

    def clear(self, names: Iterable[str]) -> None:
        """Take waiting tasks out and end running ones, then wait until the workers have gone.

        A training that is ended has its state after the last epoch saved.
        """
        try:
            self._take_out(set(names))
        finally:
            self.close()

    def _take_out(self, names: set[str]) -> None:
        asked = set[str]()
        deadline = time.monotonic() + STOP_SECONDS
        while mine := {k: state for k, state in self.unfinished().items() if k in names}:
            if time.monotonic() > deadline + STOP_SECONDS:
                raise UserError(
                    f"DVC does not take {', '.join(mine)} out of its queue. `dvc queue status` "
                    "may say why"
                )
            waiting = [name for name, state in mine.items() if state == QUEUED]
            running = {name for name, state in mine.items() if state == RUNNING}
            # Whatever moves on in the meantime is found at the next look.
            with suppress(UserError):
                if waiting:
                    dvc("queue", "remove", *waiting)
            with suppress(UserError):
                if running - asked:
                    dvc("queue", "kill", *(running - asked))
                    asked |= running
                elif time.monotonic() > deadline:
                    dvc("queue", "kill", "--force", *running)
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Wait until the workers have gone, as they do when the queue is empty."""
        # Not told to stop: where nobody hears that, the next worker finds it and stops at once.
        deadline = time.monotonic() + STOP_SECONDS
        while self.has_workers() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        if self.has_workers():
            dvc("queue", "stop", "--kill")
