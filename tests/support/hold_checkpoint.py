"""Hold the lock of a checkpoint until the input ends: ``hold_checkpoint FOLDER``."""

import sys
from pathlib import Path

from reid.training.checkpoint import Checkpoint


def main() -> None:
    """Print ``held`` inside the lock and ``left`` after it."""
    with Checkpoint(Path(sys.argv[1])).alone():
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()
    sys.stdout.write("left\n")


if __name__ == "__main__":
    main()
