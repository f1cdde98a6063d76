"""Epochs that are logged to MLflow while a training runs, without ever holding it up.

A thread of the training's process imports MLflow, finds or creates the run, and logs each epoch.
The training hands its epochs over and never waits for them to be logged until its end. If the
process is killed, the thread ends with it.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread

from runs.fingerprint import fingerprint
from runs.liveness import end_abandoned, has_notes, hold, note, noted_run
from runs.one_run_per_result import RunIdentity
from runs.origin import run_identity, worktree
from runs.project import project_root
from runs.store_error import complaint

logger = logging.getLogger(__name__)

END_SECONDS = 60.0
"""How long a training waits at its end until all its epochs are logged."""
COMPLETED_LATER = "training continues; the run is completed at the end"


class LiveReport:
    """The epochs of a training on their way to its MLflow run."""

    def __init__(self, model: str, identity: RunIdentity) -> None:
        """Prepare the report of the training of ``model``; nothing is logged yet."""
        self._model = model
        self._identity = identity
        self._epochs: SimpleQueue[Mapping[str, float] | None] = SimpleQueue()
        # A daemon: a store that doesn't answer must not keep the process from ending.
        self._thread = Thread(target=self._report, name="live report", daemon=True)

    def begin(self) -> None:
        """Start the run: the training begins, or resumes.

        Keras is imported by now. Two threads that import the same packages for the first time
        could meet each other's half-imported modules.
        """
        hold(self._identity.root, self._identity.fingerprint)
        self._thread.start()

    def epoch(self, row: Mapping[str, float]) -> None:
        """Hand over the figures of an epoch, among them its number as ``epoch``."""
        self._epochs.put(dict(row))

    def end(self) -> None:
        """Wait until all epochs are logged, but no longer than ``END_SECONDS``."""
        if self._thread.ident is None:
            return
        self._epochs.put(None)
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            logger.warning("MLflow didn't answer for %g s; %s.", END_SECONDS, COMPLETED_LATER)

    def _report(self) -> None:
        try:
            self._log_epochs()
        # Whatever goes wrong here, the training is worth more than its live picture.
        except Exception as e:
            logger.warning("MLflow can't be reached (%s); %s.", complaint(e), COMPLETED_LATER)

    def _log_epochs(self) -> None:
        from runs.tracking import Tracker  # noqa: PLC0415

        tracker = Tracker(self._identity)
        own = self._identity.fingerprint
        note(tracker.root, tracker.store, own, tracker.id)
        end_abandoned(tracker.root, tracker.store, tracker.kill, own)
        if tracker.is_finished:
            return
        tracker.mark("RUNNING")
        while (row := self._epochs.get()) is not None:
            tracker.log_epoch(self._model, row)


@contextmanager
def live_report(model: str) -> Iterator[LiveReport]:
    """Report a training of ``model`` to the pipeline's MLflow run, from ``begin`` on.

    What the training is made from is read at once: code that is edited later is not what trains.
    """
    identity = run_identity()
    worktree()
    live = LiveReport(model, identity)
    try:
        yield live
    finally:
        live.end()


def hold_begun_run() -> None:
    """Let a stage that comes after a training keep its run alive; do nothing if no run has begun.

    Reading the fingerprint takes half a second, which a stage before the trainings doesn't spend.
    """
    try:
        root = project_root()
        if has_notes(root):
            hold(root, fingerprint())
    # A stage has its own words for a project that can't be read.
    except Exception as e:
        logger.debug("The run in MLflow can't be held (%s).", complaint(e))


def mark_failed() -> None:
    """Mark the run of this pipeline as failed, if it has begun and not ended."""
    try:
        root = project_root()
        if not has_notes(root):
            return
        from runs.tracking_store import fail, tracking_uri  # noqa: PLC0415

        if run_id := noted_run(root, tracking_uri(root), fingerprint()):
            fail(root, run_id)
    # Nothing may stand between a stage's failure and its message.
    except Exception as e:
        logger.warning("The run in MLflow can't be marked as failed (%s).", complaint(e))
