"""Threads that run the engine's calls for the event loop.

A worker takes job after job while there are any, and outcomes go back to the loop in one wake-up for all that are
ready: under load a hand-over costs a fraction of a thread switch, and few threads compete for the interpreter's lock.
Where calls are brief, more threads than processors only take that lock from each other; where they wait for a disk or a
store, the more the better. So a pool may have few threads that take calls and others in reserve, which come in one by
one where calls wait though the processors have time.

A call whose deadline passes is answered for then, whether it runs or waits; its thread is told nothing and ends as it
will. A pool may be given more threads for when all of them are stuck in calls that do not end.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from lutra.model.deadline import NEVER, Deadline
from lutra.model.errors import ServerBusy
from lutra.server.lanes.later import Later

T = TypeVar("T")

_RESERVE_S: Final = 0.002
"""So often the loop looks whether calls that wait are held up; each time one thread of the reserve is called in."""
_IDLE_SHARE: Final = 0.5
"""Of a processor: where the process takes less while calls wait, those under way wait for something else."""
_LOOK_S: Final = 0.1
"""So often the loop looks for calls whose time is up, and for calls that nobody takes."""
_STUCK_LOOKS: Final = 2
"""So many times one after the other calls wait and none was taken: then one more thread is started."""
_LINGER_S: Final = 30.0
"""A thread beyond the pool's own ends when it had nothing to do for so long."""
_CLOSE_WAIT_S: Final = 10.0

logger = logging.getLogger(__name__)


class _Job:
    __slots__ = ("call", "deadline", "future")

    def __init__(self, call: Callable[[], Any], future: asyncio.Future[Any], deadline: Deadline) -> None:
        self.call = call
        self.future = future
        self.deadline = deadline


_Outcome = tuple[_Job, Any, BaseException | None]


class WorkerPool:
    """A number of threads and a bounded queue. Belongs to one running event loop: made and used on it."""

    def __init__(self, name: str, threads: int, queue_max: int, threads_max: int = 0, reserve: int = 0) -> None:
        """``threads_max``: with those that are started while the ``threads`` are stuck; at least ``threads``.

        ``reserve``: of the ``threads``, those that take a call only where the others are held up; less than all.
        """
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._calls_for_reserve: SimpleQueue[bool] = SimpleQueue()
        self._reserve = reserve
        self._first = threads - reserve
        self._reserve_timer: asyncio.TimerHandle | None = None
        self._seen = (0, 0.0, 0.0)
        self._is_held_up = False
        self._outcomes: deque[_Outcome] = deque()
        self._is_waking = False
        self._pending_max = max(threads, threads_max) + queue_max
        self._open: set[_Job] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._taken = self._taken_before = 0
        self._stuck_looks = 0
        self._threads_max = threads_max
        self._started = 0
        self._threads: list[threading.Thread] = []
        for number in range(threads):
            self._start_thread(self._stand_by if number < reserve else self._work)

    @property
    def pending(self) -> int:
        """Calls that run or wait; also those that nobody waits for any more."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._jobs.qsize()

    @property
    def threads(self) -> int:
        """That there are at this moment."""
        return len(self._threads)

    def submit(self, call: Callable[[], T], deadline: Deadline = NEVER) -> asyncio.Future[T]:
        """Has a thread make the call; the future has its result, or RequestTimeout once the deadline passes.

        The call is made in any case: it is to look at the deadline itself. Raises ServerBusy where too many wait.
        """
        if len(self._open) >= self._pending_max:
            raise ServerBusy("Server is busy.")
        future: asyncio.Future[T] = self._loop.create_future()
        job = _Job(call, future, deadline)
        self._open.add(job)
        self._jobs.put(job)
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_S, self._look)
        if self._reserve and self._reserve_timer is None and len(self._open) > self._first:
            self._seen = self._taken, time.process_time(), time.monotonic()
            self._reserve_timer = self._loop.call_later(_RESERVE_S, self._call_reserve)
        return future

    def close(self) -> None:
        """Ends the threads, each after the call it makes; blocks until then, but not for ever.

        Nothing may be submitted any more.
        """
        for timer in (self._timer, self._reserve_timer):
            if timer is not None:
                timer.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for _ in range(self._reserve):
            self._calls_for_reserve.put(False)
        until_s = time.monotonic() + _CLOSE_WAIT_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        stuck = sum(thread.is_alive() for thread in self._threads)
        if stuck:
            logger.warning("%d calls of the lane %s do not end and are left behind", stuck, self._name)

    def _start_thread(self, work: Callable[[], None]) -> None:
        self._started += 1
        name = f"lutra-{self._name}-{self._started}"
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._make(job)
            # An idle thread must not keep the last request alive.
            del job

    def _help_out(self) -> None:
        """For a thread beyond the pool's own."""
        try:
            while (job := self._jobs.get(timeout=_LINGER_S)) is not None:
                self._make(job)
                del job
        except Empty:
            self._tell_loop(self._threads.remove, threading.current_thread())

    def _stand_by(self) -> None:
        while self._calls_for_reserve.get():
            with suppress(Empty):
                while self._is_held_up:
                    job = self._jobs.get_nowait()
                    if job is None:  # it is for another, whom it tells to end
                        self._jobs.put(None)
                        break
                    self._make(job)
                    del job

    def _make(self, job: _Job) -> None:
        self._taken += 1
        try:
            outcome: _Outcome = (job, job.call(), None)
        except BaseException as error:
            outcome = (job, None, error)
        self._outcomes.append(outcome)
        if not self._is_waking:
            self._is_waking = True
            self._tell_loop(self._deliver)

    def _tell_loop(self, call: Callable[..., object], *arguments: object) -> None:
        # The loop is closed where a stop did not wait for this call: then nobody does.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _deliver(self) -> None:
        # Cleared first: an outcome that comes while this drains, and is missed, wakes the loop again.
        self._is_waking = False
        outcomes = self._outcomes
        while outcomes:
            job, result, error = outcomes.popleft()
            self._open.discard(job)
            if job.future.done():
                if isinstance(result, Later):  # nobody takes it up: it must not keep what it waits for
                    result.cancel()
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _call_reserve(self) -> None:
        if self._jobs.empty():
            self._reserve_timer, self._is_held_up = None, False
            return
        taken, cpu_s, then_s = self._seen
        self._seen = self._taken, time.process_time(), time.monotonic()
        is_idle = self._seen[1] - cpu_s < _IDLE_SHARE * (self._seen[2] - then_s)
        self._is_held_up = is_idle or self._taken == taken
        if self._is_held_up and self._calls_for_reserve.empty():
            self._calls_for_reserve.put(True)
        self._reserve_timer = self._loop.call_later(_RESERVE_S, self._call_reserve)

    def _look(self) -> None:
        now_s = time.monotonic()
        for job in self._open:
            if now_s >= job.deadline.end_s and not job.future.done():
                job.future.set_exception(job.deadline.error())
        is_stuck = self._taken == self._taken_before and not self._jobs.empty()
        self._taken_before = self._taken
        self._stuck_looks = self._stuck_looks + 1 if is_stuck else 0
        if self._stuck_looks >= _STUCK_LOOKS and len(self._threads) < self._threads_max:
            self._start_thread(self._help_out)
        self._timer = self._loop.call_later(_LOOK_S, self._look) if self._open else None
