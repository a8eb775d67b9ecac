"""A local secondary index: what follows a table within the commit of each row."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from lutra.kv.store import prefix_end
from lutra.model.errors import Corruption
from lutra.tables import storedrow
from lutra.tables.indexrows import Entry, IndexRows

if TYPE_CHECKING:
    from lutra.tables.effects import ChangedRow, Effects


class LocalIndex:
    """A `lutra.tables.effects.Follower`. A row's old entry is known by what the table stores of the row."""

    __slots__ = ("_has_all", "rows")

    needs_old: Final = True

    def __init__(self, rows: IndexRows) -> None:
        self.rows = rows
        # Else a row from before the index may be new to it though nothing of its entry has changed.
        self._has_all = rows.index.includes_base

    def row_changed(self, row: ChangedRow, effects: Effects) -> None:
        new = None
        if row.new is not None:
            row_ms = max(cell[2] for cell in row.new) if row.new else row.now_ms
            new = self.rows.entry(row.key, row.new, row_ms)
        try:
            old = self._entry_before(row)
        except Corruption:
            self._forget(row, effects)
            old = None
        if old is not None and (new is None or new[0] != old[0]):
            effects.put(old[0], None)
        if new is not None and (new != old or not self._has_all):
            effects.put(*new)

    def _entry_before(self, row: ChangedRow) -> Entry | None:
        if row.before is None:
            return None
        cells = row.old
        if cells is None or row.table.ttl_ms is not None:  # what has expired has an entry yet
            cells = storedrow.decode(row.before, row.table, None) or []
        return self.rows.entry(row.key, cells, storedrow.written_ms(row.before, cells))

    def _forget(self, row: ChangedRow, effects: Effects) -> None:
        """What is stored of the row cannot be read: its entry is found by its key, below that partition key.

        Where the index is damaged, too, an entry may be left, which `lutra fsck` tells: the row itself is mended.
        """
        keys = self.rows.keys
        begin = keys.prefix + keys.encode_partition(row.key)
        with suppress(Corruption):
            for stored_key, _ in effects.scan(begin, prefix_end(begin)):
                if self.rows.main_key(keys.decode(stored_key)) == row.key:
                    effects.put(stored_key, None)
