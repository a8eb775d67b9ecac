"""What is kept for clients between two of their requests, under an id, until nobody has asked for it for a while."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from lutra.model.errors import ServerBusy, SessionExpired

T = TypeVar("T")

SESSION_BYTES: Final = 16
"""Of chance in an id, which is hexadecimal."""


@dataclass(slots=True)
class _Session(Generic[T]):
    source: object
    """Whose it is."""
    kept: T
    end_s: float


class Sessions(Generic[T]):
    """They are not written down: none outlives the process. Thread-safe."""

    def __init__(self, thread_name: str, now_s: Callable[[], float] = time.monotonic) -> None:
        """``thread_name``: of the one that ends them, which is there while there are any."""
        self._thread_name = thread_name
        self._now_s = now_s
        self._changed = threading.Condition()
        self._sessions: dict[bytes, _Session[T]] = {}
        """The one begun first comes first."""
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def kept(self) -> list[T]:
        """What all of them keep."""
        with self._changed:
            return [session.kept for session in self._sessions.values()]

    def begin(self, source: object, kept: T, alive_s: float, check: Callable[[list[T]], None] | None = None) -> bytes:
        """A session of ``source`` that keeps something for ``alive_s``; gives its id.

        ``check``: called with what others keep, within the lock. Raises ServerBusy where all have been ended, and as
        ``check``.
        """
        self.expire()
        with self._changed:
            if self._is_closed:
                raise ServerBusy("the data directory is being closed")
            if check is not None:
                check([session.kept for session in self._sessions.values()])
            name = secrets.token_hex(SESSION_BYTES).encode()
            self._sessions[name] = _Session(source, kept, self._now_s() + alive_s)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._expire_all, name=self._thread_name, daemon=True)
                self._thread.start()
            return name

    def get(self, name: bytes, source: object, alive_s: float) -> T:
        """What a session keeps, for ``alive_s`` from now on. Raises SessionExpired where there is none."""
        with self._changed:
            session = self._sessions.get(name)
            if session is None or session.source is not source or session.end_s <= self._now_s():
                raise SessionExpired
            session.end_s = self._now_s() + alive_s
            self._changed.notify_all()
            return session.kept

    def shorten(self, name: bytes, alive_s: float) -> None:
        """Has one end so soon, where it is there."""
        with self._changed:
            session = self._sessions.get(name)
            if session is not None:
                session.end_s = min(session.end_s, self._now_s() + alive_s)
                self._changed.notify_all()

    def end_oldest(self, most: int) -> None:
        """Ends those begun first until there are no more than so many."""
        with self._changed:
            for name in list(self._sessions)[: max(0, len(self._sessions) - most)]:
                del self._sessions[name]

    def drop(self, source: object) -> None:
        """Ends those of an index that is no more."""
        with self._changed:
            self._sessions = {name: one for name, one in self._sessions.items() if one.source is not source}
            self._changed.notify_all()

    def expire(self) -> float | None:
        """Ends those that nobody has used for too long. Returns in how many seconds the next one ends, if any does."""
        with self._changed:
            now_s = self._now_s()
            self._sessions = {name: one for name, one in self._sessions.items() if one.end_s > now_s}
            return min((one.end_s - now_s for one in self._sessions.values()), default=None)

    def close(self) -> None:
        """Ends all."""
        with self._changed:
            self._is_closed = True
            self._sessions = {}
            self._changed.notify_all()

    def _expire_all(self) -> None:
        """Until there are none: so that nothing is kept because nobody asks."""
        while True:
            with self._changed:
                next_s = self.expire()
                if next_s is None:
                    self._thread = None
                    return
                self._changed.wait(next_s)
