"""What scans keep: their sessions, and what these hold in memory."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.instance.scan_sessions import ScanSessions


class ScanCollector(Collector):
    """Of one engine, read when asked."""

    def __init__(self, sessions: ScanSessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("lutra_scan_sessions", "Sessions of scans", len(self._sessions))
        held = self._sessions.held
        memory = GaugeMetricFamily(
            "lutra_scan_held_bytes", "Memory that sessions of scans hold, shared with indexes or not", labels=["part"]
        )
        memory.add_metric(["buffers"], held.buffers)
        memory.add_metric(["segments"], held.segments)
        yield memory

    def describe(self) -> Iterator[Metric]:
        return iter(())
