"""The newest rows of an index, in memory.

Rows become documents, numbered as they come and never changed: an update appends a new document and kills the old one,
and when most are dead the living are copied together. So a view is a handful of references, and readers and the writer
do not wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.fields.kind import Column
from lutra.fields.kinds import column_of, kind_of
from lutra.fields.space_fields import by_path
from lutra.index.lsm.live import LiveMask
from lutra.index.lsm.view import PartView
from lutra.kernels.row_mask import RowMask
from lutra.model.growable import Growable
from lutra.model.indexes import IndexSchema
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.scalars.strings import Strings

_DEAD_MIN: Final = 1_024
"""So many dead documents are carried along before a copy is thought of."""
_ROW_BYTES: Final = 64
"""Of a row beside its key and its fields: its number, its times, its place among the keys."""


@dataclass(frozen=True, slots=True)
class _Staged:
    keys: list[bytes]
    newest_ms: list[int]
    oldest_ms: list[int]
    size_bytes: int


class Buffer:
    """Documents of one index. One thread stages; ``publish``, ``kill`` and ``view`` take turns, its owner sees to that.

    A value that is not of its field's type, or too long for it, is left out and counted in ``unindexed``; its row is
    indexed all the same.
    """

    def __init__(self, schema: IndexSchema, key_columns: tuple[KeyColumn, ...]) -> None:
        self._doc_of: dict[bytes, int] = {}
        self._keys = Strings(prefix_free=key_columns[-1].type is ColumnType.INTEGER)
        self._live = LiveMask()
        self._newest_ms = Growable(np.int64)
        self._oldest_ms = Growable(np.int64)
        self._size_bytes = 0
        self._take({field.name: column_of(field) for field in schema.fields})
        self._strings_counted = {field.name for field in schema.fields if kind_of(field).counts_strings}
        # All names from the start: it is read while it is counted in.
        self.unindexed: Counter[str] = Counter(dict.fromkeys(self._columns, 0))
        """How many values of each field were left out."""
        self._row_bytes = _ROW_BYTES + sum(kind_of(field).value_bytes(field) for field in schema.fields)
        self._has_key_fields = any(column.name in self._fed for column in key_columns)
        self._staged: _Staged | None = None
        self._view: PartView | None = None

    def _take(self, columns: dict[str, Column]) -> None:
        """Has these columns, by the names of their fields."""
        self._columns = columns
        fed: dict[str, list[tuple[str, Column]]] = {}
        for name, column in columns.items():
            fed.setdefault(column.field.column, []).append((name, column))
        self._fed = fed
        """The fields by the table column that feeds them."""

    @property
    def rows(self) -> int:
        """That are live, those included that have expired but not been dropped yet."""
        return len(self._doc_of)

    @property
    def size_bytes(self) -> int:
        """About how much memory its documents take, the dead included."""
        return self._size_bytes + sum(column.size_bytes for column in self._columns.values())

    def stage(self, keys: list[bytes], rows: Sequence[Row], now_ms: int) -> None:
        """Takes in rows and their encoded keys, which are distinct; nothing of it shows before ``publish``."""
        first = self._live.size
        times = [self._stage(doc, row, now_ms) for doc, row in enumerate(rows, first)]
        newest_ms, oldest_ms = [newest for newest, _ in times], [oldest for _, oldest in times]
        for name, column in self._columns.items():
            if misfits := column.settle():
                self.unindexed[name] += misfits
        self._staged = _Staged(keys, newest_ms, oldest_ms, len(keys) * self._row_bytes + sum(map(len, keys)))

    def _stage(self, doc: int, row: Row, now_ms: int) -> tuple[int, int]:
        """Hands the newest version of each column to its field.

        Returns in ms the newest timestamp of all, and the oldest of those that were handed on, the newest where none
        was. A row without cells says itself when it was written, or it was at ``now_ms``.
        """
        fed = self._fed
        if self._has_key_fields:
            for name, key_value in row.key:
                for field, column in fed.get(name, ()):
                    if not column.stage(doc, key_value):
                        self.unindexed[field] += 1
        last = None
        bare_ms = now_ms if row.written_ms is None else row.written_ms
        newest_ms = row.cells[0][2] if row.cells else bare_ms
        oldest_ms: int | None = None
        for name, value, timestamp_ms in row.cells:
            if timestamp_ms > newest_ms:
                newest_ms = timestamp_ms
            if name == last:  # an older version
                continue
            last = name
            fields = fed.get(name)
            if fields is None:
                continue
            if oldest_ms is None or timestamp_ms < oldest_ms:
                oldest_ms = timestamp_ms
            for field, column in fields:
                if not column.stage(doc, value):
                    self.unindexed[field] += 1
                elif type(value) is str and field in self._strings_counted:
                    self._size_bytes += len(value)
        return newest_ms, newest_ms if oldest_ms is None else oldest_ms

    def publish(self) -> None:
        """Adds what is staged, in place of the documents of the same keys."""
        staged, self._staged = self._staged, None
        if staged is None:
            return
        first = self._live.size
        for column in self._columns.values():
            column.publish()
        self._keys.extend(staged.keys)
        self._newest_ms.extend(staged.newest_ms)
        self._oldest_ms.extend(staged.oldest_ms)
        self._live.extend(len(staged.keys))
        self.kill(staged.keys)
        self._doc_of.update(zip(staged.keys, range(first, first + len(staged.keys)), strict=True))
        self._size_bytes += staged.size_bytes
        self._view = None

    def kill(self, keys: Iterable[bytes]) -> bool:
        """Removes the documents of ``keys``. Whether there were any."""
        doc_of = self._doc_of
        dead = [doc for key in keys if (doc := doc_of.pop(key, None)) is not None]
        if dead:
            self._live.kill(dead)
            self._view = None
        return bool(dead)

    def expired(self, oldest_ms: int) -> list[bytes]:
        """The keys of the live documents whose newest timestamp is older."""
        return self._keys_of(self._live.view() & RowMask(self._newest_ms.view() < oldest_ms))

    def outdated(self, oldest_ms: int) -> list[bytes]:
        """The keys of the live documents of which a value was written before that."""
        return self._keys_of(self._live.view() & RowMask(self._oldest_ms.view() < oldest_ms))

    def _keys_of(self, mask: RowMask) -> list[bytes]:
        return [self._keys[doc] for doc in mask.ids().tolist()]

    def view(self) -> PartView:
        """The documents as they are now."""
        if self._view is None:
            size = self._live.size
            columns = self._columns.values()
            self._view = PartView(
                size=size,
                size_bytes=self.size_bytes,
                rows=size - self._live.dead,
                live=self._live.view(),
                keys=self._keys.view(),
                newest=self._newest_ms.view(),
                oldest=self._oldest_ms.view(),
                fields=by_path(kind_of, (column.view(size) for column in columns)),
            )
        return self._view

    @property
    def is_mostly_dead(self) -> bool:
        """Whether it is time for ``compacted``."""
        return self._live.dead > max(_DEAD_MIN, self._live.size // 2)

    def compacted(self, schema: IndexSchema, key_columns: tuple[KeyColumn, ...]) -> Buffer:
        """A new buffer of the living documents, numbered in the same order."""
        docs = self._live.view().ids()
        renumber: npt.NDArray[np.int32] = np.full(self._live.size, -1, np.int32)
        renumber[docs] = np.arange(len(docs), dtype=np.int32)
        result = Buffer(schema, key_columns)
        result.unindexed = self.unindexed
        result._take({name: column.compacted(renumber) for name, column in self._columns.items()})
        result._keys = self._keys.kept(docs)
        result._newest_ms.extend(self._newest_ms.view()[docs])
        result._oldest_ms.extend(self._oldest_ms.view()[docs])
        result._live.extend(len(docs))
        result._doc_of = dict(zip(result._keys, range(len(docs)), strict=True))
        result._size_bytes = self._size_bytes * len(docs) // max(1, self._live.size)
        return result
