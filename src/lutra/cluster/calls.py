"""The calls under way in one partition: counted, held up while somebody needs that none writes, refused in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lutra.model.deadline import current_deadline
from lutra.model.errors import LutraError, ServerBusy

_HELD_UP_S: Final = 30.0
"""A write waits so long for a pause to end, where its request does not say that it has less time."""


class Calls:
    """Thread-safe. ``check`` raises where the partition cannot be answered for."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._changed = threading.Condition()
        self._reads = self._writes = 0
        self._pauses = 0
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def under_way(self) -> int:
        """At this moment."""
        return self._reads + self._writes

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A call that writes nothing: checked before it begins and again before what it found may leave.

        What went wrong in one that would not pass any more is no more to be told than what was found.
        """
        with self._changed:
            self._check()
            self._reads += 1
        try:
            yield
            self._check()
        except LutraError:
            self._check()
            raise
        finally:
            with self._changed:
                self._reads -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A call that may write. It is not checked afterwards: what storage has taken is written, whoever owns it now.

        Waits while writes are paused. Raises ServerBusy where that takes too long, RequestTimeout.
        """
        with self._changed:
            if not current_deadline().wait_for(self._changed, self._may_write, _HELD_UP_S):
                raise ServerBusy("the partition is being split or handed over, try again")
            self._check()
            self._writes += 1
        try:
            yield
        finally:
            with self._changed:
                self._writes -= 1
                self._changed.notify_all()

    @contextmanager
    def paused(self, timeout_s: float) -> Iterator[None]:
        """No write begins before this ends, and none is under way within. Raises ServerBusy where some do not end."""
        with self._changed:
            self._pauses += 1
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: not self._writes, timeout_s):
                    raise ServerBusy(f"writes under way did not end within {timeout_s:g} s, try again")
            yield
        finally:
            with self._changed:
                self._pauses -= 1
                self._changed.notify_all()

    def _may_write(self) -> bool:
        return not self._pauses or self._closed

    def close(self) -> None:
        """No call begins from now on; ``check`` is to see to that, and goes by `is_closed`."""
        with self._changed:
            self._closed = True
            self._pauses = 0
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Waits for the calls under way. Whether all have ended."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.under_way, timeout_s)
