"""All that Prometheus can ask of one machine's engine."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.instance.engine import Engine
from lutra.model.clock import Clock
from lutra.server.observe.embedding_metrics import EmbeddingCollector
from lutra.server.observe.index_metrics import IndexCollector
from lutra.server.observe.memory_metrics import MemoryCollector
from lutra.server.observe.scan_metrics import ScanCollector
from lutra.server.observe.secondary_metrics import SecondaryCollector
from lutra.server.observe.storage_metrics import StorageCollector
from lutra.server.observe.stream_metrics import StreamCollector


def engine_collectors(engine: Engine, clock: Clock) -> list[Collector]:
    """What is read of ``engine`` whenever somebody asks."""
    return [
        IndexCollector(engine, clock),
        SecondaryCollector(engine, clock),
        EmbeddingCollector(engine, clock),
        StorageCollector(engine.resources),
        MemoryCollector(engine.memory, engine.resources),
        ScanCollector(engine.partition.scans),
        _TransactionCollector(engine),
        StreamCollector(engine),
    ]


class _TransactionCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._transactions = engine.partition.space.transactions

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("lutra_transactions", "Local transactions that are open", self._transactions.count)

    def describe(self) -> Iterator[Metric]:
        return iter(())
