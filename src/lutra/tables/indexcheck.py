"""Whether a secondary index lists what its table says, neither more nor less. It is read, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from lutra.kv.store import Reader, prefix_end
from lutra.model.errors import Corruption
from lutra.model.rows import Cell
from lutra.model.schema import IndexKind
from lutra.tables import keyspace, storedrow
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexrows import Entry, IndexRows
from lutra.tables.table import Table

_ROWS_PER_REPORT: Final = 1_024

Fault = tuple[str, str]
"""Where, and what is wrong."""


class IndexCheck:
    """Of one index, over a store that nobody writes to."""

    def __init__(self, store: Reader, table: Table, as_table: Table, rows: IndexRows, now_ms: int) -> None:
        """``as_table``: the index as it is read. Raises StorageFailure, Corruption."""
        self._store = store
        self._table = table
        self._as_table = as_table
        self._rows = rows
        self._now_ms = now_ms
        self._is_local = rows.index.kind is IndexKind.LOCAL
        self._back = keyspace.back_prefix(rows.index.index_id)
        stored = store.get(keyspace.progress_key(rows.index.index_id))
        self.progress = IndexProgress(is_filled=True, is_shown=True)
        if stored is not None:
            self.progress = IndexProgress.from_json(stored)
        elif not self._is_local:
            raise Corruption("how far the index is was not stored")
        ttl_s, by_s = table.schema.options.ttl_s, self.progress.ttl_s
        self.waits_for_filling = not self._is_local and by_s >= 0 and not 0 <= ttl_s <= by_s
        """Whether it will be filled anew, as the table's time to live has become longer."""
        self.count = 0
        """Rows of it that were looked at."""

    def faults(self, changed: set[bytes], on_rows: Callable[[int], None]) -> Iterator[Fault]:
        """What is wrong. ``changed``: bare keys of rows of which nothing is asked. Raises StorageFailure."""
        yield from self._missing(changed, on_rows)
        yield from self._extra(changed, on_rows)
        if not self._is_local:
            yield from self._unknown()

    def _missing(self, changed: set[bytes], on_rows: Callable[[int], None]) -> Iterator[Fault]:
        is_whole = self.progress.is_filled and self._rows.index.includes_base and not self.waits_for_filling
        prefix = self._table.keys.prefix
        for number, (stored_key, value) in enumerate(self._store.scan(prefix, prefix_end(prefix)), 1):
            if number % _ROWS_PER_REPORT == 0:
                on_rows(number)
            if stored_key[len(prefix) :] in changed:
                continue
            entry = self._entry(stored_key, value)
            if entry is None:
                continue
            found = self._store.get(entry[0])
            if found is None:
                if is_whole and self._live(entry[1]) is not None:
                    yield self._place(stored_key), "is not in the index"
            elif self._differ(entry[1], found):
                yield self._place(stored_key), "is in the index with other values than in the table"

    def _extra(self, changed: set[bytes], on_rows: Callable[[int], None]) -> Iterator[Fault]:
        keys = self._rows.keys
        for stored_key, value in self._store.scan(keys.prefix, prefix_end(keys.prefix)):
            self.count += 1
            if self.count % _ROWS_PER_REPORT == 0:
                on_rows(self.count)
            try:
                main_key = self._table.keys.encode(self._rows.main_key(keys.decode(stored_key)))
                live = self._live(value)
            except Corruption as error:
                yield f"entry {stored_key.hex()}", str(error)
                continue
            bare = main_key[len(self._table.keys.prefix) :]
            if not self._is_local and self._store.get(self._back + bare) != stored_key[len(keys.prefix) :]:
                yield self._place(main_key), "is in the index under a key that the index does not know it by"
            if bare in changed or (live is None and not self._is_local):
                continue
            stored = self._store.get(main_key)
            entry = None if stored is None else self._entry(main_key, stored)
            if entry is None or entry[0] != stored_key:
                yield self._place(main_key), "is in the index, but not so in the table"

    def _unknown(self) -> Iterator[Fault]:
        """What the index takes for one of its rows is there."""
        for back_key, own_key in self._store.scan(self._back, prefix_end(self._back)):
            if self._store.get(self._rows.prefix + own_key) is None:
                main_key = self._table.keys.prefix + back_key[len(self._back) :]
                yield self._place(main_key), "is not where the index says that it is"

    def _entry(self, stored_key: bytes, value: bytes) -> Entry | None:
        """What the index is to have of a stored row; of one that cannot be read nothing is known."""
        try:
            now_ms = None if self._is_local else self._now_ms
            cells = storedrow.decode(value, self._table, now_ms)
        except Corruption:
            return None
        if cells is None:
            return None
        return self._rows.entry(self._table.keys.decode(stored_key), cells, storedrow.written_ms(value, cells))

    def _live(self, value: bytes) -> list[Cell] | None:
        return storedrow.decode(value, self._as_table, self._now_ms)

    def _differ(self, wanted: bytes, found: bytes) -> bool:
        if self._is_local:
            return wanted != found
        try:
            return self._live(wanted) != self._live(found)
        except Corruption:
            return True

    def _place(self, stored_key: bytes) -> str:
        return f"row {dict(self._table.keys.decode(stored_key))}"
