"""Which runs are being worked on, so that a run whose pipeline died doesn't stay RUNNING for ever.

A training, and ``track`` where there was none, leaves a note in ``.dvc/tmp/runs``: the run, its own
process, and the process of DVC that the rest of the pipeline will come from. A run is over when all
processes that were noted for it are gone. Runs of other machines and other copies of the project
left no note here, and are never judged.
"""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from reid.common.files import write_json


@dataclass(frozen=True)
class Process:
    """A process, told from a later one of the same number by when it began."""

    pid: int
    began: float

    @classmethod
    def of(cls, process: psutil.Process) -> "Process":
        """Of a process that runs."""
        return cls(process.pid, process.create_time())

    def is_alive(self) -> bool:
        """Whether it still runs."""
        try:
            process = psutil.Process(self.pid)
            # The clock that times are counted from may be set a little while a process runs.
            same = abs(process.create_time() - self.began) < 10
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


@dataclass(frozen=True)
class Worker:
    """Who works on a run: a stage, and the process of DVC that the rest of its pipeline is from."""

    stage: Process
    pipeline: Process

    @classmethod
    def of(cls, stage: psutil.Process) -> "Worker":
        """A stage that runs. Outside of DVC, it is its own pipeline."""
        pipeline = stage
        if "DVC_STAGE" in os.environ:
            pipeline = stage.parent() or stage
            # Some shells start the stage's command in a process of their own.
            while pipeline.cmdline()[-2:-1] == ["-c"] and (parent := pipeline.parent()):
                pipeline = parent
        return cls(Process.of(stage), Process.of(pipeline))

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, Any]]) -> "Worker":
        """What ``dataclasses.asdict`` made a dictionary of."""
        return cls(**{name: Process(**process) for name, process in values.items()})


@dataclass(frozen=True)
class Note:
    """That a pipeline works on a run."""

    run_id: str
    store: str
    host: str
    worker: Worker

    def is_alive(self, asking: Process) -> bool:
        """Whether this run may still be brought to its end by who noted it.

        A pipeline's folder is in one state at a time: when the pipeline that is ``asking`` asks
        about another run, it has left this one, but for a training that goes on.
        """
        stage, pipeline = self.worker.stage, self.worker.pipeline
        return stage.is_alive() or (pipeline.is_alive() and pipeline != asking)


def this_pipeline() -> Process:
    """The process of DVC that started this stage; outside of DVC, this very process."""
    return Worker.of(psutil.Process()).pipeline


def note(root: Path, store: str, run_id: str, worker: Worker) -> None:
    """Note that a stage, and after it its pipeline, works on a run of the store at a URI."""
    found = Note(run_id, _store_key(store), socket.gethostname(), worker)
    write_json(_folder(root) / f"{run_id}-{worker.pipeline.pid}.json", asdict(found))


def end_abandoned(
    root: Path, store: str, kill: Callable[[str], None], asking: Process, own: str = ""
) -> None:
    """End the runs of a store that were noted here and that nothing works on any more.

    Args:
        root: the project's folder.
        store: URI of the tracking store.
        kill: ends a run, given by its id.
        asking: the pipeline on whose behalf it is done.
        own: id of a run that goes on now, whoever worked on it before.
    """
    notes = _notes_of(root, store)
    alive = {found.run_id for _, found in notes if found.is_alive(asking)} | {own}
    for run_id in {found.run_id for _, found in notes} - alive:
        kill(run_id)
        forget(root, store, run_id)


def own_runs(root: Path) -> list[str]:
    """Ids of the runs that this pipeline noted and that have not come to their end."""
    pipeline = this_pipeline()
    return [found.run_id for _, found in _notes(root) if found.worker.pipeline == pipeline]


def forget(root: Path, store: str, run_id: str) -> None:
    """Remove what was noted about a run that has come to its end."""
    for file, found in _notes_of(root, store):
        if found.run_id == run_id:
            file.unlink(missing_ok=True)


def _folder(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "runs"


def _store_key(uri: str) -> str:
    # A URI may hold a password.
    return hashlib.sha256(uri.encode()).hexdigest()[:16]


def _notes(root: Path) -> list[tuple[Path, Note]]:
    """Notes that were made on this machine, with their files."""
    notes = []
    for file in sorted(_folder(root).glob("*.json")):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            worker = Worker.from_dict(values["worker"])
            notes.append((file, Note(**values | {"worker": worker})))
        except FileNotFoundError:  # another process has just removed it
            continue
        except (ValueError, TypeError, KeyError):  # the machine went down while it was written
            file.unlink(missing_ok=True)
    return [(file, found) for file, found in notes if found.host == socket.gethostname()]


def _notes_of(root: Path, store: str) -> list[tuple[Path, Note]]:
    """Those about runs of the store at a URI."""
    return [(file, found) for file, found in _notes(root) if found.store == _store_key(store)]
