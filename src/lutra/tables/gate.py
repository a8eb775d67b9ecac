"""Lets writers into a table, until it is being deleted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lutra.tables.table import Table


class Gate:
    """Of one table, however its definition changes. Knows the writers inside; closing waits until they have left."""

    def __init__(self) -> None:
        # Held by itself, not through the condition, whose own `__enter__` an interrupt could leave with the lock held.
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._inside: set[object] = set()
        self._closed = False
        self._settling = 0
        self.table: Table | None = None
        """As it is now: whoever has locked a row finds here what goes with a change of it."""

    def enter(self, who: object) -> bool:
        """Whether the gate was open. To be followed by `leave`, also where it was interrupted."""
        with self._mutex:
            if self._closed:
                return False
            self._inside.add(who)
            return True

    def leave(self, who: object) -> None:
        """Does nothing where ``who`` is not inside."""
        with self._mutex:
            self._inside.discard(who)
            if self._settling or (self._closed and not self._inside):
                self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Lets nobody in any more. Whether all have left within ``timeout_s``; where not, the gate is open again."""
        with self._mutex:
            have_left = False
            try:
                self._closed = True
                have_left = self._changed.wait_for(lambda: not self._inside, timeout_s)
            finally:
                self._closed = have_left
            return have_left

    def settle(self, timeout_s: float) -> bool:
        """Whether all who are inside now have left within ``timeout_s``. Others come and go meanwhile."""
        with self._mutex:
            before = set(self._inside)
            self._settling += 1
            try:
                return self._changed.wait_for(lambda: self._inside.isdisjoint(before), timeout_s)
            finally:
                self._settling -= 1

    def reopen(self) -> None:
        with self._mutex:
            self._closed = False
