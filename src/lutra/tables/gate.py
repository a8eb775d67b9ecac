"""Lets writers into a table, until it is being deleted."""

from __future__ import annotations

import threading


class Gate:
    """Counts the writers inside; closing waits until they have left."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside = 0
        self._closed = False

    def enter(self) -> bool:
        """Whether the gate was open; each True is to be followed by `leave`."""
        with self._changed:
            if self._closed:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if self._closed and not self._inside:
                self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Lets nobody in any more. Whether all have left within ``timeout_s``; where not, the gate is open again."""
        with self._changed:
            self._closed = True
            if self._changed.wait_for(lambda: not self._inside, timeout_s):
                return True
            self._closed = False
            return False

    def reopen(self) -> None:
        with self._changed:
            self._closed = False
