"""About how much memory a database takes, from what SlateDB counts."""

from __future__ import annotations

import threading
from typing import Any

from lutra.kv.slatedb.settings import BLOCK_BYTES, SlateSettings

_WRITTEN = "slatedb.db.memtable_write_bytes"
_TABLES_WRITTEN = "slatedb.db.immutable_memtable_flushes"
_CACHE = "slatedb.db_cache.access_count"


class MemoryMeter:
    """``recorder`` is to be given to the database."""

    def __init__(self, bindings: Any, settings: SlateSettings) -> None:
        self.recorder = bindings.DefaultMetricsRecorder()
        self._settings = settings
        self._lock = threading.Lock()
        self._tables = self._in_tables_bytes = 0

    def memory_bytes(self) -> int:
        """Of blocks that were read, and of what was written lately."""
        missed = sum(
            _number(metric)
            for metric in self.recorder.metrics_by_name(_CACHE)
            if any(label.key == "result" and label.value == "miss" for label in metric.labels)
        )
        return min(missed * BLOCK_BYTES, self._settings.block_cache_bytes) + self.unflushed_bytes()

    def unflushed_bytes(self) -> int:
        """Of what was written and is in no table yet, as far as that was looked at before tables were written."""
        with self._lock:
            written, tables = self._sum(_WRITTEN), self._sum(_TABLES_WRITTEN)
            if tables != self._tables:
                self._tables, self._in_tables_bytes = tables, max(self._in_tables_bytes, self._seen_bytes)
            self._seen_bytes = written
            return min(written - self._in_tables_bytes, 4 * self._settings.write_buffer_bytes)

    _seen_bytes = 0

    def _sum(self, name: str) -> int:
        return sum(map(_number, self.recorder.metrics_by_name(name)))


def _number(metric: Any) -> int:
    return int(metric.value[0])
