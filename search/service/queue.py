"""The queue in front of the processors: it has a length, and says so when it is full."""

import os
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException

from search.service.metrics import Metrics

AT_ONCE = os.cpu_count() or 1
LONGEST = 64
"""The requests that may compute or wait."""
WAIT = 20
"""The longest wait in seconds."""

Result = TypeVar("Result")


class Queue:
    """Requests that compute, and those that wait for it."""

    def __init__(self, metrics: Metrics) -> None:
        """Begin empty."""
        self._limiter = CapacityLimiter(AT_ONCE)
        self._metrics = metrics
        self._inside = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run a function in a thread, once it is its turn.

        Raises:
            HTTPException: 503, the queue is full, or the wait was too long.
        """
        if self._inside >= LONGEST:
            raise _busy()
        self._inside += 1
        self._metrics.waiting(self._inside)
        try:
            with anyio.move_on_after(WAIT) as waiting:
                await self._limiter.acquire_on_behalf_of(token := object())
            if waiting.cancelled_caught:
                raise _busy()
            try:
                return await to_thread.run_sync(work, limiter=CapacityLimiter(1))
            finally:
                self._limiter.release_on_behalf_of(token)
        finally:
            self._inside -= 1
            self._metrics.waiting(self._inside)


def _busy() -> HTTPException:
    return HTTPException(503, "The service is busy. Try again in a second.", {"Retry-After": "1"})
