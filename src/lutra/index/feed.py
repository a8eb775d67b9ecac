"""One search index following its table."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lutra.index.definition import IndexDefinition
from lutra.index.index import SearchIndex
from lutra.index.view import IndexView
from lutra.kv.store import KeyValueStore, Snapshot
from lutra.model.clock import Clock
from lutra.model.errors import RequestTimeout
from lutra.model.indexes import IndexDescription, SyncPhase
from lutra.model.rows import PrimaryKey, Row
from lutra.tables.changelog import Changelog
from lutra.tables.tables import Tables

_CHUNK_ROWS_MAX: Final = 512
_CHUNK_BYTES: Final = 4 * 1024 * 1024
_CHANGES_MAX: Final = 1_024
_RETRY_FIRST_S: Final = 0.1
_RETRY_LAST_S: Final = 30.0
_EXPIRY_PERIOD_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far an index is behind its table.

    ``written``: the last sequence of the changelog. ``searchable``: every change up to that sequence is in the index;
    -1 while it is being filled. ``synced_us``: every change acknowledged before that time is; 0 while filling.
    """

    written: int
    searchable: int
    synced_us: int
    rows: int


class Feed:
    """Fills one index from its table and follows the table's changes; the feeder's thread drives it step by step.

    All but ``step``, ``failed`` and ``close`` may be called from any thread.
    """

    def __init__(
        self, definition: IndexDefinition, tables: Tables, changelog: Changelog, store: KeyValueStore, clock: Clock
    ) -> None:
        """Raises ObjectNotExist where the table is gone."""
        self.definition = definition
        self.error: str | None = None
        """What went wrong last, until a step succeeds."""
        self.retry_at_s = 0.0
        """No step before this time (``time.monotonic``)."""
        self._tables = tables
        self._changelog = changelog
        self._store = store
        self._clock = clock
        self._changed = threading.Condition()
        self._closed = False
        self._retry_s = _RETRY_FIRST_S
        self._expire_at_s = 0.0
        self._chunk_rows = _CHUNK_ROWS_MAX
        self._table_ttl_s = -1
        self._key_columns = tables.describe(definition.table).schema.key
        self._index = self._building = self._new_index()
        self._applying = False
        self._phase = SyncPhase.FULL
        self._snapshot: Snapshot | None = None
        self._scan: Iterator[Row] | None = None
        self._synced_us = 0
        # Where following begins. The changelog is kept from here on, so it is set before anything is read.
        self._position = changelog.last_sequence

    # --- for everybody ----------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """Changes up to this sequence are not needed any more."""
        return self._position

    def view(self) -> IndexView:
        """What is searchable now; while the index is filled for the first time, what there is so far."""
        return self._index.view()

    def watermarks(self) -> Watermarks:
        with self._changed:
            filling = self._phase is SyncPhase.FULL
            return Watermarks(
                self._changelog.last_sequence, -1 if filling else self._position, self._synced_us, self._index.rows
            )

    def description(self) -> IndexDescription:
        """How the index is at this moment. Raises StorageFailure, Corruption."""
        definition, index = self.definition, self._index
        synced_us = self._refreshed_us()
        return IndexDescription(
            table=definition.table,
            name=definition.name,
            schema=definition.schema,
            created_us=definition.created_us,
            phase=self._phase,
            synced_us=synced_us,
            rows=index.rows,
            unindexed_values=index.unindexed_values,
        )

    def _refreshed_us(self) -> int:
        """``synced_us``, moved on to now where the table has no change that the index has not.

        SDK users wait for a time later than their last write; without this a quiet index would tell so only at the
        feeder's next tick.
        """
        now_us, position = self._clock.now_us(), self._position
        has_all = not self._changelog.read(self.definition.table_id, position, 1)
        with self._changed:
            if has_all and self._phase is SyncPhase.INCR and position <= self._position:
                self._synced_us = max(self._synced_us, now_us)
            return self._synced_us

    def wait(self, sequence: int, timeout_s: float) -> None:
        """Returns when every change up to ``sequence`` is searchable. Raises RequestTimeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._reached(sequence), timeout_s)
            if not self._reached(sequence):
                why = "it was closed" if self._closed else self.error or f"it is at {self._position} of {sequence}"
                raise RequestTimeout(f"search index [{self.definition.name}] is not up to date: {why}")

    def _reached(self, sequence: int) -> bool:
        return self._phase is SyncPhase.INCR and self._position >= sequence

    # --- for the feeder's thread ------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Takes in one chunk of rows or changes. Whether there is more to take in at once. Raises what goes wrong."""
        more = self._fill() if self._phase is SyncPhase.FULL else self._follow()
        self._expire()
        more = more or self._phase is SyncPhase.FULL
        if self.error is not None:
            self.error, self._retry_s = None, _RETRY_FIRST_S
        return more

    def failed(self, error: Exception) -> None:
        """Puts the next step off, longer each time. An index that failed in the middle of a change is filled anew."""
        self.error = f"{type(error).__name__}: {error}"
        self.retry_at_s = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _RETRY_LAST_S)
        if self._applying or self._phase is SyncPhase.FULL:
            self._applying = False
            self._start_anew()

    def close(self) -> None:
        """Lets go of the store, and of those who wait."""
        self._end_scan()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start_anew(self) -> None:
        """Fills a new index; the old one serves as it is until that is done."""
        self._end_scan()
        with self._changed:
            self._phase, self._synced_us = SyncPhase.FULL, 0
        self._building = self._new_index()

    def _new_index(self) -> SearchIndex:
        return SearchIndex(self.definition.schema, self._key_columns, self._clock)

    def _fill(self) -> bool:
        if self._scan is None:
            self._position = self._changelog.last_sequence  # before the snapshot: what lies in both is read twice
            self._snapshot = self._store.snapshot()
            self._scan = self._tables.scan_rows(self.definition.table_id, self._snapshot)
        rows: list[Row] = []
        size_bytes = 0
        for row in self._scan:
            rows.append(row)
            size_bytes += _size_bytes(row)
            if len(rows) == _CHUNK_ROWS_MAX or size_bytes >= _CHUNK_BYTES:
                self._apply(rows, [])
                return True
        self._apply(rows, [])
        self._end_scan()
        with self._changed:
            self._index = self._building
            self._phase = SyncPhase.INCR
            self._changed.notify_all()
        return True

    def _follow(self) -> bool:
        now_us, last = self._clock.now_us(), self._changelog.last_sequence
        changes = self._changelog.read(self.definition.table_id, self._position, _CHANGES_MAX)
        keys = list(dict.fromkeys(change.key for change in changes))
        while keys:
            chunk, keys = keys[: self._chunk_rows], keys[self._chunk_rows :]
            self._take_in(chunk)
        drained = len(changes) < _CHANGES_MAX
        reached = changes[-1].sequence if changes else self._position
        with self._changed:
            self._position = max(reached, last) if drained else reached
            if drained:
                self._synced_us = max(self._synced_us, now_us)
            self._changed.notify_all()
        return not drained

    def _take_in(self, keys: list[PrimaryKey]) -> None:
        """Brings the rows of ``keys`` up to what they are now."""
        found = self._tables.read_rows(self.definition.table_id, keys)
        rows = [row for row in found if row is not None]
        self._apply(rows, [key for key, row in zip(keys, found, strict=True) if row is None])
        size_bytes = sum(map(_size_bytes, rows))
        if size_bytes > _CHUNK_BYTES:
            self._chunk_rows = max(1, self._chunk_rows // 2)
        elif size_bytes < _CHUNK_BYTES // 4:
            self._chunk_rows = min(_CHUNK_ROWS_MAX, self._chunk_rows * 2)

    def _apply(self, rows: list[Row], deleted: list[PrimaryKey]) -> None:
        self._applying = True
        self._building.apply(rows, deleted)
        self._applying = False

    def _expire(self) -> None:
        """Follows the table's time to live, and now and then drops what has outlived it.

        Where it has become longer, rows may be back in the table that the index left out.
        """
        before_s = self._table_ttl_s
        self._table_ttl_s = self._tables.describe(self.definition.table).schema.options.ttl_s
        if before_s >= 0 and (self._table_ttl_s < 0 or self._table_ttl_s > before_s):
            self._start_anew()
        self._index.table_ttl_s = self._building.table_ttl_s = self._table_ttl_s
        now_s = time.monotonic()
        if now_s >= self._expire_at_s:
            self._expire_at_s = now_s + _EXPIRY_PERIOD_S
            self._building.drop_expired()

    def _end_scan(self) -> None:
        self._scan = None
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None


def _size_bytes(row: Row) -> int:
    """About how much memory a row's values take."""
    return sum(len(value) if isinstance(value, str | bytes) else 8 for _, value, _ in row.cells)
