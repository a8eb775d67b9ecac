"""The tables of one instance of a cluster: what `lutra.tables.tables.Tables` is to one machine.

Only what is not about rows is known here: that is the map's. Each row is asked of the owner of its partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lutra.cluster.gateway import batches
from lutra.cluster.gateway.names import Names
from lutra.cluster.gateway.ranges import read_range
from lutra.cluster.gateway.router import Router
from lutra.cluster.gateway.schema_changes import SchemaChanges
from lutra.cluster.gateway.split_points import split_points
from lutra.cluster.gateway.transactions import GatewayTransactions
from lutra.cluster.map import ClusterMap, PartitionEntry
from lutra.model import limits
from lutra.model.errors import LutraError, ObjectNotExist, ServerBusy
from lutra.model.rows import KeyInput, RangeRequest, RangeResult, ReadOptions, ReadResult, RowChange, WriteResult
from lutra.model.schema import DefinedColumn, SecondaryIndex, TableDescription
from lutra.tables import schemas
from lutra.tables.changes import check_change
from lutra.tables.indexnames import UNFILLED
from lutra.tables.keys import check_bound
from lutra.tables.tables import check_read


class GatewayTables:
    """Thread-safe. Raises what `Tables` does, ServerBusy where the owner of a row cannot be asked within the request's
    deadline, and OutcomeUnknown where it did not answer whether it wrote."""

    def __init__(self, instance: str, router: Router, names: Names, changes: SchemaChanges) -> None:
        self._instance = instance
        self._router = router
        self._names = names
        self._changes = changes
        self._transactions = GatewayTransactions(instance, router, names)
        self._filled: set[int] = set()
        """Global secondary indexes that have had all rows once: ids."""

    # --- definitions --------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Sorted."""
        return [table.name for table in self._router.maps.read().tables_of(self._instance)]

    def describe(self, name: str) -> TableDescription:
        return self._names.table(self._instance, name).description

    def described(self, name: str) -> TableDescription:
        """As `describe`, and of a secondary index as a table; as the map is now."""
        return self._names.described(self._instance, name)

    def is_index_filled(self, index: SecondaryIndex) -> bool:
        """Whether all partitions have what it is to have."""
        table, _ = self._names.index(self._instance, index.name)
        filled = self._router.on_each(lambda _: table.uid, "is_index_filled", (index.name,))
        return all(answer for _, answer in filled)

    def _require_filled(self, name: str) -> None:
        """Raises ServerBusy where that is a global secondary index that is yet to be filled: each partition of its
        table knows of its own rows, and is asked until all have said so once."""
        index = self._names.global_index(self._instance, name)
        if index is not None and index.index_id not in self._filled:
            if not self.is_index_filled(index):
                raise ServerBusy(UNFILLED)
            self._filled.add(index.index_id)

    def add_defined_columns(self, name: str, columns: Sequence[DefinedColumn]) -> None:
        """As `Tables.add_defined_columns`."""
        schemas.check_defined((), tuple(columns))
        self._names.table(self._instance, name)
        self._changes.add_defined_columns(self._instance, name, columns)

    def delete_defined_columns(self, name: str, names: Sequence[str]) -> None:
        """As `Tables.delete_defined_columns`."""
        self._names.table(self._instance, name)
        self._changes.delete_defined_columns(self._instance, name, names)

    def split_points(self, name: str, size_bytes: int) -> list[KeyInput]:
        """As `Tables.split_points`."""
        return split_points(self._router, self._names.table(self._instance, name), size_bytes)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def write(self, name: str, change: RowChange, transaction: str | None = None) -> WriteResult:
        """As `Tables.write`."""
        if transaction is not None:
            return self._transactions.write(transaction, name, change)

        def find(known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
            table = self._names.routed(known, self._instance, name)
            return known.partition_of(table.uid, table.route(change.key)), (change, None)

        try:
            result: WriteResult = self._router.on_found(find, "write")[1]
        except ObjectNotExist:
            check_change(change)
            raise
        return result

    def write_batch(
        self,
        batch: Sequence[tuple[str, Sequence[RowChange]]],
        rows_max: int = limits.BATCH_WRITE_ROWS_MAX,
        transaction: str | None = None,
        *,
        is_atomic: bool = False,
    ) -> list[list[WriteResult | LutraError]]:
        """As `Tables.write_batch`, but that rows of several partitions do not come about as one (`batches`)."""
        if transaction is not None:
            return self._transactions.write_batch(transaction, batch, rows_max, is_atomic=is_atomic)
        return batches.write_batch(self._router, self._names, self._instance, batch, rows_max, is_atomic=is_atomic)

    def write_bulk(self, name: str, changes: Sequence[RowChange | LutraError]) -> list[WriteResult | LutraError]:
        """As `Tables.write_bulk`."""
        return batches.write_bulk(self._router, self._names, self._instance, name, changes)

    def read(self, name: str, key: KeyInput, options: ReadOptions, transaction: str | None = None) -> ReadResult:
        """As `Tables.read`."""
        if transaction is not None:
            return self._transactions.read(transaction, name, key, options)
        self._require_filled(name)

        def find(known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
            table = self._names.readable(known, self._instance, name)
            return known.partition_of(table.uid, table.route(key)), (name, key, options, None)

        try:
            result: ReadResult = self._router.on_found(find, "read")[1]
        except ObjectNotExist:
            check_read([key], options)
            raise
        return result

    def read_batch(
        self, batch: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]
    ) -> list[list[ReadResult | LutraError]]:
        """As `Tables.read_batch`."""
        for name, _, _ in batch:
            self._require_filled(name)
        return batches.read_batch(self._router, self._names, self._instance, batch)

    def read_range(self, name: str, request: RangeRequest, transaction: str | None = None) -> RangeResult:
        """As `Tables.read_range`."""
        if transaction is not None:
            return self._transactions.read_range(transaction, name, request)
        self._require_filled(name)
        try:
            return read_range(self._router, self._names, self._instance, name, request)
        except ObjectNotExist:
            check_read((request.start, request.end), request.options, check_bound)
            raise

    # --- local transactions -------------------------------------------------------------------------------------------

    def start_transaction(self, name: str, key: KeyInput, rows: Sequence[KeyInput] = ()) -> str:
        """As `Tables.start_transaction`; its id says in which partition it is."""
        return self._transactions.start(name, key, rows)

    def commit_transaction(self, transaction: str) -> None:
        self._transactions.commit(transaction)

    def abort_transaction(self, transaction: str) -> None:
        self._transactions.abort(transaction)
