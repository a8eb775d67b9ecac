"""Filling secondary indexes, keeping global ones, and removing those that were dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model.errors import Corruption, ObjectNotExist
from lutra.model.rows import PrimaryKey
from lutra.tables import keyspace, storedrow
from lutra.tables.catalog import Catalog
from lutra.tables.committer import GroupCommitter, Pending
from lutra.tables.effects import Effects
from lutra.tables.globalindex import GlobalRows
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexrows import IndexRows
from lutra.tables.refusals import no_table
from lutra.tables.table import Table
from lutra.tables.writer import RowWriter

NO_PROGRESS: Final = IndexProgress()


class IndexWriter:
    """Of all secondary indexes of one store. Thread-safe."""

    def __init__(self, store: KeyValueStore, committer: GroupCommitter, catalog: Catalog, writer: RowWriter) -> None:
        self._store = store
        self._committer = committer
        self._catalog = catalog
        self._writer = writer

    def progress(self, index_id: int) -> IndexProgress:
        """How far an index is, as it is stored. Raises StorageFailure, Corruption."""
        stored = self._store.get(keyspace.progress_key(index_id))
        return NO_PROGRESS if stored is None else IndexProgress.from_json(stored)

    def settle(self, table_id: int, timeout_s: float) -> bool:
        """Whether all who were writing to the table have ended in that time: later ones know its indexes."""
        table = self._catalog.by_id(table_id)
        return table is None or table.gate.settle(timeout_s)

    def ttl_s(self, table_id: int) -> int:
        """How long values of the table live, -1 for ever. Raises ObjectNotExist."""
        return self._table(table_id).schema.options.ttl_s

    def fill(self, table_id: int, index_id: int, keys: Sequence[PrimaryKey], progress: IndexProgress) -> None:
        """Has a local index list these rows, as they are at this moment, and notes its progress in the same commit.

        Raises ObjectNotExist where the index is gone, OperationConflict, StorageFailure.
        """

        def put(table: Table, effects: Effects) -> None:
            rows = _index_of(table, index_id)
            for key, stored_key in zip(keys, stored_keys, strict=True):
                stored = effects.get(stored_key)
                try:
                    cells = None if stored is None else storedrow.decode(stored, table, None)
                except Corruption:  # no index has it, until it is written anew
                    continue
                if stored is not None and cells is not None:
                    entry = rows.entry(key, cells, storedrow.written_ms(stored, cells))
                    if entry is not None:
                        effects.put(*entry)
            effects.put(keyspace.progress_key(index_id), None if progress.is_shown else progress.to_json())

        table = self._table(table_id)
        stored_keys = [table.keys.encode(key) for key in keys]
        self._writer.with_rows(table, stored_keys, put)
        if progress.is_shown:
            self._catalog.indexes.filled(index_id)

    def global_rows(self, table_id: int, index_id: int) -> GlobalRows:
        """What a global index stores. Raises ObjectNotExist where it is gone."""
        table = self._table(table_id)
        return GlobalRows(self._store, self._committer, table.schema.key, _index_of(table, index_id))

    def filled(self, index_id: int) -> None:
        """An index can be read from now on."""
        self._catalog.indexes.filled(index_id)

    def is_filled(self, index_id: int) -> bool:
        """Whether an index can be read."""
        return self._catalog.indexes.is_filled(index_id)

    def dropped(self) -> list[int]:
        """Indexes that were dropped, and whose rows are yet to go."""
        begin, end = keyspace.DROPPED_PREFIX, prefix_end(keyspace.DROPPED_PREFIX)
        return [keyspace.unpack(key[len(begin) :]) for key, _ in self._store.scan(begin, end)]

    def sweep(self, index_id: int) -> None:
        """Removes what is stored of an index that was dropped, once nobody writes to it. Raises StorageFailure."""
        if self._store.get(keyspace.dropped_key(index_id)) is None:
            return
        batch = WriteBatch()
        for prefix in (keyspace.rows_prefix(index_id), keyspace.back_prefix(index_id)):
            batch.delete_range(prefix, prefix_end(prefix))
        batch.delete(keyspace.progress_key(index_id))
        batch.delete(keyspace.dropped_key(index_id))
        self._committer.commit(Pending(batch.operations, {}, 0))

    def _table(self, table_id: int) -> Table:
        table = self._catalog.by_id(table_id)
        if table is None:
            raise no_table()
        return table


def _index_of(table: Table, index_id: int) -> IndexRows:
    for rows in table.indexes:
        if rows.index.index_id == index_id:
            return rows
    raise ObjectNotExist("Requested index does not exist.")
