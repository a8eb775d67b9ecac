"""Locks on rows, so that reading a row, checking a condition and writing it is one step to every other writer."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from lutra.model.errors import OperationConflict

WAIT_S: Final = 10.0


class _Waiter:
    __slots__ = ("granted", "keys", "turn")

    def __init__(self, keys: set[bytes]) -> None:
        self.keys = keys
        self.granted = False
        self.turn = threading.Lock()
        self.turn.acquire()


class RowLocks:
    """Exclusive locks by key. All keys of a batch are taken at once, or none: hence no deadlock.

    Whoever came first and still waits keeps later ones from the keys it wants: hence no starving. Locks are held by
    exact key, not by stripe: two batches of 200 rows would nearly always meet in some stripe, and commit one by one.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: set[bytes] = set()
        self._waiters: deque[_Waiter] = deque()

    def acquire(self, keys: set[bytes], wait_s: float = WAIT_S) -> None:
        """Raises OperationConflict where others hold a key for ``wait_s``; then nothing is held."""
        with self._mutex:
            if not self._waiters and self._held.isdisjoint(keys):
                self._held |= keys
                return
            waiter = _Waiter(keys)
            self._waiters.append(waiter)
            self._grant()
        try:
            in_time = waiter.turn.acquire(timeout=wait_s)
        except BaseException:
            self._give_up(waiter)
            raise
        if not in_time and not self._withdraw(waiter):
            raise OperationConflict("Data is being modified by the other request.")

    def release(self, keys: set[bytes]) -> None:
        with self._mutex:
            self._held -= keys
            if self._waiters:
                self._grant()

    def _grant(self) -> None:
        wanted: set[bytes] = set()
        still: deque[_Waiter] = deque()
        for waiter in self._waiters:
            if self._held.isdisjoint(waiter.keys) and wanted.isdisjoint(waiter.keys):
                self._held |= waiter.keys
                waiter.granted = True
                waiter.turn.release()
            else:
                wanted |= waiter.keys
                still.append(waiter)
        self._waiters = still

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Whether the waiter was granted its keys after all."""
        with self._mutex:
            if not waiter.granted:
                self._waiters.remove(waiter)
                self._grant()
            return waiter.granted

    def _give_up(self, waiter: _Waiter) -> None:
        if self._withdraw(waiter):
            self.release(waiter.keys)
