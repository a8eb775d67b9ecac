"""Sessions of scans: each keeps a view of an index, so that all its pages are of the same rows.

A view costs what it keeps from being let go: buffers in memory, open segments and their objects. So sessions are few,
and end when nobody has used them for a while.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lutra.index.lsm.held import Held, held_by
from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.errors import ServerBusy, SessionExpired

_ID_BYTES: Final = 16


@dataclass(slots=True)
class _Session:
    source: object
    """Whose view it is."""
    view: IndexView
    end_s: float


class ScanSessions:
    """Of one data directory. They are not written down: none outlives the process. Thread-safe."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._changed = threading.Condition()
        self._sessions: dict[bytes, _Session] = {}
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def held(self) -> Held:
        """What their views keep in memory."""
        with self._changed:
            return held_by([session.view for session in self._sessions.values()])

    def begin(self, source: object, view: IndexView) -> bytes:
        """A session over a ``view`` of ``source``; gives its id.

        Raises ServerBusy where there are too many, they hold too much, or all have been ended.
        """
        self.expire()
        with self._changed:
            if self._is_closed:
                raise ServerBusy("the data directory is being closed")
            if len(self._sessions) >= limits.SCAN_SESSIONS_MAX:
                raise ServerBusy(f"{limits.SCAN_SESSIONS_MAX} scans have sessions, try again when one has ended")
            views = [session.view for session in self._sessions.values()]
            if views and held_by([*views, view]).buffers > limits.SCAN_BUFFER_BYTES_MAX:
                raise ServerBusy(f"scans hold {limits.SCAN_BUFFER_BYTES_MAX} bytes of memory, try again")
            name = secrets.token_hex(_ID_BYTES).encode()
            self._sessions[name] = _Session(source, view, self._now_s() + limits.SCAN_ALIVE_S_DEFAULT)
            if self._thread is None:
                self._thread = threading.Thread(target=self._expire_all, name="lutra-scans", daemon=True)
                self._thread.start()
            return name

    def view(self, name: bytes, source: object, alive_s: float) -> IndexView:
        """That of a session, which is kept for ``alive_s`` from now on. Raises SessionExpired where there is none."""
        with self._changed:
            session = self._sessions.get(name)
            if session is None or session.source is not source or session.end_s <= self._now_s():
                raise SessionExpired
            session.end_s = self._now_s() + alive_s
            self._changed.notify_all()
            return session.view

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
