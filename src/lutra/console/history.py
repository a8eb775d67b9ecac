"""How figures went over time: rings of a bounded size, in memory, as long as the server runs."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

SERIES_MAX: Final = 1_000
"""Of one history: 6 MB of two rings of 720 places."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a ring holds, the oldest first."""

    times_s: npt.NDArray[np.float64]
    """[n], since the epoch."""
    series: Mapping[str, npt.NDArray[np.float32]]
    """By name, [n]; NaN where nothing was told."""


class Ring:
    """The last ``places`` values of series that come and go. Thread-safe.

    A series is let go of when none of its values is left. What would be one more than ``series_max`` is not kept.
    """

    def __init__(self, places: int, series_max: int = SERIES_MAX) -> None:
        self.places = places
        self._series_max = series_max
        self._lock = threading.Lock()
        self._times_s = np.full(places, math.nan)
        self._series: dict[str, npt.NDArray[np.float32]] = {}
        self._told_at: dict[str, int] = {}
        """By series: how many times had been told when it last was."""
        self._told = 0

    def add(self, time_s: float, values: Mapping[str, float]) -> None:
        """One more time, and what was so then."""
        with self._lock:
            at = self._told % self.places
            self._told += 1
            self._times_s[at] = time_s
            for series in self._series.values():
                series[at] = math.nan
            for name, value in values.items():
                series_of = self._series.get(name)
                if series_of is None:
                    if len(self._series) >= self._series_max:
                        continue
                    series_of = self._series[name] = np.full(self.places, math.nan, np.float32)
                series_of[at] = value
                self._told_at[name] = self._told
            for name in [name for name, told in self._told_at.items() if self._told - told >= self.places]:
                del self._series[name], self._told_at[name]

    def window(self, prefix: str = "") -> Window:
        """Copies of the series whose names begin with ``prefix``."""
        with self._lock:
            begin = max(0, self._told - self.places)
            order = np.arange(begin, self._told) % self.places
            names = [name for name in self._series if name.startswith(prefix)]
            return Window(self._times_s[order], {name: self._series[name][order] for name in names})

    @property
    def size_bytes(self) -> int:
        """Of all arrays."""
        return self._times_s.nbytes + sum(series.nbytes for series in list(self._series.values()))
