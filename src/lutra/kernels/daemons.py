"""An executor for what may wait for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final, TypeVar

_IDLE_S: Final = 10.0
T = TypeVar("T")


class DaemonExecutor(Executor):
    """As `concurrent.futures.ThreadPoolExecutor`, on daemon threads: a request that is never answered keeps no process
    from ending. Threads are started where none is idle, and end when they have had nothing to do for 10 s.
    """

    def __init__(self, name: str, threads_max: int | None = None, on_done: Callable[[], None] = lambda: None) -> None:
        """
        :param name: of the threads.
        :param threads_max: None: one for whatever is under way.
        :param on_done: called when a call has come to its end, by the thread that made it.
        """
        self._name = name
        self._threads_max = threads_max
        self._on_done = on_done
        # Held by itself, not through the condition, whose own `__enter__` an interrupt could leave with the lock held.
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._is_shut = False

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Raises RuntimeError after `shutdown`, and where the machine has no room for a first thread."""
        future: Future[T] = Future()
        with self._mutex:
            if self._is_shut:
                raise RuntimeError(f"{self._name} was shut down")
            self._waiting.append((future, lambda: call(*args, **kwargs)))
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif self._threads_max is None or len(self._threads) < self._threads_max:
                self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._mutex:
            self._is_shut = True
            dropped = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            threads = set(self._threads)
            self._changed.notify_all()
        for future, _ in dropped:
            future.cancel()
        for thread in threads if wait else ():
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                self._waiting.pop()
                raise
        else:
            self._threads.add(thread)

    def _run(self) -> None:
        while (task := self._next()) is not None:
            future, call = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
                self._on_done()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            del task, future, call  # or the thread would hold on to them while it waits

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._mutex:
            self._idle += 1
            try:
                self._changed.wait_for(lambda: self._waiting or self._is_shut, _IDLE_S)
                if self._waiting:
                    return self._waiting.popleft()
                self._threads.discard(threading.current_thread())
                return None
            finally:
                self._idle -= 1
