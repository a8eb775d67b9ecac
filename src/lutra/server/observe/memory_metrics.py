"""What a process and its builders take of memory, and what they may."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.index.lsm.resources import Resources
from lutra.instance.memory_keeper import MemoryKeeper


class MemoryCollector(Collector):
    """Of one process, read when asked."""

    def __init__(self, keeper: MemoryKeeper, resources: Resources) -> None:
        self._keeper = keeper
        self._resources = resources

    def collect(self) -> Iterator[Metric]:
        measured, resources = self._keeper.measured, self._resources
        taken = GaugeMetricFamily(
            "lutra_memory_bytes",
            "Memory: of the server's process and its builders' as the system counts it, and of what is in the former",
            labels=["kind"],
        )
        for kind, size_bytes in (
            ("process", measured.process_bytes),
            ("builders", measured.builders_bytes),
            ("buffers", resources.buffers.size_bytes),
            ("blocks", resources.cache.counters().used_bytes),
            ("codes", resources.memory.granted_bytes),
        ):
            taken.add_metric([kind], size_bytes)
        yield taken
        plan = self._keeper.plan
        if plan is None:
            return
        yield GaugeMetricFamily("lutra_memory_limit_bytes", "What all of it may take", plan.limit_bytes)
        shares = GaugeMetricFamily("lutra_memory_share_bytes", "How the limit is shared out", labels=["kind"])
        for kind, size_bytes in (plan.shares | {"segments": self._keeper.segments_bytes}).items():
            shares.add_metric([kind], size_bytes)
        yield shares

    def describe(self) -> Iterator[Metric]:
        return iter(())
