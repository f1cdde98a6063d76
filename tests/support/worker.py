"""Work on a run until standard input ends: ``python -m tests.support.worker ROOT KEY RUN STORE``.

The process holds the lock of the fingerprint ``KEY`` in the project at ``ROOT`` and notes the run.
"""

import sys
from pathlib import Path

from runs.liveness import hold, note


def main() -> None:
    """Hold, note, say so, and wait."""
    root, fingerprint, run_id, store = sys.argv[1:]
    hold(Path(root), fingerprint)
    note(Path(root), store, fingerprint, run_id)
    print("works", flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main()
