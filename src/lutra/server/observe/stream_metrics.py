"""What the streams of tables take."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.instance.engine import Engine
from lutra.model.errors import LutraError


class StreamCollector(Collector):
    """Of all tables of an engine that have one, read when asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        size = GaugeMetricFamily("lutra_stream_bytes", "Bytes of a table's stream, about", labels=["instance", "table"])
        for name in self._engine.instance_names():
            instance = self._engine.instance(name)
            for stream in instance.list_streams():
                try:
                    size.add_metric([name, stream.table], instance.stream_bytes(stream.table))
                except LutraError:
                    continue  # deleted meanwhile
        yield size

    def describe(self) -> Iterator[Metric]:
        return iter(())
