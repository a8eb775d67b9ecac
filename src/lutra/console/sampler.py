"""A thread that notes, every few seconds, what the server is doing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lutra.console.figures import (
    index_figures,
    indexes_of,
    lane_figures,
    latencies_of,
    memory_figures,
    request_figures,
)
from lutra.console.history import Ring
from lutra.console.latencies import Counts
from lutra.instance.engine import Engine
from lutra.server.observe.metrics import Metrics

PERIOD_S: Final = 5.0
_CLOSE_WAIT_S: Final = 10.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resolution:
    """How often something is noted, and how many times of that are kept."""

    name: str
    every_s: float
    places: int


RESOLUTIONS: Final = (Resolution("hour", PERIOD_S, 720), Resolution("day", 120.0, 720))
"""An hour at 5 s, and a day at 2 min."""


class _Track:
    """The history at one resolution: requests are counted from one of its times to the next."""

    def __init__(self, resolution: Resolution) -> None:
        self.resolution = resolution
        self.ring = Ring(resolution.places)
        self._latencies: Mapping[str, Counts] = {}
        self._noted_s = float("-inf")

    def note(self, time_s: float, latencies: Mapping[str, Counts], figures: Mapping[str, float]) -> None:
        """Adds what is so now, where that is due."""
        # A tick that comes a little early must not put a time off by a whole period.
        if time_s - self._noted_s < self.resolution.every_s - PERIOD_S / 2:
            return
        is_first = self._noted_s == float("-inf")
        requests = {} if is_first else request_figures(self._latencies, latencies, time_s - self._noted_s)
        self._latencies, self._noted_s = latencies, time_s
        self.ring.add(time_s, {**figures, **requests})


class Sampler:
    """Notes figures until it is closed. ``start`` begins a thread; `tick` may be called without."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._tracks = {one.name: _Track(one) for one in RESOLUTIONS}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.cost_us = 0.0
        """Of processor time that the last tick took."""

    def start(self) -> None:
        """Begins. Once only."""
        self._thread = threading.Thread(target=self._run, name="lutra-console-sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, and waits for that."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_WAIT_S)

    def ring(self, resolution: str) -> Ring:
        """The history at the resolution of that name. Raises KeyError."""
        return self._tracks[resolution].ring

    def tick(self, time_s: float | None = None) -> None:
        """Notes what is so now, or at that time since the epoch."""
        began_ns = time.thread_time_ns()
        time_s = time.time() if time_s is None else time_s
        indexes = list(indexes_of(self._engine))
        figures = {
            **memory_figures(self._engine, indexes),
            **index_figures(indexes, int(time_s * 1e6)),
            **lane_figures(self._metrics),
        }
        latencies = latencies_of(self._metrics)
        for track in self._tracks.values():
            track.note(time_s, latencies, figures)
        self.cost_us = (time.thread_time_ns() - began_ns) / 1e3

    def _run(self) -> None:
        has_failed = False
        while not self._ending.is_set():
            try:
                self.tick()
                has_failed = False
            except Exception:
                if not self._ending.is_set() and not has_failed:  # told once, not every five seconds
                    _logger.warning("the state of the server could not be noted", exc_info=True)
                has_failed = True
            self._ending.wait(PERIOD_S)
