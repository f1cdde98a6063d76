"""A training without a network that reports two epochs: ``reported_training.py WHAT [SECONDS]``.

It runs in the current folder, which is a project. ``WHAT`` is one of

- ``whole``: two epochs, one after the other.
- ``waits``: ten minutes pass between the epochs, unless Ctrl-C interrupts it.
- ``fails``: it fails before it begins.

``SECONDS`` limits how long it waits at its end for MLflow.
"""

import logging
import sys
import time

from runs import live_epochs

WAIT = 600


def main(what: str, *seconds: str) -> None:
    """Report the epochs."""
    logging.basicConfig(format="%(message)s")
    for limit in seconds:
        live_epochs.END_SECONDS = float(limit)
    with live_epochs.live_report("baseline") as report:
        if what == "fails":
            sys.exit("no weights")
        report.begin()
        report.epoch({"epoch": 1, "loss": 0.5})
        try:
            time.sleep(WAIT if what == "waits" else 0)
        finally:
            report.epoch({"epoch": 2, "loss": 0.25})


if __name__ == "__main__":
    main(*sys.argv[1:])
