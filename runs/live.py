"""Epochs reported to MLflow while a training goes on, without ever holding it up.

The reports come from a process of their own, ``python -m runs.live MODEL``: importing MLflow and
opening its store take seconds of a processor, which a thread would take from its training. It ends
with the training, however that ends.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, Any

import psutil

from runs.fingerprint import project_root, run_identity, state
from runs.liveness import Worker, end_abandoned, note, own_runs
from runs.store_error import complaint

logger = logging.getLogger(__name__)

NICENESS = 10
"""Of the reporting process: where there is not enough for both, the training comes first."""
AT_THE_END = "the training goes on, and the run is brought up to date at the end"


class LiveReport:
    """Tells the reporting process what the training does, as lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Nothing is told yet."""
        self._process = process

    def begin(self) -> None:
        """Tell that the training begins, or goes on."""
        self._tell(asdict(Worker.of(psutil.Process())))

    def epoch(self, row: Mapping[str, float]) -> None:
        """Tell the numbers of an epoch, which is one of them."""
        self._tell(row)

    def end(self) -> None:
        """Wait until all that was told is reported."""
        with suppress(BrokenPipeError):
            self._input.close()
        if self._process.wait():
            logger.warning(
                "The process that reports to MLflow ended with status %d; %s.",
                self._process.returncode,
                AT_THE_END,
            )

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _tell(self, message: Mapping[str, Any]) -> None:
        # It is gone where MLflow can't be reached, and has said so.
        with suppress(BrokenPipeError):
            print(json.dumps(message), file=self._input, flush=True)


@contextmanager
def live_report(model: str) -> Iterator[LiveReport]:
    """Report a training of ``model`` to the pipeline's MLflow run; it waits for no store.

    Entered before Keras is imported, which keeps one processor busy, it is ready when the training
    begins to keep all of them busy.
    """
    command = (sys.executable, "-m", "runs.live", model)
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        live = LiveReport(process)
        try:
            yield live
        finally:
            live.end()


def mark_failed() -> None:
    """Mark the run that a training of this pipeline began as failed, if it is not ended."""
    try:
        root = project_root()
        if runs := own_runs(root):
            from runs.tracking import fail  # noqa: PLC0415

            fail(root, runs)
    # Nothing may stand between a stage's failure and its message.
    except Exception as e:
        logger.warning("The run in MLflow can't be marked as failed (%s).", complaint(e))


def _report(model: str, told: IO[str]) -> None:
    """Report what is told, until the training ends."""
    # First of all: code that is edited from now on is not what trains here.
    identity = run_identity()
    state()
    from runs.tracking import Tracker, prepare_store  # noqa: PLC0415

    prepare_store(identity.root)
    begun = told.readline()
    if not begun:
        return
    worker = Worker.from_dict(json.loads(begun))
    tracker = Tracker(identity)
    note(tracker.root, tracker.store, tracker.id, worker)
    end_abandoned(tracker.root, tracker.store, tracker.kill, worker.pipeline, own=tracker.id)
    if tracker.is_finished:
        return
    tracker.mark("RUNNING")
    for line in told:
        tracker.log_epoch(model, json.loads(line))


def main() -> None:
    """Report what standard input tells of the training of the model that is named."""
    # Ctrl-C reaches the training too, whose end is the end of this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        _report(sys.argv[1], sys.stdin)
    # Whatever goes wrong in here, the training is worth more than its live picture.
    except Exception as e:
        logger.warning("MLflow can't be reached (%s); %s.", complaint(e), AT_THE_END)
    logging.shutdown()
    # All is reported, and the training waits: taking MLflow's modules apart takes half a second.
    os._exit(0)


if __name__ == "__main__":
    main()
