"""Time as a seam, so that tests can hold or move it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Gives the time as microseconds since the epoch."""

    def now_us(self) -> int: ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000
