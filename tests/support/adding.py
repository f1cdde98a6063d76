"""Add photos to an index in a folder, in several threads: ``adding FOLDER FIRST [MOST_BYTES]``.

Each photo's number is printed after the index acknowledged it. With a limit, no file may grow
beyond it, as on a full disk; the message of the error that ends the adding is then printed.
"""

import os
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from reid.common.errors import UserError
from search.sqlite_index import SqliteIndex
from tests.support.indexes import FIRST, add, new_photo, unit_vectors

ADDERS = 3


def say(word: object) -> None:
    """Print a line at once, and all of it: lines of several threads do not mix."""
    os.write(1, f"{word}\n".encode())


def add_photos(index: SqliteIndex, first: int) -> str:
    """Add photos one by one. Return the message of the error that ends it."""
    for number in count(first, ADDERS):
        try:
            add(index, new_photo(number))
        except UserError as e:
            return str(e)
        say(number)
    raise AssertionError


def search_photos(index: SqliteIndex, is_limited: bool) -> None:
    """Search for ever, or once if the adding ends."""
    while True:
        index.search(unit_vectors(1), FIRST.sha256, 3)
        if is_limited:
            return


def main() -> None:
    """Add and search at once until this process is killed, or a file is full."""
    folder, first, *limit = sys.argv[1:]
    index = SqliteIndex(Path(folder))
    index.begin_model(FIRST)
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
    with ThreadPoolExecutor(ADDERS + 1) as pool:
        adding = [pool.submit(add_photos, index, int(first) + n) for n in range(ADDERS)]
        pool.submit(search_photos, index, bool(limit)).result()
        for message in {work.result() for work in adding}:
            say(message)


if __name__ == "__main__":
    main()
