"""Sessions of scans: each keeps a view of an index, so that all its pages are of the same rows.

A view costs what it keeps from being let go: buffers in memory, open segments and their objects. So sessions are few,
and end when nobody has used them for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lutra.index.lsm.held import Held, held_by
from lutra.index.lsm.view import IndexView
from lutra.instance.sessions import Sessions
from lutra.model import limits
from lutra.model.errors import ServerBusy


class ScanSessions:
    """Of one data directory. They are not written down: none outlives the process. Thread-safe."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._sessions: Sessions[IndexView] = Sessions("lutra-scans", now_s)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def held(self) -> Held:
        """What their views keep in memory."""
        return held_by(self._sessions.kept)

    def begin(self, source: object, view: IndexView) -> bytes:
        """A session over a ``view`` of ``source``; gives its id.

        Raises ServerBusy where there are too many, they hold too much, or all have been ended.
        """

        def check(views: list[IndexView]) -> None:
            if len(views) >= limits.SCAN_SESSIONS_MAX:
                raise ServerBusy(f"{limits.SCAN_SESSIONS_MAX} scans have sessions, try again when one has ended")
            if views and held_by([*views, view]).buffers > limits.SCAN_BUFFER_BYTES_MAX:
                raise ServerBusy(f"scans hold {limits.SCAN_BUFFER_BYTES_MAX} bytes of memory, try again")

        return self._sessions.begin(source, view, limits.SCAN_ALIVE_S_DEFAULT, check)

    def view(self, name: bytes, source: object, alive_s: float) -> IndexView:
        """That of a session, which is kept for ``alive_s`` from now on. Raises SessionExpired where there is none."""
        return self._sessions.get(name, source, alive_s)

    def drop(self, source: object) -> None:
        """Ends those of an index that is no more."""
        self._sessions.drop(source)

    def expire(self) -> float | None:
        """Ends those that nobody has used for too long. Returns in how many seconds the next one ends, if any does."""
        return self._sessions.expire()

    def close(self) -> None:
        """Ends all."""
        self._sessions.close()
