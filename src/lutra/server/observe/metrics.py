"""What Prometheus can ask of a server (``GET /metrics``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from lutra.feed.feed import Watermarks
from lutra.index.lsm.stats import IndexStats
from lutra.instance.engine import Engine
from lutra.model.clock import Clock
from lutra.model.errors import LutraError
from lutra.model.indexes import IndexDescription
from lutra.server.lanes.pool import WorkerPool
from lutra.server.lanes.reply import Reply
from lutra.server.observe.embedding_metrics import EmbeddingCollector
from lutra.server.observe.scan_metrics import ScanCollector
from lutra.server.observe.secondary_metrics import SecondaryCollector
from lutra.server.observe.storage_metrics import StorageCollector
from lutra.server.observe.stream_metrics import StreamCollector
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
        registry.register(_IndexCollector(engine, clock))
        registry.register(SecondaryCollector(engine, clock))
        registry.register(EmbeddingCollector(engine, clock))
        registry.register(StorageCollector(engine.resources))
        registry.register(ScanCollector(engine.partition.scans))
        self._transactions = Gauge("lutra_transactions", "Local transactions that are open", registry=registry)
        self._transactions.set_function(lambda: engine.partition.space.transactions.count)
        registry.register(StreamCollector(engine))
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


class _IndexCollector(Collector):
    """How far each search index is behind, and what it consists of; read when asked."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        gauges = _IndexGauges()
        for name in self._engine.instance_names():
            instance = self._engine.instance(name)
            for table, index in instance.list_search_indexes(None):
                try:
                    description = instance.describe_search_index(table, index)
                    watermarks, stats = instance.index_stats(table, index)
                except LutraError:
                    continue  # deleted meanwhile
                gauges.add([name, table, index], self._clock.now_us(), description, watermarks, stats)
        yield from gauges.all

    def describe(self) -> Iterator[Metric]:
        return iter(())


class _IndexGauges:
    """One set of samples of all indexes."""

    def __init__(self) -> None:
        self.all: list[GaugeMetricFamily] = []
        self._lag = self._made("lag_seconds", "Age of the newest write known to be searchable")
        self._rows = self._made("rows", "Rows in the index")
        self._unindexed = self._made(
            "unindexed_values",
            "Values left out since the index was made: not of their field's type, or too long",
            "field",
        )
        self._sequence = self._made(
            "sequence", "Changes of the table up to it are written, searchable, indexed", "mark"
        )
        self._segments = self._made("segments", "Segments, by what their vectors have", "kind")
        self._fallbacks = self._made(
            "fallback_segments", "Segments whose searches scan all codes or compare all rows, as plans miss", "by"
        )
        self._exact = self._made(
            "exact_rows", "Rows of segments that codes do not describe: every search compares them"
        )
        self._disk = self._made("disk_bytes", "Bytes of segments on the store", "class")
        self._memory = self._made(
            "memory_bytes", "Bytes in memory: of segments, beside the block cache, and of buffers", "part"
        )
        self._damaged = self._made("damaged_rows", "Rows of the table that cannot be read, and the index leaves out")
        self._dead = self._made("dead_rows", "Rows of segments that were deleted or replaced")
        self._written = self._made("written_bytes", "Bytes put on the store since the index was made", "by")

    def add(
        self, labels: list[str], now_us: int, description: IndexDescription, marks: Watermarks, stats: IndexStats
    ) -> None:
        self._lag.add_metric(labels, max(0, now_us - description.synced_us) / 1e6)
        self._rows.add_metric(labels, description.rows)
        self._damaged.add_metric(labels, marks.damaged_rows)
        self._dead.add_metric(labels, stats.dead)
        self._exact.add_metric(labels, stats.exact_rows)
        written = stats.written
        for family, values in (
            (self._sequence, {"written": marks.written, "searchable": marks.searchable, "indexed": marks.indexed}),
            (self._segments, stats.kinds),
            (self._fallbacks, stats.fallbacks),
            (self._disk, stats.bytes_by_class),
            (self._memory, {"segments": stats.resident_bytes, "buffers": stats.buffer_bytes}),
            (self._unindexed, stats.unindexed),
            (self._written, {"flush": written.flushed, "build": written.built, "deletions": written.deletions}),
        ):
            for label, value in values.items():
                family.add_metric([*labels, label], value)

    def _made(self, name: str, text: str, label: str | None = None) -> GaugeMetricFamily:
        labels = ["instance", "table", "index", *([] if label is None else [label])]
        self.all.append(GaugeMetricFamily(f"lutra_index_{name}", text, labels=labels))
        return self.all[-1]
