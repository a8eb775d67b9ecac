"""Whether a global secondary index of a stopped cluster lists what its table says, over the partitions of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from lutra.cluster.map import ClusterMap, PartitionEntry, TableEntry
from lutra.kv.store import prefix_end
from lutra.model.names import shown
from lutra.model.schema import SecondaryIndex
from lutra.tables import keyspace, storedrow
from lutra.tables.indexrows import IndexRows
from lutra.tables.keys import KeyCodec
from lutra.tables.outgoingindex import outgoing_progress, unsettled_keys
from lutra.tables.space import TableSpace

_CHANGES_AT_ONCE: Final = 10_000

OpenSpace = Callable[[PartitionEntry, TableEntry], Iterator[TableSpace]]
"""Gives the tables of a partition, once, and closes them when it is gone on with; nothing where it is empty."""


class GlobalIndexCheck:
    """Of one index. Keeps some 200 bytes a row of it."""

    def __init__(self, known: ClusterMap, table: TableEntry, index: SecondaryIndex, open_space: OpenSpace) -> None:
        self.is_filled = True
        """Whether all partitions of the table say so: else there is nothing to compare."""
        self._known = known
        self._table = table
        self._rows = IndexRows(table.schema, index)
        self._open_space = open_space
        self._main = KeyCodec(b"", table.schema.key)
        self._expected: dict[bytes, bytes] = {}
        """Value by encoded key, of rows that have not changed since the index took them in."""
        self._changed: set[bytes] = set()
        """Encoded keys of the table's rows that have."""

    def faults(self) -> Iterator[str]:
        """What is wrong, a row each. Raises StorageFailure, Corruption."""
        for entry in self._known.partitions_of(self._table.uid):
            for space in self._open_space(entry, self._table):
                self._read_main(space)
        if not self.is_filled:
            return
        compares_values = self._table.schema.options.ttl_s < 0  # of a row that expires little by little they differ
        as_table = self._known.by_uid(self._rows.index.index_id)
        assert as_table is not None
        for entry in self._known.partitions_of(as_table.uid):
            for space in self._open_space(entry, as_table):
                for key, value in self._listed(space, as_table):
                    expected = self._expected.pop(key, None)
                    if self._main_key(key) in self._changed:
                        continue
                    if expected is None:
                        yield f"row {self._told(key)} is in the index, and not in the table"
                    elif compares_values and expected != value:
                        yield f"row {self._told(key)} is otherwise in the index than in the table"
        for key in self._expected:
            yield f"row {self._told(key)} is in the table, and not in the index"

    def _read_main(self, space: TableSpace) -> None:
        tables, index_id = space.instance(self._table.instance), self._rows.index.index_id
        table_id = tables.describe(self._table.name).table_id
        progress = outgoing_progress(space.store, index_id)
        self.is_filled = self.is_filled and progress.is_filled
        changed = set(unsettled_keys(space.store, index_id))
        after = progress.position
        while changes := space.changelog.read(table_id, after, _CHANGES_AT_ONCE):
            changed.update(self._main.encode(change.key) for change in changes)
            after = changes[-1].sequence
        self._changed |= changed
        with space.store.snapshot() as snapshot:
            for row in tables.scan_rows(table_id, snapshot):
                if self._main.encode(row.key) not in changed:
                    row_ms = max((cell[2] for cell in row.cells), default=row.written_ms or 0)
                    found = self._rows.entry(row.key, row.cells, row_ms)
                    if found is not None:
                        self._expected[found[0][len(self._rows.prefix) :]] = found[1]

    def _listed(self, space: TableSpace, as_table: TableEntry) -> Iterator[tuple[bytes, bytes]]:
        """Encoded key and value of each index row that has not expired."""
        table = space.table(as_table.instance, as_table.name)
        prefix = keyspace.rows_prefix(table.table_id)
        for key, value in space.store.scan(prefix, prefix_end(prefix)):
            if storedrow.decode(value, table, space.clock.now_us() // 1_000) is not None:
                yield key[len(prefix) :], value

    def _main_key(self, key: bytes) -> bytes:
        return self._main.encode(self._rows.main_key(self._rows.keys.decode_bare(key)))

    def _told(self, key: bytes) -> str:
        return shown(str(dict(self._rows.keys.decode_bare(key))))
