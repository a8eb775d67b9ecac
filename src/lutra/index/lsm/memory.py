"""Memory that open segments share out among themselves."""

from __future__ import annotations

import threading


class MemoryBudget:
    """So many bytes, of which each gets what it wants as long as there are any left. Thread-safe."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        """May be changed; where more is granted by then, `lutra.index.lsm.shared.SharedSegments.rebalance` mends it."""
        self._lock = threading.Lock()
        self._granted_bytes = 0

    @property
    def granted_bytes(self) -> int:
        return self._granted_bytes

    def grant(self, wanted_bytes: int, replacing_bytes: int = 0) -> int:
        """Up to ``wanted_bytes``, as much as is left; what others will soon give back counts as left."""
        with self._lock:
            left = max(0, self.total_bytes - self._granted_bytes + replacing_bytes)
            granted = min(wanted_bytes, left)
            self._granted_bytes += granted
            return granted

    def regrant(self, before_bytes: int, now_bytes: int) -> None:
        """Who had ``before_bytes`` has ``now_bytes``, whatever is left: who shares all of it out says so."""
        with self._lock:
            self._granted_bytes += now_bytes - before_bytes

    def give_back(self, granted_bytes: int) -> None:
        with self._lock:
            self._granted_bytes -= granted_bytes
