"""Local transactions over partitions: each lives with the owner of its partition key, in memory alone.

Its id names the partition. When that has another owner, or was split, the transaction has ended, as with a process.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final

from lutra.cluster.gateway.names import Names
from lutra.cluster.gateway.router import Router
from lutra.cluster.map import PARTITION_ID_BYTES, ClusterMap, PartitionEntry, PartitionState, TableEntry
from lutra.model.errors import LutraError, ObjectNotExist, ParameterInvalid, SessionNotExist
from lutra.model.rows import KeyInput, RangeRequest, RangeResult, ReadOptions, ReadResult, RowChange, WriteResult
from lutra.tables.changes import check_change
from lutra.tables.keys import check_bound
from lutra.tables.open_transactions import out_of_table
from lutra.tables.tables import check_batch, check_read

_PARTITION: Final = 2 * PARTITION_ID_BYTES
_ID: Final = re.compile(rf"(?:[0-9a-f]{{{_PARTITION}}})?[0-9a-f]{{32}}")
"""Of a partition and of its own; or as one machine gives them, of which there is none here."""


class GatewayTransactions:
    """Of one instance. Thread-safe. Errors are those of `lutra.tables.transactions`."""

    def __init__(self, instance: str, router: Router, names: Names) -> None:
        self._instance = instance
        self._router = router
        self._names = names

    def start(self, name: str, key: KeyInput, rows: Sequence[KeyInput]) -> str:
        """As `Tables.start_transaction`."""

        def find(known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
            table = self._names.routed(known, self._instance, name)
            return known.partition_of(table.uid, table.route(key)), (key, rows)

        entry, transaction = self._router.on_found(find, "start_transaction")
        return f"{entry.id}{transaction}"

    def commit(self, transaction: str) -> None:
        """As `Tables.commit_transaction`."""
        self._ask(transaction, "commit_transaction")

    def abort(self, transaction: str) -> None:
        """As `Tables.abort_transaction`."""
        self._ask(transaction, "abort_transaction")

    def write(self, transaction: str, name: str, change: RowChange) -> WriteResult:
        """As `Tables.write`."""
        try:
            table = self._names.table(self._instance, name)
        except ObjectNotExist:
            check_change(change)
            raise
        self._require_table(transaction, table)
        result: WriteResult = self._ask(transaction, "write", change)
        return result

    def write_batch(
        self, transaction: str, batch: Sequence[tuple[str, Sequence[RowChange]]], rows_max: int, *, is_atomic: bool
    ) -> list[list[WriteResult | LutraError]]:
        """As `Tables.write_batch`: rows of other tables are told one by one."""
        check_batch(batch, rows_max)
        own = self._table_of(transaction)
        began_s = time.monotonic()
        results: list[list[WriteResult | LutraError] | None] = []
        mine: list[RowChange] = []
        for name, changes in batch:
            try:
                table = self._names.table(self._instance, name, began_s)
            except ObjectNotExist as error:
                results.append(_refused(changes, error))
                continue
            if own is not None and table.uid != own.uid:
                results.append(_refused(changes, out_of_table(own.name, name)))
                continue
            mine += changes
            results.append(None)
        if mine:
            written = iter(self._ask(transaction, "write_batch", mine, is_atomic=is_atomic))
        elif any(own is not None and name != own.name for name, _ in batch):
            self._ask(transaction, "require_transaction")
        return [
            [next(written) for _ in changes] if of_table is None else of_table
            for of_table, (_, changes) in zip(results, batch, strict=True)
        ]

    def read(self, transaction: str, name: str, key: KeyInput, options: ReadOptions) -> ReadResult:
        """As `Tables.read`."""
        try:
            self._require_readable(transaction, name)
        except ObjectNotExist:
            check_read([key], options)
            raise
        result: ReadResult = self._ask(transaction, "read", name, key, options)
        return result

    def read_range(self, transaction: str, name: str, request: RangeRequest) -> RangeResult:
        """As `Tables.read_range`."""
        try:
            self._require_readable(transaction, name)
        except ObjectNotExist:
            check_read((request.start, request.end), request.options, check_bound)
            raise
        result: RangeResult = self._ask(transaction, "read_range_in", name, request)
        return result

    def _require_readable(self, transaction: str, name: str) -> None:
        """Raises DataOutOfRange where that is not the transaction's table: an index is none."""
        table = self._names.require_readable(self._instance, name)
        own = self._table_of(transaction)
        if own is not None and (table.uid, name) != (own.uid, own.name):
            self._ask(transaction, "require_transaction")
            raise out_of_table(own.name, name)

    def _require_table(self, transaction: str, table: TableEntry) -> None:
        own = self._table_of(transaction)
        if own is not None and own.uid != table.uid:
            self._ask(transaction, "require_transaction")
            raise out_of_table(own.name, table.name)

    def _table_of(self, transaction: str) -> TableEntry | None:
        """The table whose rows a transaction is about; None where it is not known, and so has ended.

        Raises ParameterInvalid for what can be no transaction's id.
        """
        if _ID.fullmatch(transaction) is None:
            raise ParameterInvalid("TransactionID is invalid.")
        for known in (self._router.maps.known, None):
            known = known or self._router.maps.read()
            partition = known.partition(transaction[:_PARTITION])
            if partition is not None:
                return known.table_of(partition)
        return None

    def _ask(self, transaction: str, method: str, *arguments: Any, is_atomic: bool | None = None) -> Any:
        """Raises SessionNotExist where the partition is no more, too."""
        self._table_of(transaction)
        local = transaction[_PARTITION:]
        given = (*arguments, local) if is_atomic is None else (*arguments, local, is_atomic)

        def find(known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
            partition = known.partition(transaction[:_PARTITION])
            table = None if partition is None else known.table_of(partition)
            if partition is None or table is None or partition.state is not PartitionState.SERVING:
                raise SessionNotExist
            if table.instance != self._instance:
                raise SessionNotExist
            return partition, given

        return self._router.on_found(find, method)[1]


def _refused(changes: Sequence[RowChange], error: LutraError) -> list[WriteResult | LutraError]:
    """What is wrong with a change in itself is said before."""
    for change in changes:
        check_change(change)
    return [error] * len(changes)
