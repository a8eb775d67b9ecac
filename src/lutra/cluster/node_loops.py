"""The threads in which a node's controller takes its steps: renewing the lease waits for nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from lutra.kernels.daemons import DaemonExecutor
from lutra.model.errors import LutraError

_STOP_WAIT_S: Final = 10.0

_log = logging.getLogger(__name__)


class Loop:
    """Takes a step again and again, ``pause_s`` after the last, or at once where that says so or it is `hurry`'d.

    A step that raises is taken again after ``pause_s``; the log tells of it when it begins and when it is over.
    """

    def __init__(self, name: str, step: Callable[[], bool | None], pause_s: float) -> None:
        self._name = name
        self._step = step
        self._pause_s = pause_s
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.failures = 0
        """One after the other, until now. To look at."""

    def start(self) -> None:
        self._thread.start()

    def hurry(self) -> None:
        """Has the next step taken now."""
        self._due.set()

    def stop(self) -> None:
        """Waits for the step under way, but not for ever."""
        self._stopping.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WAIT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._due.clear()
            if self._take():
                continue
            self._due.wait(self._pause_s)

    def _take(self) -> bool:
        try:
            more = bool(self._step())
        except LutraError as error:
            self._failed(error)
            return False
        except Exception:  # of our own making: it goes on, or the node would stand still
            _log.exception("%s failed", self._name)
            self.failures += 1
            return False
        if self.failures:
            _log.warning("%s goes on after %d failures", self._name, self.failures)
            self.failures = 0
        return more

    def _failed(self, error: LutraError) -> None:
        if not self.failures:
            _log.warning("%s failed, and is tried again: %s", self._name, error)
        self.failures += 1


class Together:
    """Does tasks at the same time, by threads of its own."""

    def __init__(self, name: str, at_once: int) -> None:
        self._executor = DaemonExecutor(name, at_once)

    def __call__(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """What they return, in their order. Raises what the first of them raises, once all have ended."""
        if len(tasks) <= 1:
            return [task() for task in tasks]
        futures = [self._executor.submit(task) for task in tasks]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
