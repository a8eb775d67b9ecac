"""How far the making of vectors for what SDKs write is behind its tables."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.instance.engine import Engine
from lutra.model.clock import Clock

_LABELS = ("instance", "table")


class EmbeddingCollector(Collector):
    """Of all instances, read when asked."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "lutra_embedding_lag_seconds",
            "Age of the newest write whose rows are known to have their vectors, or to have failed",
            labels=_LABELS,
        )
        stuck = GaugeMetricFamily(
            "lutra_embedding_stuck", "1 while the model gives nothing and is tried again, else 0", labels=_LABELS
        )
        rows = CounterMetricFamily("lutra_embedding_rows", "Vectors made of what SDKs wrote", labels=_LABELS)
        failed = CounterMetricFamily("lutra_embedding_failed_rows", "Rows the model could not do", labels=_LABELS)
        now_us = self._clock.now_us()
        for name, followers in list(self._engine.embeddings.items()):
            for state in followers.states():
                labels = [name, state.table]
                lag.add_metric(labels, max(0, now_us - state.synced_us) / 1e6 if state.synced_us else 0.0)
                stuck.add_metric(labels, float(state.error is not None))
                rows.add_metric(labels, state.embedded)
                failed.add_metric(labels, state.failed)
        yield from (lag, stuck, rows, failed)

    def describe(self) -> Iterator[Metric]:
        return iter(())
