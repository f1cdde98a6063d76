"""Forget a person, and halt in the middle: ``halted_forget ADDRESS PERSON``."""

import sys
import time
from collections.abc import Sequence
from unittest.mock import patch

from search.milvus.connection import MilvusConnection, Row
from search.milvus.index import MilvusIndex


def halt(server: MilvusConnection, collection: str, rows: Sequence[Row]) -> None:
    """Say that the copy was begun, and do nothing any more."""
    sys.stdout.write("copying\n")
    sys.stdout.flush()
    time.sleep(600)


def main() -> None:
    """Forget until the first row is copied."""
    address, person = sys.argv[1:]
    index = MilvusIndex(address)
    write = MilvusConnection.write

    def until_copied(server: MilvusConnection, collection: str, rows: Sequence[Row]) -> None:
        (halt if "content" in rows[0] else write)(server, collection, rows)

    with patch.object(MilvusConnection, "write", until_copied):
        index.forget(person)


if __name__ == "__main__":
    main()
