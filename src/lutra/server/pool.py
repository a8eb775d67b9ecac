"""Threads that run the engine's calls for the event loop.

A worker takes job after job while there are any, and outcomes go back to the loop in one wake-up for all that are
ready: under load a hand-over costs a fraction of a thread switch, and few threads compete for the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from lutra.model.errors import ServerBusy

T = TypeVar("T")

_Job = tuple["asyncio.Future[Any]", Callable[[], Any]]
_Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


class WorkerPool:
    """A fixed number of threads and a bounded queue. Belongs to one running event loop: made and used on it."""

    def __init__(self, name: str, threads: int, queue_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._outcomes: deque[_Outcome] = deque()
        self._is_waking = False
        self._pending = 0
        self._pending_max = threads + queue_max
        self._threads = [
            threading.Thread(target=self._work, name=f"lutra-{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        """Calls that run or wait."""
        return self._pending

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._jobs.qsize()

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Has a thread make the call; the future has its result. Raises ServerBusy where too many wait already."""
        if self._pending >= self._pending_max:
            raise ServerBusy("Server is busy.")
        self._pending += 1
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((future, call))
        return future

    def close(self) -> None:
        """Ends the threads, each after the call it makes; blocks until then. Nothing may be submitted any more."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            try:
                outcome: _Outcome = (future, call(), None)
            except BaseException as error:
                outcome = (future, None, error)
            self._outcomes.append(outcome)
            if not self._is_waking:
                self._is_waking = True
                # The loop is closed where a stop did not wait for this call: then nobody does.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._deliver)
            # An idle thread must not keep the last request alive.
            del job, future, call, outcome

    def _deliver(self) -> None:
        # Cleared first: an outcome that comes while this drains, and is missed, wakes the loop again.
        self._is_waking = False
        outcomes = self._outcomes
        while outcomes:
            future, result, error = outcomes.popleft()
            self._pending -= 1
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
