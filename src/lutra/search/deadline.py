"""When a search has to be done."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.clock import Clock
from lutra.model.errors import ParameterInvalid, RequestTimeout


class Deadline:
    """Counts from its making. ``timeout_ms`` None or above the limit means the limit.

    Raises ParameterInvalid where it is below 1.
    """

    def __init__(self, clock: Clock, timeout_ms: int | None) -> None:
        if timeout_ms is not None and timeout_ms < 1:
            raise ParameterInvalid(f"[timeout_ms] must be at least 1, not {timeout_ms}")
        self._timeout_ms = min(timeout_ms or limits.SEARCH_TIMEOUT_MS_MAX, limits.SEARCH_TIMEOUT_MS_MAX)
        self._clock = clock
        self._end_us = clock.now_us() + self._timeout_ms * 1_000

    def check(self) -> None:
        """Raises RequestTimeout where the time is up."""
        if self._clock.now_us() > self._end_us:
            raise RequestTimeout(f"The search took longer than {self._timeout_ms} ms.")
