"""Signals that have to wait for what must not be cut off."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Of a terminal, a supervisor, and a terminal that was closed."""


@contextmanager
def put_off() -> Iterator[None]:
    """Let signals that stop a program take effect at the end of the block only.

    What the block starts doesn't see them either where it is given a session of its own.
    """
    came: list[int] = []

    def wait(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, wait) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for stopping in dict.fromkeys(came):
            signal.raise_signal(stopping)
