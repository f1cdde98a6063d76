"""Print the id of a fingerprint's MLflow run: ``python -m tests.support.tracked_run ROOT KEY``."""

import sys
from pathlib import Path

from runs.one_run_per_result import RunIdentity
from runs.tracking import Tracker

if __name__ == "__main__":
    root, fingerprint = sys.argv[1:]
    print(Tracker(RunIdentity(Path(root), fingerprint, "run", {})).id)  # noqa: T201
