"""What is needed next, made in a thread while something else is computed."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def made_ahead(items: Iterator[Item], ahead: int = 2) -> Iterator[Item]:
    """The same items in the same order, from an iterator without end; ``ahead`` of them wait.

    What the iterator raises is raised here in its turn.
    """
    with ThreadPoolExecutor(1, "ahead") as worker:
        waiting = deque(worker.submit(next, items) for _ in range(ahead))
        while True:
            item = waiting.popleft().result()
            waiting.append(worker.submit(next, items))
            yield item
