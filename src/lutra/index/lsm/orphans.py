"""When is looked for objects that builds put after they had been given up."""

from __future__ import annotations

import logging
import time

from lutra.index.builds.policy import Policy
from lutra.index.lsm.storage import IndexStorage

_log = logging.getLogger(__name__)


class Orphans:
    """Of one index. ``expect`` may be called from any thread, the rest by who maintains it."""

    def __init__(self, storage: IndexStorage, policy: Policy) -> None:
        self._storage = storage
        self._policy = policy
        self._due_s = time.monotonic() + policy.orphans_after_s  # of whoever had the index before

    def is_due(self, now_s: float) -> bool:
        """Whether it is time to look, at ``time.monotonic`` ``now_s``."""
        return now_s >= self._due_s

    def expect(self) -> None:
        """A build was given up that may not have ended."""
        self._due_s = min(self._due_s, time.monotonic() + self._policy.orphans_after_s)

    def look(self, kept: set[str], now_s: float) -> None:
        """Where it is time, has what is found collected, but for ``kept``. Raises StorageFailure."""
        if not self.is_due(now_s):
            return
        found = self._storage.find_orphans(kept)
        if found:
            _log.info("%s: %d objects were put by builds that had been given up", self._storage.prefix, found)
        self._due_s = now_s + self._policy.orphans_period_s
