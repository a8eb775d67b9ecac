"""Which tables there are, in all instances of a store: in memory to look up, in the store to last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lutra.kv.batch import Operation, WriteBatch
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model import limits
from lutra.model.clock import Clock
from lutra.model.errors import Corruption, ObjectAlreadyExist, QuotaExhausted, ServerBusy
from lutra.model.forks import OfProcess
from lutra.model.schema import SecondaryIndex, TableDescription, TableSchema
from lutra.tables import definition, keyspace, schemas
from lutra.tables.committer import GroupCommitter, Pending
from lutra.tables.followers import attach_followers
from lutra.tables.gate import Gate
from lutra.tables.indexnames import IndexNames
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexschemas import check_indexes
from lutra.tables.refusals import no_index, no_table
from lutra.tables.table import Table

SchemaChange = Callable[[TableSchema], TableSchema]

_DRAIN_S: Final = 30.0
_OF_TABLE: Final = (keyspace.rows_prefix, keyspace.changes_prefix, keyspace.counters_prefix, keyspace.streams_prefix)
"""Where all lies that goes with a table."""


class Catalog:
    """All tables. Looking up takes no lock; changes go one at a time and are durable before they show.

    Whoever uses a table looks it up here first: in a process forked from that of the store, every method raises
    ForkedProcess.
    """

    def __init__(self, store: KeyValueStore, committer: GroupCommitter, clock: Clock) -> None:
        """Reads all definitions, and changes nothing. Raises StorageFailure, Corruption."""
        self._process = OfProcess()
        self._committer = committer
        self._clock = clock
        self._changing = threading.Lock()
        self._by_id: dict[int, Table] = {}
        self._by_name: dict[tuple[str, str], Table] = {}
        self.indexes = IndexNames(store)
        """The secondary indexes of all tables."""
        stored_format = store.get(keyspace.FORMAT_KEY)
        if stored_format not in (None, keyspace.FORMAT):
            raise Corruption(
                f"the store has format {stored_format!r}; this version reads {keyspace.FORMAT!r}: where a newer Lutra "
                "wrote it, use that, or restore a backup of before"
            )
        for _, data in store.scan(keyspace.DEFINITIONS_BEGIN, keyspace.DEFINITIONS_END):
            self._show(definition.from_json(data))
        stored_next = store.get(keyspace.NEXT_TABLE_KEY)
        self._next_id = 1 if stored_next is None else keyspace.unpack(stored_next)

    def by_id(self, table_id: int) -> Table | None:
        self._process.check()
        return self._by_id.get(table_id)

    def get(self, instance: str, name: str) -> Table:
        """Raises ObjectNotExist, and ParameterInvalid for what can be no table's name."""
        table = self.by_name(instance, name)
        if table is None:
            self.indexes.refuse(instance, name)
            schemas.check_table_name(name)
            raise no_table()
        return table

    def all(self) -> list[Table]:
        """The tables of all instances, in no order."""
        self._process.check()
        return list(self._by_id.values())

    def by_name(self, instance: str, name: str) -> Table | None:
        self._process.check()
        return self._by_name.get((instance, name))

    def readable(self, instance: str, name: str) -> Table:
        """As `get`, and a secondary index as a table. Raises ServerBusy too, for one that is yet to be filled."""
        table = self._by_name.get((instance, name))
        if table is None:
            table = self.indexes.readable(instance, name)
        self._process.check()
        return self.get(instance, name) if table is None else table

    def described(self, instance: str, name: str) -> TableDescription:
        """Of a table, or of a secondary index as a table. Raises as `get`."""
        self._process.check()
        index = self.indexes.get(instance, name)
        return self.get(instance, name).description if index is None else index.description

    def names(self, instance: str) -> list[str]:
        """The instance's tables, sorted."""
        self._process.check()
        return sorted(name for owner, name in list(self._by_name) if owner == instance)

    def create(
        self, instance: str, schema: TableSchema, created_us: int | None = None, stream_created_us: int | None = None
    ) -> Table:
        """Adds a table of a checked schema, made now, and its stream as well, where nobody says when.

        Raises ObjectAlreadyExist, QuotaExhausted, StorageFailure.
        """
        self._process.check()
        with self._changing:
            if (instance, schema.name) in self._by_name or self.indexes.has(instance, schema.name):
                raise ObjectAlreadyExist("Requested table already exists.")
            if len(self.names(instance)) >= limits.TABLES_PER_INSTANCE_MAX:
                raise QuotaExhausted("Number of tables exceeded the quota.")
            now_us = self._clock.now_us() if created_us is None else created_us
            table_id = self._next_id
            batch = WriteBatch()
            batch.put(keyspace.FORMAT_KEY, keyspace.FORMAT)
            indexes: list[SecondaryIndex] = []
            for number, index in enumerate(schema.indexes, 1):
                self._require_name(instance, index.name, {schema.name, *(other.name for other in indexes)})
                indexes.append(replace(index, includes_base=True, index_id=table_id + number))
                batch.operations += self.indexes.beginning(indexes[-1], _progress(schema, 0))
            schema = replace(schema, indexes=tuple(indexes))
            if schema.stream is None:
                stream_created_us = 0
            elif stream_created_us is None:
                stream_created_us = now_us
            description = TableDescription(schema, table_id, now_us, now_us, stream_created_us)
            table = Table(instance, description, schema.options.max_versions, Gate())
            batch.put(keyspace.definition_key(table_id), definition.to_json(table))
            self._take_ids(1 + len(indexes), batch)
            self._commit(batch.operations)
            self._show(table)
            return table

    def change(self, instance: str, name: str, changed: SchemaChange, stream_created_us: int | None = None) -> Table:
        """Replaces a table's schema by what ``changed`` makes of it. Raises what that raises, and ObjectNotExist.

        A stream that is enabled by it was made now where nobody says when.
        """
        self._process.check()
        with self._changing:
            old = self.get(instance, name)
            return self._replace(old, changed(old.schema), WriteBatch(), stream_created_us)

    def add_index(self, instance: str, name: str, index: SecondaryIndex) -> SecondaryIndex:
        """Adds a secondary index to a table; gives it with its id.

        Raises ObjectNotExist, ObjectAlreadyExist, and ParameterInvalid where it does not go with the table.
        """
        self._process.check()
        with self._changing:
            old = self.get(instance, name)
            self._require_name(instance, index.name, set())
            index = replace(index, index_id=self._next_id)
            schema = replace(old.schema, indexes=(*old.schema.indexes, index))
            check_indexes(schema)
            batch = WriteBatch()
            self._take_ids(1, batch)
            progress = _progress(schema, self._committer.last_sequence)
            if index.includes_base:
                progress = IndexProgress(ttl_s=schema.options.ttl_s)
            batch.operations += self.indexes.beginning(index, progress)
            self._replace(old, schema, batch)
            return index

    def drop_index(self, instance: str, name: str, index_name: str) -> SecondaryIndex:
        """Takes an index from a table; what it has stored is noted to go (`IndexWriter.sweep`).

        Raises ObjectNotExist, StorageFailure.
        """
        self._process.check()
        with self._changing:
            old = self.get(instance, name)
            dropped = next((index for index in old.schema.indexes if index.name == index_name), None)
            if dropped is None:
                raise no_index(index_name, name)
            batch = WriteBatch()
            batch.put(keyspace.dropped_key(dropped.index_id), b"")
            kept = tuple(index for index in old.schema.indexes if index is not dropped)
            self._replace(old, replace(old.schema, indexes=kept), batch)
            return dropped

    def delete(self, instance: str, name: str) -> None:
        """Removes a table with its rows, changes and counters. Waits for the writers that are in it.

        Raises ObjectNotExist, ServerBusy where writers do not come to an end, StorageFailure.
        """
        self._process.check()
        with self._changing:
            table = self.get(instance, name)
            if not table.gate.close(_DRAIN_S):
                raise ServerBusy(f"Table {name} is still being written to.")
            batch = WriteBatch()
            batch.delete(keyspace.definition_key(table.table_id))
            batch.delete(keyspace.trimmed_key(table.table_id))
            for index in table.schema.indexes:
                batch.put(keyspace.dropped_key(index.index_id), b"")
            for prefix in _OF_TABLE:
                batch.delete_range(prefix(table.table_id), prefix_end(prefix(table.table_id)))
            try:
                self._commit(batch.operations)
            except BaseException:
                table.gate.reopen()
                raise
            del self._by_name[instance, name]
            del self._by_id[table.table_id]
            self.indexes.hide(table)

    def _replace(
        self, old: Table, schema: TableSchema, batch: WriteBatch, stream_created_us: int | None = None
    ) -> Table:
        description = schemas.with_schema(old.description, schema, self._clock.now_us, stream_created_us)
        if schema.stream is None and old.schema.stream is not None:
            # Writers that are under way may still add to it: `lutra.tables.stream_log` finds what they leave.
            prefix = keyspace.stream_prefix(description.table_id, description.stream_created_us)
            batch.delete_range(prefix, prefix_end(prefix))
        table = Table(old.instance, description, max(old.versions_ever, schema.options.max_versions), old.gate)
        batch.put(keyspace.definition_key(table.table_id), definition.to_json(table))
        self._commit(batch.operations)
        self._show(table)
        self.indexes.hide(old, but_for=schema.indexes)
        return table

    def _require_name(self, instance: str, index_name: str, taken: set[str]) -> None:
        """Raises ObjectAlreadyExist where a table or an index of the instance is called so, or ``taken``."""
        if (instance, index_name) in self._by_name or self.indexes.has(instance, index_name) or index_name in taken:
            raise ObjectAlreadyExist(f"Requested index '{index_name}' already exists, or a table of that name.")

    def _take_ids(self, count: int, batch: WriteBatch) -> None:
        """Also where the commit fails: it may be found done when the store is next opened."""
        self._next_id += count
        batch.put(keyspace.NEXT_TABLE_KEY, keyspace.pack(self._next_id))

    def _commit(self, operations: list[Operation]) -> None:
        self._committer.commit(Pending(operations, {}, 0))

    def _show(self, table: Table) -> None:
        attach_followers(table)
        table.gate.table = table
        self._by_id[table.table_id] = table
        self._by_name[table.instance, table.name] = table
        self.indexes.show(table)


def _progress(schema: TableSchema, position: int) -> IndexProgress:
    """Of an index that has all it is to have of changes up to ``position``."""
    return IndexProgress(position, is_filled=True, is_shown=True, ttl_s=schema.options.ttl_s)
