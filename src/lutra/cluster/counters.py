"""How often something was called, what came of it, and how long that took."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls of one name with one outcome, and the seconds of all of them together."""

    name: str
    outcome: str
    calls: int
    seconds: float


class CallCounters:
    """Thread-safe. Names and outcomes are of few kinds: what is counted stays."""

    OK = "ok"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, str], tuple[int, float]] = {}

    def count(self, name: str, outcome: str, seconds: float) -> None:
        """One call. ``outcome``: `OK`, or the kind of the error."""
        key = (name, outcome)
        with self._lock:
            calls, before_s = self._counted.get(key, (0, 0.0))
            self._counted[key] = (calls + 1, before_s + seconds)

    def all(self) -> list[Counted]:
        """By name and outcome."""
        with self._lock:
            counted = sorted(self._counted.items())
        return [Counted(name, outcome, calls, seconds) for (name, outcome), (calls, seconds) in counted]
