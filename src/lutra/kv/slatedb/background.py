"""A thread that works for a store, step by step, while there is something to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from lutra.model.errors import LutraError

_STOP_WITHIN_S: Final = 120.0


class Background:
    """``step`` does a little, and says after how many seconds the next is due; None: not before it is woken.

    A step that raises is tried again. There is no thread before it is woken for the first time.
    """

    AGAIN_S: Final = 5.0
    """After a step that raised."""

    def __init__(self, name: str, step: Callable[[], float | None], failed: Callable[[LutraError], None]) -> None:
        self._name = name
        self._step = step
        self._failed = failed
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Has the next step done now."""
        self._woken.set()
        with self._lock:
            if self._thread is None and not self._is_over:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Returns once no step is under way. There are no more."""
        with self._lock:
            self._is_over = True
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        while not self._is_over:
            self._woken.clear()
            try:
                pause_s = self._step()
            except LutraError as error:
                if not self._is_over:
                    self._failed(error)
                pause_s = self.AGAIN_S
            if not self._is_over:
                self._woken.wait(pause_s)
