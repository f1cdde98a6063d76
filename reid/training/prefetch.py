"""Make the next items in a thread while the present item is used."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def made_ahead(items: Iterator[Item], ahead: int = 2) -> Generator[Item, None, None]:
    """Yield the items of an endless iterator in their order, with ``ahead`` of them made ahead.

    If making an item raises, its error is raised when that item's turn comes. ``close`` ends the
    thread.
    """
    with ThreadPoolExecutor(1, "ahead") as worker:
        waiting = deque(worker.submit(next, items) for _ in range(ahead))
        while True:
            item = waiting.popleft().result()
            waiting.append(worker.submit(next, items))
            yield item
