"""Slows down who guesses keys: after some wrong ones an address waits, twice as long after each."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_FIRST_PAUSE_S: Final = 2.0
_PAUSE_S_MAX: Final = 300.0
_FORGET_S: Final = 3_600.0
_ADDRESSES_MAX: Final = 10_000


class Attempts:
    """Wrong keys by address. Thread-safe; bounded: of too many addresses the oldest is forgotten."""

    def __init__(self, wrong_free: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._wrong_free = wrong_free
        self._now_s = now_s
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def pause_s(self, address: str) -> float:
        """How long this address has still to wait before a key of it is looked at; 0: not at all."""
        with self._lock:
            count, last_s = self._seen(address)
            if count < self._wrong_free:
                return 0.0
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** (count - self._wrong_free), _PAUSE_S_MAX)
            return max(0.0, last_s + pause_s - self._now_s())

    def wrong(self, address: str) -> None:
        """A wrong key came."""
        with self._lock:
            count, _ = self._seen(address)
            self._wrong[address] = (count + 1, self._now_s())
            self._wrong.move_to_end(address)
            while len(self._wrong) > _ADDRESSES_MAX:
                self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """The right key came: what was wrong before is forgotten."""
        with self._lock:
            self._wrong.pop(address, None)

    def _seen(self, address: str) -> tuple[int, float]:
        count, last_s = self._wrong.get(address, (0, 0.0))
        return (0, 0.0) if self._now_s() - last_s > _FORGET_S else (count, last_s)
