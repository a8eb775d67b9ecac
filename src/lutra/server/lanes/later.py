"""A request that cannot go on yet: it gives its thread back, and is taken up again when it can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lutra.model.errors import LutraError

T = TypeVar("T")


class Later(Generic[T]):
    """What a call returns in place of its result. Made by the thread that made the call, waited for by the event loop.

    Whoever gets it either has a thread ``resume``, once `when_ready` has said so, or calls ``cancel``. ``error`` is
    what to tell the client where its time is up before; None: just that.
    """

    def __init__(self, resume: Callable[[], T | Later[T]], error: LutraError | None = None) -> None:
        self.resume = resume
        self.error = error
        self.cancel: Callable[[], None] = lambda: None
        self._mutex = threading.Lock()
        self._is_ready = False
        self._wake: Callable[[], None] | None = None

    def ready(self) -> None:
        """It can go on now. Called by any thread; does not block."""
        with self._mutex:
            self._is_ready = True
            wake = self._wake
        if wake is not None:
            wake()

    def when_ready(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called, by any thread, when it can go on; at once where it already can."""
        with self._mutex:
            self._wake = wake
            is_ready = self._is_ready
        if is_ready:
            wake()
