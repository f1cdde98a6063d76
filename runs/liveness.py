"""Which runs are being worked on, so that a run whose pipeline died doesn't stay RUNNING for ever.

Every process that works on a result holds a file lock in ``.dvc/tmp/runs``, named after the
result's fingerprint. The operating system releases the lock when the process ends, however it
ends. Next to the lock lies a note with the id of the result's MLflow run. If the lock can be taken,
nobody works on the run, and it is marked KILLED.

Between two stages of a pipeline, nobody holds the lock for a moment. The same holds if two
processes work on one result and the one with the lock ends first. A command that looks just then
marks the run KILLED. This heals by itself: the next training marks the run RUNNING again, and
``track`` marks it FINISHED.

Runs of other machines and of other copies of the project have no note here and are never judged.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from reid.common.files import write_json
from reid.data.paths import TEMPORARY

JUDGING_SECONDS = 2
"""How long a stage waits for a lock that another command may have taken just to look."""

_held: dict[Path, FileLock] = {}
"""The locks of this process, by file."""


def hold(root: Path, fingerprint: str) -> None:
    """Hold the lock of a result until this process ends.

    If another process works on the same result, it holds the lock already, and this one continues.

    Args:
        root: the project's folder.
        fingerprint: of the result.
    """
    file = _lock_file(root, fingerprint)
    if file in _held:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=JUDGING_SECONDS)
    except Timeout:
        return
    _held[file] = lock


def note(root: Path, store: str, fingerprint: str, run_id: str) -> None:
    """Note which run of the store at a URI belongs to a result."""
    write_json(_note_file(root, store, fingerprint), {"run_id": run_id})


def has_notes(root: Path) -> bool:
    """Return whether any run of the project has begun and not come to its end."""
    return any(_folder(root).glob("*.json"))


def noted_run(root: Path, store: str, fingerprint: str) -> str | None:
    """Return the id of the run that was noted for a result; None if none was."""
    return _read(_note_file(root, store, fingerprint))


def forget(root: Path, store: str, fingerprint: str) -> None:
    """Remove the note about a run that has come to its end, and its lock's file."""
    _note_file(root, store, fingerprint).unlink(missing_ok=True)
    _lock_file(root, fingerprint).unlink(missing_ok=True)


def end_abandoned(root: Path, store: str, kill: Callable[[str], None], own: str = "") -> None:
    """End the runs of a store that were noted here and that nobody works on any more.

    Args:
        root: the project's folder.
        store: URI of the tracking store.
        kill: ends a run, given its id.
        own: fingerprint of the result that the caller works on, whose run is left alone.
    """
    for file in sorted(_folder(root).glob(f"*-{_store_key(store)}.json")):
        fingerprint = file.name.partition("-")[0]
        if own and fingerprint == _short(own):
            continue
        try:
            # Held while the run is ended: a stage that begins in the meantime waits for it.
            with FileLock(_lock_file(root, fingerprint)).acquire(blocking=False):
                if run_id := _read(file):
                    kill(run_id)
                forget(root, store, fingerprint)
        except Timeout:
            continue


def _read(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["run_id"])
    # Another process has just removed it, or the machine went down while it was written.
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _folder(root: Path) -> Path:
    return root.resolve() / TEMPORARY / "runs"


def _lock_file(root: Path, fingerprint: str) -> Path:
    return _folder(root) / f"{_short(fingerprint)}.lock"


def _note_file(root: Path, store: str, fingerprint: str) -> Path:
    return _folder(root) / f"{_short(fingerprint)}-{_store_key(store)}.json"


def _short(fingerprint: str) -> str:
    return fingerprint[:16]


def _store_key(uri: str) -> str:
    # A URI may hold a password.
    return hashlib.sha256(uri.encode()).hexdigest()[:16]
