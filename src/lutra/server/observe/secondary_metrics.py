"""How secondary indexes are: filled, and how far global ones are behind their tables."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.instance.engine import Engine
from lutra.model.clock import Clock

_LABELS = ("instance", "table", "index")


class SecondaryCollector(Collector):
    """Of all instances, read when asked."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        filled = _made("filled", "1 once the secondary index has all rows of its table and can be read, else 0")
        lag = _made("lag_seconds", "Of a global secondary index: age of the newest write known to be in it")
        rows = _made("rows", "Of a global secondary index: rows in it")
        now_us = self._clock.now_us()
        for name in self._engine.instance_names():
            for state in self._engine.instance(name).secondary.states():
                labels = [name, state.table, state.index.name]
                filled.add_metric(labels, float(state.is_filled))
                if state.synced_us is not None and state.rows is not None:
                    lag.add_metric(labels, max(0, now_us - state.synced_us) / 1e6)
                    rows.add_metric(labels, state.rows)
        yield from (filled, lag, rows)

    def describe(self) -> Iterator[Metric]:
        return iter(())


def _made(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"lutra_secondary_index_{name}", text, labels=_LABELS)
