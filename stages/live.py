"""Epochs reported to MLflow while a training goes on, without ever holding it up."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reid.errors import first_line
from stages.lineage import project_root, run_identity, state
from stages.pipelines import end_abandoned, note, own_runs

if TYPE_CHECKING:
    from reid.tracking import Tracker

logger = logging.getLogger(__name__)


class _LiveRun:
    """The run of a training that goes on; after a failure to reach it, nothing more is tried."""

    def __init__(self) -> None:
        self.tracker: Tracker | None = None
        self.given_up = False

    def tell(self, action: "Callable[[Tracker], None]") -> None:
        if self.given_up:
            return
        try:
            if self.tracker is None:
                # First of all: code that is edited from now on is not what trains here.
                identity = run_identity()
                state()
                from reid.tracking import Tracker  # noqa: PLC0415

                self.tracker = found = Tracker(identity)
                note(found.root, found.store, found.id)
                end_abandoned(found.root, found.store, found.kill, own=found.id)
            if not self.tracker.is_finished:
                action(self.tracker)
        # Whatever goes wrong in there, the training is worth more than its live picture.
        except Exception as e:
            self.given_up = True
            logger.warning(
                "MLflow can't be reached (%s); the training goes on, and the run is brought up "
                "to date at the end.",
                first_line(e),
            )


@contextmanager
def live_report(model: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Give a function that reports an epoch of ``model`` to the pipeline's MLflow run.

    It works in a thread of its own, and a store that can't be reached costs the training
    nothing.
    """
    live = _LiveRun()
    with ThreadPoolExecutor(1, "mlflow") as worker:

        def report(row: Mapping[str, float]) -> None:
            worker.submit(live.tell, lambda tracker: tracker.log_epoch(model, row))

        worker.submit(live.tell, lambda tracker: tracker.mark("RUNNING"))
        yield report


def mark_failed() -> None:
    """Mark the run that a training of this pipeline began as failed, if it is not ended."""
    try:
        root = project_root()
        if runs := own_runs(root):
            from reid.tracking import fail  # noqa: PLC0415

            fail(root, runs)
    # Nothing may stand between a stage's failure and its message.
    except Exception as e:
        logger.warning("The run in MLflow can't be marked as failed (%s).", first_line(e))
