"""The threads of an async database: calls of one kind wait for none of another, and one that nobody waits for ends.

A call runs on a thread of its lane, in the order in which calls came. Who gives one up, by cancelling its task, has it
end at its next step: what waits yet is not begun, and what runs looks at its `Deadline` (`lutra.model.deadline`).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import enum
import inspect
import math
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

from lutra.feed.waits import NotYet, Waits, waiting_elsewhere
from lutra.kernels.daemons import DaemonExecutor
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.model.forks import OfProcess

T = TypeVar("T")


class Lane(enum.Enum):
    """Calls that take about as long."""

    READ = "read"
    """Of rows by their keys, a page at most."""
    SEARCH = "search"
    SEARCHES = "searches"
    """Of many vectors, or of many rows."""
    WRITE = "write"
    """Of a row. Those that wait together share an fsync."""
    WRITES = "writes"
    """Of many rows."""
    CHANGE = "change"
    """Of tables and fields, and what opens and closes."""


_PROCESSORS: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_THREADS: Final = {
    Lane.READ: 4,
    Lane.SEARCH: max(2, min(_PROCESSORS, 8)),
    Lane.SEARCHES: 2,
    Lane.WRITE: 16,
    Lane.WRITES: 4,
    Lane.CHANGE: 4,
}
"""At most, each; they are started when they are needed, and end when they have had nothing to do for a while."""
_CLOSE_S: Final = 20.0
"""So long calls that are under way have to end. One that waits for something else, for rows to put say, is left, and
fails when it goes on."""
_END_S: Final = 5.0
"""The same at the program's end, where nobody has closed anything."""


class Lanes:
    """Of one async database. Calls may come from any event loop."""

    def __init__(self) -> None:
        self._process = OfProcess()
        self._lock = threading.Lock()
        self._executors: dict[Lane, DaemonExecutor] = {}
        self._under_way: dict[Future[Any], Deadline] = {}
        """Calls that run, or wait for a thread."""
        self._waiting: set[Callable[[], None]] = set()
        """Each lets go of one call that waits for an index."""
        self._closed: str | None = None
        _all.add(self)

    async def run(self, lane: Lane, call: Callable[[], T]) -> T:
        """What ``call`` returns or raises. Cancelled, it may have been made or not; it ends soon.

        Raises StorageFailure where the lanes are closed, before it is made or while it was.
        """
        return await self._made(lane, call)

    async def run_waiting(self, lane: Lane, call: Callable[[], T]) -> T:
        """As `run`, for a call that reads: it holds no thread while it waits for an index."""
        waits = Waits()

        def without_waiting() -> T:
            with waiting_elsewhere(waits):
                return call()

        while True:
            try:
                return await self._made(lane, without_waiting)
            except NotYet as not_yet:
                waited = not_yet
            await self._wait(waited)

    async def _wait(self, not_yet: NotYet) -> None:
        """Until an index is there, its time is up, or the lanes are closed: the call is made then, and says so."""
        loop = asyncio.get_running_loop()
        is_over = loop.create_future()

        def end() -> None:
            if not is_over.done():
                is_over.set_result(None)

        def let_go() -> None:
            with contextlib.suppress(RuntimeError):  # where the loop was closed nobody waits
                loop.call_soon_threadsafe(end)

        with self._lock:
            self._waiting.add(let_go)
            if self._closed is not None:
                let_go()
        take_back = not_yet.call_when(let_go)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(not_yet.timeout_s):  # wait_for may forget a cancellation until Python 3.12
                    await is_over
        finally:
            take_back()
            with self._lock:
                self._waiting.discard(let_go)

    async def _made(self, lane: Lane, call: Callable[[], T]) -> T:
        deadline = Deadline(math.inf, what="call")
        future = self._submit(lane, call, deadline)
        try:
            return await result_of(future)
        except asyncio.CancelledError:
            deadline.give_up()
            future.cancel()  # where it waits for a thread
            raise

    def _submit(self, lane: Lane, call: Callable[[], T], deadline: Deadline) -> Future[T]:
        self._process.check()
        context = contextvars.copy_context()
        with self._lock:
            if self._closed is not None:
                raise StorageFailure(self._closed)
            executor = self._executors.get(lane)
            if executor is None:
                executor = self._executors[lane] = DaemonExecutor(f"lutra-{lane.value}", _THREADS[lane])
            future = executor.submit(context.run, self._work, call, deadline)
            self._under_way[future] = deadline
        future.add_done_callback(self._ended)
        return future

    def _work(self, call: Callable[[], T], deadline: Deadline) -> T:
        try:
            with working_for(deadline):
                deadline.check()
                return call()
        except Exception as error:
            if self._closed is not None and deadline.is_over:
                raise StorageFailure(self._closed) from error
            raise

    def _ended(self, future: Future[Any]) -> None:
        with self._lock:
            self._under_way.pop(future, None)

    def close(self, why: str, last: Callable[[], None]) -> Future[None] | None:
        """Ends all that is under way, and then makes the ``last`` call; what is returned is done with that.

        ``why``: what calls are told that are ended by it, or come later. None where it was closed before, and in a
        process forked from its own, where nothing of it is closed.
        """
        if not self._process.is_this:
            return None
        with self._lock:
            if self._closed is not None:
                return None
            self._closed = why
            under_way, waiting = dict(self._under_way), list(self._waiting)
            executors = list(self._executors.values())
        for deadline in under_way.values():
            deadline.give_up()
        for let_go in waiting:
            let_go()
        ended: Future[None] = Future()

        def end() -> None:
            try:
                is_stuck = bool(wait(under_way, _CLOSE_S).not_done)
                for executor in executors:
                    executor.shutdown(wait=not is_stuck)
                last()
            except BaseException as error:
                ended.set_exception(error)
            else:
                ended.set_result(None)

        # Not a daemon: a program that ends waits for it.
        threading.Thread(target=end, name="lutra-close").start()
        return ended

    def end(self) -> None:
        """At the program's end: has what is under way end, and waits for it, but not for ever."""
        with self._lock:
            self._closed = self._closed or "the program ends"
            under_way, executors = dict(self._under_way), list(self._executors.values())
        for deadline in under_way.values():
            deadline.give_up()
        if not wait(under_way, _END_S).not_done:
            for executor in executors:
                executor.shutdown()


_all: Final[weakref.WeakSet[Lanes]] = weakref.WeakSet()


def _end_all() -> None:
    for lanes in list(_all):
        lanes.end()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_all.clear)


async def result_of(future: Future[T]) -> T:
    """What comes of a thread's work. Cancelled, it leaves the work alone; and so does a loop that is closed."""
    loop = asyncio.get_running_loop()
    is_done = loop.create_future()

    def tell() -> None:
        if not is_done.done():
            is_done.set_result(None)

    def ended(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # where the loop was closed nobody waits
            loop.call_soon_threadsafe(tell)

    future.add_done_callback(ended)
    await is_done
    return future.result()


class Told:
    """Has an event loop call what a thread has to tell of; where that raises, the thread's work ends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._error: Exception | None = None

    def by(self, call: Callable[[T], object] | None) -> Callable[[T], None] | None:
        """For the thread to call. Raises ParameterInvalid where ``call`` is a coroutine function."""
        if call is None:
            return None
        if inspect.iscoroutinefunction(call):
            raise ParameterInvalid(f"{call.__name__} is called, not awaited: give a function that is not async")

        def tell(value: T) -> None:
            if self._error is not None:
                raise self._error
            self._loop.call_soon_threadsafe(self._call, call, value)

        return tell

    async def after(self, work: Awaitable[T]) -> T:
        """What ``work`` gives, once the loop was told all. Raises what a call raised."""
        result = await work
        if self._error is not None:
            raise self._error
        return result

    def _call(self, call: Callable[[T], object], value: T) -> None:
        try:
            call(value)
        except Exception as error:
            self._error = self._error or error
