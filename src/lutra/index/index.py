"""One search index in memory.

Rows become documents, numbered as they come and never changed: an update appends a new document and kills the old one,
and when most are dead the living are copied together. So a view is a handful of references, and readers and the writer
do not wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.index.live import LiveMask
from lutra.index.view import IndexView, PartView
from lutra.model.clock import Clock, SystemClock
from lutra.model.indexes import FieldType, IndexSchema
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.scalars.column import ScalarColumn
from lutra.scalars.growable import Growable
from lutra.scalars.strings import Strings
from lutra.tables.keys import KeyCodec
from lutra.vectors.column import VectorColumn

_DEAD_MIN: Final = 1_024
"""So many dead documents are carried along before a copy is thought of."""


class SearchIndex:
    """The documents of one index. Thread-safe; writers take turns, readers (``view``) wait for none.

    ``schema`` has been validated (`lutra.index.schema.validate_schema`). A value that does not fit its field's type is
    left out and counted in ``unindexed_values``; its row is indexed all the same.
    """

    def __init__(self, schema: IndexSchema, key_columns: tuple[KeyColumn, ...], clock: Clock | None = None) -> None:
        self.schema = schema
        self.key_columns = key_columns
        self.unindexed_values = 0
        self._clock: Clock = clock or SystemClock()
        self._codec = KeyCodec(b"", key_columns)
        self._table_ttl_s = -1
        self._writer = threading.Lock()
        self._lock = threading.Lock()  # held for moments: where what readers see changes as one
        self._view: IndexView | None = None
        self._doc_of: dict[bytes, int] = {}
        self._keys = Strings(prefix_free=key_columns[-1].type is ColumnType.INTEGER)
        self._live = LiveMask()
        self._newest_ms = Growable(np.int64)
        self._columns: dict[str, ScalarColumn | VectorColumn] = {
            f.name: VectorColumn(f) if f.type is FieldType.VECTOR else ScalarColumn(f) for f in schema.fields
        }
        self._has_key_fields = any(column.name in self._columns for column in key_columns)

    @property
    def rows(self) -> int:
        """Rows that are searchable, those included that have expired but not been dropped yet."""
        return len(self._doc_of)

    @property
    def table_ttl_s(self) -> int:
        """The table's time to live in seconds, -1 for ever. What is older than it, or the index's own, is not seen."""
        return self._table_ttl_s

    @table_ttl_s.setter
    def table_ttl_s(self, ttl_s: int) -> None:
        self._table_ttl_s = ttl_s

    def upsert(self, row: Row) -> None:
        """Adds a row, in place of the one of its key."""
        self.apply([row])

    def delete(self, key: PrimaryKey) -> None:
        """Removes the row of ``key``, if it is there."""
        self.apply([], [key])

    def apply(self, rows: Sequence[Row], deleted: Sequence[PrimaryKey] = ()) -> None:
        """Removes the rows of ``deleted``, then adds ``rows``, the later one where a key comes twice; all as one."""
        with self._writer:
            keys = [self._codec.encode(row.key) for row in rows]
            gone = [self._codec.encode(key) for key in deleted]
            now_ms = self._clock.now_us() // 1_000
            first = self._live.size
            newest_ms = [self._stage(doc, row, now_ms) for doc, row in enumerate(rows, first)]
            for column in self._columns.values():
                self.unindexed_values += column.settle()
            dead = [doc for key in gone if (doc := self._doc_of.pop(key, None)) is not None]
            for doc, key in enumerate(keys, first):
                before = self._doc_of.get(key)
                if before is not None:
                    dead.append(before)
                self._doc_of[key] = doc
            with self._lock:
                for column in self._columns.values():
                    column.publish()
                self._keys.extend(keys)
                self._newest_ms.extend(newest_ms)
                self._live.extend(len(keys))
                self._live.kill(dead)
                self._view = None
            self._compact_if_due()

    def _stage(self, doc: int, row: Row, now_ms: int) -> int:
        """Hands the newest version of each column to its field.

        Returns the newest timestamp of all, in ms; ``now_ms`` for a row without cells, whose time only the table knows.
        """
        columns = self._columns
        if self._has_key_fields:
            for name, key_value in row.key:
                column = columns.get(name)
                if column is not None and not column.stage(doc, key_value):
                    self.unindexed_values += 1
        last = None
        newest_ms = row.cells[0][2] if row.cells else now_ms
        for name, value, timestamp_ms in row.cells:
            if timestamp_ms > newest_ms:
                newest_ms = timestamp_ms
            if name == last:  # an older version
                continue
            last = name
            column = columns.get(name)
            if column is not None and not column.stage(doc, value):
                self.unindexed_values += 1
        return newest_ms

    def view(self) -> IndexView:
        """The index as it is now: everything applied, less what has expired."""
        with self._lock:
            if self._view is None:
                self._view = self._view_of(self._buffer())
            view = self._view
        oldest_ms = self._oldest_ms()
        if oldest_ms is None:
            return view
        (part,) = view.parts
        assert isinstance(part, PartView)
        live = part.live & (part.newest >= oldest_ms)
        return self._view_of(replace(part, live=live, rows=int(np.count_nonzero(live))))

    def _buffer(self) -> PartView:
        size = self._live.size
        columns = self._columns.values()
        return PartView(
            size=size,
            rows=size - self._live.dead,
            live=self._live.view(),
            keys=self._keys.view(),
            newest=self._newest_ms.view(),
            scalars={c.field.name: c.view(size) for c in columns if isinstance(c, ScalarColumn)},
            vectors={c.field.name: c.view(size) for c in columns if isinstance(c, VectorColumn)},
        )

    def _view_of(self, part: PartView) -> IndexView:
        return IndexView(self.schema, self.key_columns, (part,), self._codec.decode, self._clock)

    def _oldest_ms(self) -> int | None:
        """The least timestamp that has not expired; None where nothing expires."""
        ttls_s = [ttl_s for ttl_s in (self.schema.ttl_s, self._table_ttl_s) if ttl_s >= 0]
        return self._clock.now_us() // 1_000 - min(ttls_s) * 1_000 if ttls_s else None

    def drop_expired(self) -> int:
        """Removes what has expired; returns how many rows. To be called now and then where rows expire."""
        oldest_ms = self._oldest_ms()
        if oldest_ms is None:
            return 0
        with self._writer:
            expired = np.flatnonzero(self._live.view() & (self._newest_ms.view() < oldest_ms)).tolist()
            for doc in expired:
                del self._doc_of[self._keys[doc]]
            with self._lock:
                self._live.kill(expired)
                self._view = None
            self._compact_if_due()
        return len(expired)

    def _compact_if_due(self) -> None:
        """Copies the living together once they are the smaller part. Views already taken keep the old arrays."""
        if self._live.dead <= max(_DEAD_MIN, self._live.size // 2):
            return
        alive = self._live.view()
        docs = np.flatnonzero(alive)
        renumber: npt.NDArray[np.int32] = np.where(alive, np.cumsum(alive) - 1, -1).astype(np.int32)
        columns: dict[str, ScalarColumn | VectorColumn] = {
            name: column.compacted(renumber) for name, column in self._columns.items()
        }
        keys = self._keys.kept(docs)
        newest_ms = Growable(np.int64)
        newest_ms.extend(self._newest_ms.view()[docs])
        live = LiveMask()
        live.extend(len(docs))
        doc_of = dict(zip(keys, range(len(docs)), strict=True))
        with self._lock:
            self._columns, self._keys, self._doc_of = columns, keys, doc_of
            self._newest_ms, self._live = newest_ms, live
            self._view = None
