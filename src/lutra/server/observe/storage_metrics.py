"""What search indexes have read and written: requests to the object store, blocks through the cache, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.index.builds.remote.builder import RemoteBuilder
from lutra.index.lsm.resources import Resources
from lutra.kernels.blocks import BlockCounters

_REQUESTS = ("puts", "gets", "ranged_reads", "heads", "lists", "deletes")


class StorageCollector(Collector):
    """Of one engine, read when asked."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def collect(self) -> Iterator[Metric]:
        yield from self._objects()
        yield from self._blocks()
        yield from self._remote_builds()
        memory = self._resources.memory
        yield GaugeMetricFamily(
            "lutra_segments_granted_bytes", "Memory that open segments may use beside the cache", memory.granted_bytes
        )

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def _objects(self) -> Iterator[Metric]:
        counted = self._resources.store.requests
        requests = CounterMetricFamily("lutra_objects_requests", "Requests to the object store", labels=["kind"])
        for kind, count in asdict(counted).items():
            if kind in _REQUESTS:
                requests.add_metric([kind], count)
        yield requests
        yield CounterMetricFamily("lutra_objects_round_trips", "All requests to the store", counted.round_trips)
        yield CounterMetricFamily("lutra_objects_read_bytes", "Bytes the store gave", counted.read_bytes)
        yield CounterMetricFamily("lutra_objects_written_bytes", "Bytes put on the store", counted.written_bytes)

    def _remote_builds(self) -> Iterator[Metric]:
        builder = self._resources.builder
        if not isinstance(builder, RemoteBuilder):
            return
        state = builder.state
        yield GaugeMetricFamily(
            "lutra_remote_builders_reachable", "Whether builds can be handed over", float(state.reachable)
        )
        builds = GaugeMetricFamily("lutra_remote_builds", "Builds that are to be done elsewhere", labels=["state"])
        for name, count in (("waiting", state.waiting), ("queued", state.queued), ("running", state.running)):
            builds.add_metric([name], count)
        yield builds
        yield CounterMetricFamily("lutra_remote_builds_done", "Builds done elsewhere", state.done)
        yield CounterMetricFamily("lutra_remote_builds_lost", "Attempts that came to nothing", state.lost)
        yield CounterMetricFamily("lutra_remote_builds_here", "Builds done here in their place", state.local)

    def _blocks(self) -> Iterator[Metric]:
        cache = self._resources.cache.counters()
        counted = sum(cache.owners.values(), BlockCounters())
        reads, read_bytes = counted.reads + counted.bypass_reads, counted.read_bytes + counted.bypass_bytes
        yield CounterMetricFamily("lutra_blocks_hits", "Blocks found in the cache", counted.hits + counted.joined)
        yield CounterMetricFamily("lutra_blocks_misses", "Blocks read because they were asked for", counted.misses)
        yield CounterMetricFamily("lutra_blocks_reads", "Blocks read, past the cache too", reads)
        yield CounterMetricFamily("lutra_blocks_read_bytes", "Bytes of blocks read, past the cache too", read_bytes)
        yield CounterMetricFamily("lutra_blocks_evictions", "Blocks the cache let go of", counted.evictions)
        yield GaugeMetricFamily("lutra_blocks_used_bytes", "Memory of the cache in use", cache.used_bytes)
        yield GaugeMetricFamily("lutra_blocks_budget_bytes", "Memory the cache may use", cache.budget_bytes)
