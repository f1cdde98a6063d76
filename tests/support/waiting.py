"""Waiting with a deadline, so that a test that goes wrong ends."""

import time
from collections.abc import Callable

DEADLINE = 300.0
"""Seconds; far more than any wait takes on a busy machine."""


def wait_until(holds: Callable[[], object], pause: float = 0.05, seconds: float = DEADLINE) -> None:
    """Return as soon as a condition holds; fail if it doesn't within some seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"nothing happened within {seconds:g} s"
        time.sleep(pause)
