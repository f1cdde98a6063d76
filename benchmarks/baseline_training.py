"""The stage that trains the baseline, for timing: ``python -m benchmarks.baseline_training``.

With the option ``--silent`` it reports nothing to MLflow.
"""

import sys
from contextlib import nullcontext
from unittest.mock import MagicMock, patch

SILENT = "--silent"


def main() -> None:
    """Train as the stage does."""
    # Imported late: the benchmark itself reads only the option's name.
    from stages import _training, train_baseline  # noqa: PLC0415
    from stages._stage import run  # noqa: PLC0415

    if SILENT in sys.argv:
        with patch.object(_training, "live_report", lambda _: nullcontext(MagicMock())):
            run(train_baseline.main)
    else:
        run(train_baseline.main)


if __name__ == "__main__":
    main()
