"""About how much memory a database takes, from what SlateDB counts."""

from __future__ import annotations

import threading
from typing import Any, Final

from lutra.kv.slatedb.settings import BLOCK_BYTES, SlateSettings

_WRITTEN: Final = "slatedb.db.memtable_write_bytes"
_TABLES_WRITTEN: Final = "slatedb.db.immutable_memtable_flushes"
_CACHE: Final = "slatedb.db_cache.access_count"


class MemoryMeter:
    """``recorder`` is to be given to the database."""

    def __init__(self, bindings: Any, settings: SlateSettings) -> None:
        self.recorder = bindings.DefaultMetricsRecorder()
        self._settings = settings
        self._lock = threading.Lock()
        self._tables = 0
        self._written = self._in_tables = 0
        """Bytes, since it was opened."""

    def memory_bytes(self) -> int:
        """Of blocks that were read, and of what was written lately."""
        missed = sum(
            _number(metric)
            for metric in self.recorder.metrics_by_name(_CACHE)
            if any(label.key == "result" and label.value == "miss" for label in metric.labels)
        )
        return min(missed * BLOCK_BYTES, self._settings.block_cache_bytes) + self.unflushed_bytes()

    def unflushed_bytes(self) -> int:
        """Of what was written and is in no table yet."""
        with self._lock:
            self._look()
            return self._written - self._in_tables

    def flushed(self) -> None:
        """All that was written before is in tables."""
        with self._lock:
            self._look()
            self._in_tables = self._written

    def _look(self) -> None:
        """SlateDB writes a table by itself when a write buffer is full: what is left is in one that is not."""
        written, tables = self._sum(_WRITTEN), self._sum(_TABLES_WRITTEN)
        if tables != self._tables:
            self._tables = tables
            self._in_tables = max(self._in_tables, self._written, written - self._settings.write_buffer_bytes)
        self._written = written

    def _sum(self, name: str) -> int:
        return sum(map(_number, self.recorder.metrics_by_name(name)))


def _number(metric: Any) -> int:
    return int(metric.value[0])
