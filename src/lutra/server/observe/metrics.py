"""What Prometheus can ask of a server (``GET /metrics``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from lutra.server.lanes.pool import WorkerPool
from lutra.server.lanes.reply import Reply
from lutra.server.protocol.operations import Lane

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
        self._distances = metrics.distances
        self._reads = metrics.reads

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
        """The rows a successful operation read or wrote, and what finding them took."""
        if reply.rows_read:
            self._rows_read.inc(reply.rows_read)
        if reply.rows_written:
            self._rows_written.inc(reply.rows_written)
        if reply.distances:
            self._distances.inc(reply.distances)
            self._reads.inc(reply.reads)


class Metrics:
    """All metrics of one server. Searches are the requests of operation ``Search``."""

    content_type = CONTENT_TYPE_LATEST.encode()

    def __init__(self, collectors: Iterable[Collector]) -> None:
        """``collectors``: what is asked of the engine, beside what is counted of requests (`engine_collectors`)."""
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
        self.distances = Counter(
            "lutra_neighbour_distances", "Distances taken by searches, estimates and exact ones", registry=registry
        )
        self.reads = Counter(
            "lutra_neighbour_reads", "Reads of vectors by searches, or blocks asked of the cache", registry=registry
        )
        self._running = Gauge("lutra_requests_in_flight", "Requests being answered", registry=registry)
        self._parked = Gauge(
            "lutra_requests_parked", "Searches that wait for their index, without a thread", registry=registry
        )
        self._waiting = Gauge("lutra_queue_length", "Calls that wait for a thread", ["lane"], registry=registry)
        for collector in collectors:
            registry.register(collector)
        ProcessCollector(registry=registry)
        self._by_operation: dict[str, OperationMetrics] = {}
        self.lanes: dict[Lane, WorkerPool] = {}
        """To look at."""

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Where to read, when asked, how many requests are being answered."""
        self._running.set_function(count)

    def watch_parked(self, count: Callable[[], int]) -> None:
        """Where to read, when asked, how many requests wait without a thread."""
        self._parked.set_function(count)

    def watch_lane(self, lane: Lane, pool: WorkerPool) -> None:
        """Whose queue to look at, when asked."""
        self.lanes[lane] = pool
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
