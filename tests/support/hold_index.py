"""Hold the write lock of an index in a folder until the input ends: ``hold_index FOLDER``."""

import sqlite3
import sys
from pathlib import Path

from search.sqlite_index import FILE


def main() -> None:
    """Print ``held`` when this process has the lock."""
    connection = sqlite3.connect(Path(sys.argv[1]) / FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    sys.stdout.write("held\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
