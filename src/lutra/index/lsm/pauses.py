"""How long what failed waits before it is tried again: longer each time, within bounds."""

from __future__ import annotations

import time
from typing import Final

_FIRST_S: Final = 0.5
_LAST_S: Final = 10.0
"""After an outage of the store, what waited for it is written out at most so long after."""


class Pauses:
    """Of one thing that is tried over and over."""

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why it last failed, until it succeeds."""
        self._pause_s, self._until_s = _FIRST_S, 0.0

    def is_over(self, now_s: float) -> bool:
        """Whether it may be tried at ``time.monotonic`` ``now_s``."""
        return now_s >= self._until_s

    def failed(self, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        self._until_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LAST_S)

    def succeeded(self) -> None:
        self.failure, self._pause_s, self._until_s = None, _FIRST_S, 0.0
