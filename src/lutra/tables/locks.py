"""Locks on rows, so that reading a row, checking a condition and writing it is one step to every other writer."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from lutra.model.deadline import current_deadline
from lutra.tables.refusals import being_modified
from lutra.tables.surely import surely

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

    The set of keys, the object itself, stands for who holds or wants them. So `release` lets go of what is that one's
    and of nothing else, wherever an interrupt broke `acquire` or an earlier `release` off.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: dict[bytes, set[bytes]] = {}
        self._waiters: deque[_Waiter] = deque()

    def acquire(self, keys: set[bytes], wait_s: float = WAIT_S) -> None:
        """To be followed by `release`, also where it raises.

        Raises OperationConflict where others hold a key for ``wait_s``, RequestTimeout where the deadline passes.
        """
        with self._mutex:
            if not self._waiters and self._held.keys().isdisjoint(keys):
                self._held.update(dict.fromkeys(keys, keys))
                return
            waiter = _Waiter(keys)
            self._waiters.append(waiter)
            self._grant()
        deadline = current_deadline()
        if not waiter.turn.acquire(timeout=min(wait_s, deadline.left_s)) and not self._withdraw(waiter):
            deadline.check()
            raise being_modified()

    def drain(self, prefix: bytes, wait_s: float = WAIT_S) -> None:
        """Returns when nobody holds any more a key that begins with ``prefix`` and was held when this was called.

        Raises as `acquire`.
        """
        with self._mutex:
            keys = {key for key in self._held if key.startswith(prefix)}
        if keys:
            surely(lambda: self.acquire(keys, wait_s), lambda: self.release(keys))

    def release(self, keys: set[bytes]) -> None:
        """Lets go of what ``keys``, this very set, holds or waits for, if anything."""
        with self._mutex:
            held = self._held
            for key in keys:
                if held.get(key) is keys:
                    del held[key]
            if self._waiters:
                self._waiters = deque(waiter for waiter in self._waiters if waiter.keys is not keys)
                self._grant()

    def _grant(self) -> None:
        """Comes to the same when it is done again."""
        held = self._held
        wanted: set[bytes] = set()
        still: deque[_Waiter] = deque()
        for waiter in self._waiters:
            keys = waiter.keys
            if wanted.isdisjoint(keys) and all(held.get(key, keys) is keys for key in keys):
                held.update(dict.fromkeys(keys, keys))
                waiter.granted = True
                if waiter.turn.locked():
                    waiter.turn.release()
            else:
                wanted |= keys
                still.append(waiter)
        self._waiters = still

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Whether the waiter was granted its keys after all."""
        with self._mutex:
            if not waiter.granted:
                self._waiters = deque(other for other in self._waiters if other is not waiter)
                self._grant()
            return waiter.granted
