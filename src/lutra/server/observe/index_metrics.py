"""How far search indexes are, and what they consist of."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lutra.feed.feed import Watermarks
from lutra.index.lsm.stats import IndexStats
from lutra.instance.engine import Engine
from lutra.instance.recall_sampler import IndexKey
from lutra.model.clock import Clock
from lutra.model.errors import LutraError
from lutra.model.indexes import IndexDescription
from lutra.model.recall_estimate import RecallEstimate


class IndexCollector(Collector):
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
                for is_filtered in (False, True):
                    measured = self._engine.recall.measured(IndexKey(name, table, index), is_filtered)
                    if measured is not None:
                        gauges.add_recall([name, table, index, str(is_filtered).lower()], measured)
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
        self._recall = self._made(
            "measured_recall",
            "Share of the true neighbours that searches found, of those that were measured, and a 95 % interval",
            "filtered",
            "bound",
        )
        self._recall_searches = self._made("measured_searches", "Searches that were measured for it", "filtered")
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

    def add_recall(self, labels: list[str], measured: RecallEstimate) -> None:
        for bound, value in (("mean", measured.recall), ("low", measured.low), ("high", measured.high)):
            self._recall.add_metric([*labels, bound], value)
        self._recall_searches.add_metric(labels, measured.searches)

    def _made(self, name: str, text: str, *more: str) -> GaugeMetricFamily:
        labels = ["instance", "table", "index", *more]
        self.all.append(GaugeMetricFamily(f"lutra_index_{name}", text, labels=labels))
        return self.all[-1]
