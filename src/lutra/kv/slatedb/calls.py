"""Calls of SlateDB, which are all asynchronous, made and waited for in the thread that wants their result.

What the bindings need of an event loop is a future to wait for, and somebody to complete it. Here (`Loop`) a future is
completed into a queue at which the calling thread waits. So no call passes through a thread of its own, reads of many
threads run side by side in Rust, and what is in memory is answered at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from lutra.model.errors import StorageFailure

Result = TypeVar("Result")
Call = Coroutine[Any, Any, Result]

WAIT_S: Final = 60.0
"""For one call. SlateDB repeats what failed for longer than anybody wants to wait."""

_here = threading.local()


class CallTimeout(StorageFailure):
    """The object store has not answered in time; what was asked for may still happen."""


class _Waiter:
    """A future of one thread: completed, it is in that thread's queue."""

    __slots__ = ("_queue", "_value", "is_done", "task")

    def __init__(self, queue: SimpleQueue[_Waiter]) -> None:
        self.is_done = False
        self.task = 0
        """Which of several calls waits for it."""
        self._queue = queue
        self._value: Any = None

    def cancelled(self) -> bool:
        return False

    def set_result(self, value: Any) -> None:
        self._value = value
        self.is_done = True
        self._queue.put(self)

    def __await__(self) -> Generator[_Waiter, None, Any]:
        yield self
        return self._value


class Loop:
    """What the bindings take for their event loop. Coroutines that run in one of asyncio's, somebody else's, do so."""

    def create_future(self) -> Any:
        queue = getattr(_here, "queue", None)
        return asyncio.get_running_loop().create_future() if queue is None else _Waiter(queue)

    def call_soon_threadsafe(self, complete: Callable[[Any, Any], None], future: Any, code: Any) -> None:
        if isinstance(future, _Waiter):
            complete(future, code)
        else:
            future.get_loop().call_soon_threadsafe(complete, future, code)


def call(coroutine: Call[Result], *, wait_s: float = WAIT_S, is_whole: bool = False) -> Result:
    """The result of one call. Raises what it raises, and CallTimeout.

    Where the thread is interrupted, the call may still happen. ``is_whole``: an interrupt is raised only once the call
    is over, or its time.
    """
    interrupt: BaseException | None = None
    with _calling() as queue:
        deadline_s = 0.0
        try:
            while True:
                try:
                    waiter = coroutine.send(None)
                except StopIteration as done:
                    if interrupt is not None:
                        raise interrupt from None
                    return done.value  # type: ignore[no-any-return]
                deadline_s = deadline_s or time.monotonic() + wait_s
                while not waiter.is_done:
                    try:
                        _wait(queue, deadline_s, wait_s)
                    except StorageFailure:
                        raise
                    except BaseException as error:
                        if not is_whole:
                            raise
                        interrupt = error
        finally:
            coroutine.close()


def call_many(coroutines: Iterable[Call[Result]], at_once: int, *, wait_s: float = WAIT_S) -> list[Result]:
    """The results of many, in their order, ``at_once`` of them under way at any time. Raises the first failure."""
    results: dict[int, Result] = {}
    under_way: dict[int, Call[Result]] = {}
    coming = enumerate(coroutines)
    deadline_s = time.monotonic() + wait_s
    with _calling() as queue:
        try:
            while True:
                while len(under_way) < at_once and (following := next(coming, None)) is not None:
                    number, under_way[number] = following
                    _go_on(number, under_way, results)
                if not under_way:
                    return [results[number] for number in range(len(results))]
                _go_on(_wait(queue, deadline_s, wait_s).task, under_way, results)
        finally:
            for coroutine in under_way.values():
                coroutine.close()


def _go_on(number: int, under_way: dict[int, Call[Result]], results: dict[int, Result]) -> None:
    try:
        under_way[number].send(None).task = number
    except StopIteration as done:
        results[number] = done.value
        del under_way[number]


def _wait(queue: SimpleQueue[_Waiter], deadline_s: float, wait_s: float) -> _Waiter:
    try:
        return queue.get(timeout=max(0.0, deadline_s - time.monotonic()))
    except Empty:
        raise CallTimeout(f"the object store has not answered within {wait_s:g} s") from None


@contextlib.contextmanager
def _calling() -> Iterator[SimpleQueue[_Waiter]]:
    """Gives futures of this thread a queue. A signal's handler may make calls while the thread is in one."""
    before = getattr(_here, "queue", None)
    queue = _here.queue = SimpleQueue()
    try:
        yield queue
    finally:
        _here.queue = before
