"""What Prometheus can ask of a node of a cluster, beside what it can of any server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.cluster.counters import CallCounters
from lutra.cluster.node import Node
from lutra.cluster.partition_status import status_of
from lutra.server.observe.memory_metrics import MemoryCollector
from lutra.server.observe.storage_metrics import StorageCollector

PARTITIONS_TOLD_MAX: Final = 500
"""Of so many partitions, by their ids, a node tells each by itself: each is a dozen time series."""
_MARKS: Final = ("written", "searchable", "indexed", "persisted")


def cluster_collectors(node: Node) -> list[Collector]:
    """What is read of ``node`` whenever somebody asks."""
    return [
        NodeCollector(node),
        PartitionCollector(node),
        StorageCollector(node.resources),
        MemoryCollector(node.memory, node.resources),
    ]


class NodeCollector(Collector):
    """The node's lease, what it has opened, what it asked others and what others asked it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        node = self._node
        yield GaugeMetricFamily("lutra_node_partitions", "Partitions that are open here", len(node.host.owned()))
        yield GaugeMetricFamily(
            "lutra_node_lease_seconds", "So long the node is sure of what it owns, 0: it is not", node.sure_for_s()
        )
        yield GaugeMetricFamily("lutra_node_map_version", "The newest map that is known", node.maps.known.version)
        yield CounterMetricFamily("lutra_node_openings", "Partitions that were opened", node.host.openings)
        yield CounterMetricFamily("lutra_node_opening_seconds", "What that took, together", node.host.opening_s)
        yield CounterMetricFamily(
            "lutra_router_retries", "Calls made again, as owners had changed or were away", node.router.retries
        )
        yield GaugeMetricFamily(
            "lutra_router_waiting", "Requests that wait for a partition to have an owner", node.router.room.waiting
        )
        yield from _calls("lutra_peer_calls", "Calls of other nodes", node.peers.calls)
        yield from _calls("lutra_peer_answers", "Calls that other nodes made here", node.methods.answers)

    def describe(self) -> Iterator[Metric]:
        return iter(())


class PartitionCollector(Collector):
    """The partitions that the node owns."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        labels = ["partition", "instance", "table"]
        epoch = GaugeMetricFamily("lutra_partition_epoch", "Number of the lease by which it is owned", labels=labels)
        sequence = GaugeMetricFamily(
            "lutra_partition_sequence",
            "Changes up to it are written; searchable, indexed, persisted by all its search indexes",
            labels=[*labels, "mark"],
        )
        under_way = GaugeMetricFamily("lutra_partition_calls", "Calls at this moment", labels=labels)
        rows = GaugeMetricFamily("lutra_partition_rows", "About how many rows it has", labels=labels)
        size_bytes = GaugeMetricFamily("lutra_partition_bytes", "About how many bytes these are", labels=labels)
        recall = GaugeMetricFamily(
            "lutra_partition_measured_recall",
            "Share of the true neighbours that searches found, of those that were measured, and a 95 % interval",
            labels=[*labels, "index", "filtered", "bound"],
        )
        measured = GaugeMetricFamily(
            "lutra_partition_measured_searches",
            "Searches that were measured for it",
            labels=[*labels, "index", "filtered"],
        )
        sizes = self._node.sizes()
        for owned in self._node.host.owned()[:PARTITIONS_TOLD_MAX]:
            if owned.is_closed:
                continue
            told = status_of(owned)
            which = [owned.id, owned.table.instance, owned.table.name]
            epoch.add_metric(which, told.epoch)
            under_way.add_metric(which, told.under_way)
            if owned.id in sizes:
                rows.add_metric(which, sizes[owned.id].pairs)
                size_bytes.add_metric(which, sizes[owned.id].size_bytes)
            for mark in _MARKS:
                sequence.add_metric([*which, mark], getattr(told, mark))
            for index, kinds in told.recall.items():
                for kind, found in kinds.items():
                    of = [*which, index, str(kind == "filtered").lower()]
                    measured.add_metric(of, found["searches"])
                    for bound, name in (("mean", "recall"), ("low", "low"), ("high", "high")):
                        recall.add_metric([*of, bound], found[name])
        yield from (epoch, sequence, under_way, rows, size_bytes, recall, measured)

    def describe(self) -> Iterator[Metric]:
        return iter(())


def _calls(name: str, what: str, counters: CallCounters) -> Iterator[Metric]:
    labels = ["method", "outcome"]
    calls = CounterMetricFamily(name, f"{what}, by what came of them", labels=labels)
    seconds = CounterMetricFamily(f"{name}_seconds", f"{what}: what they took, together", labels=labels)
    for counted in counters.all():
        which = [counted.name, counted.outcome]
        calls.add_metric(which, counted.calls)
        seconds.add_metric(which, counted.seconds)
    yield from (calls, seconds)
