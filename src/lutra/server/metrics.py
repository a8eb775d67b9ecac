"""What Prometheus can ask of a server (``GET /metrics``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from lutra.instance.engine import Engine
from lutra.model.clock import Clock
from lutra.model.errors import LutraError
from lutra.server.operations import Lane
from lutra.server.pool import WorkerPool
from lutra.server.reply import Reply
from lutra.server.storage_metrics import StorageCollector

_LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class OperationMetrics:
    """The counters of one operation, found once and kept: looking one up by its labels costs more than counting."""

    def __init__(self, metrics: Metrics, operation: str) -> None:
        self._requests = metrics.requests
        self._by_result: dict[tuple[int, str], Counter] = {}
        self._operation = operation
        self._latency = metrics.latency.labels(operation)
        self._bytes_in = metrics.bytes_in.labels(operation)
        self._bytes_out = metrics.bytes_out.labels(operation)
        self._rows_read = metrics.rows_read.labels(operation)
        self._rows_written = metrics.rows_written.labels(operation)

    def count(self, status: int, code: str, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """One request that was answered; ``code`` is empty for a success."""
        counter = self._by_result.get((status, code))
        if counter is None:
            counter = self._requests.labels(self._operation, str(status), code)
            self._by_result[status, code] = counter
        counter.inc()
        self._latency.observe(seconds)
        self._bytes_in.inc(bytes_in)
        self._bytes_out.inc(bytes_out)

    def count_rows(self, reply: Reply) -> None:
        """The rows a successful operation read or wrote."""
        if reply.rows_read:
            self._rows_read.inc(reply.rows_read)
        if reply.rows_written:
            self._rows_written.inc(reply.rows_written)


class Metrics:
    """All metrics of one server. Searches are the requests of operation ``Search``."""

    content_type = CONTENT_TYPE_LATEST.encode()

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        operation = ["operation"]
        self.requests = Counter(
            "lutra_requests",
            "Requests answered; code is empty on success",
            [*operation, "status", "code"],
            registry=registry,
        )
        self.latency = Histogram(
            "lutra_request_seconds",
            "From a request's head to the last byte of its answer handed to the system",
            operation,
            buckets=_LATENCY_BOUNDS_S,
            registry=registry,
        )
        self.bytes_in = Counter("lutra_request_bytes", "Bytes of request bodies", operation, registry=registry)
        self.bytes_out = Counter("lutra_response_bytes", "Bytes of response bodies", operation, registry=registry)
        self.rows_read = Counter("lutra_rows_read", "Rows read or found", operation, registry=registry)
        self.rows_written = Counter("lutra_rows_written", "Rows written", operation, registry=registry)
        self._running = Gauge("lutra_requests_in_flight", "Requests being answered", registry=registry)
        self._waiting = Gauge("lutra_queue_length", "Calls that wait for a thread", ["lane"], registry=registry)
        registry.register(_IndexCollector(engine, clock))
        registry.register(StorageCollector(engine.resources))
        ProcessCollector(registry=registry)
        self._by_operation: dict[str, OperationMetrics] = {}

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Where to read, when asked, how many requests are being answered."""
        self._running.set_function(count)

    def watch_lane(self, lane: Lane, pool: WorkerPool) -> None:
        """Whose queue to look at, when asked."""
        self._waiting.labels(lane.value).set_function(lambda: pool.waiting)

    def of(self, operation: str) -> OperationMetrics:
        """The counters of an operation. Give only known names, or one for all others: each makes new time series."""
        found = self._by_operation.get(operation)
        if found is None:
            found = self._by_operation[operation] = OperationMetrics(self, operation)
        return found

    def exposition(self) -> bytes:
        """The text Prometheus reads."""
        return generate_latest(self._registry)


class _IndexCollector(Collector):
    """How far each search index is behind, read when asked."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        labels = ["instance", "table", "index"]
        lag = GaugeMetricFamily(
            "lutra_index_lag_seconds", "Age of the newest write known to be searchable", labels=labels
        )
        rows = GaugeMetricFamily("lutra_index_rows", "Rows in the index", labels=labels)
        unindexed = GaugeMetricFamily(
            "lutra_index_unindexed_values", "Values left out since the start: not of their field's type", labels=labels
        )
        now_us = self._clock.now_us()
        for name in self._engine.instance_names():
            instance = self._engine.instance(name)
            for table, index in instance.list_search_indexes(None):
                try:
                    description = instance.describe_search_index(table, index)
                except LutraError:
                    continue  # deleted meanwhile
                values = [name, table, index]
                lag.add_metric(values, max(0, now_us - description.synced_us) / 1e6)
                rows.add_metric(values, description.rows)
                unindexed.add_metric(values, description.unindexed_values)
        yield from (lag, rows, unindexed)

    def describe(self) -> Iterator[Metric]:
        return iter(())
