"""Local transactions: reads and writes of rows of one partition key that come about as one, or not at all.

Whoever starts a transaction holds its partition key until it ends: other writers of that key are refused. What it
writes is kept in memory, where its own reads see it, and is committed as one batch (design note 0025).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lutra.kv.store import Pair, Reader
from lutra.model.clock import Clock
from lutra.model.errors import (
    LutraError,
    OperationConflict,
    ParameterInvalid,
    SessionNotExist,
)
from lutra.model.rows import KeyInput, RangeRequest, RangeResult, ReadOptions, ReadResult, RowChange, WriteResult
from lutra.tables.catalog import Catalog
from lutra.tables.committer import GroupCommitter
from lutra.tables.effects import Effects
from lutra.tables.keys import check_key
from lutra.tables.locks import RowLocks
from lutra.tables.open_transactions import OpenTransactions, Transaction, out_of_range, out_of_table
from lutra.tables.reader import RowReader
from lutra.tables.refusals import no_table
from lutra.tables.stay import Stay
from lutra.tables.surely import surely
from lutra.tables.table import Table
from lutra.tables.writer import RowWriter

_DISABLED: Final = "Try to call method using explicit transaction on explicit-transaction-disabled table."


class Transactions:
    """The local transactions of all instances of a store. Thread-safe.

    Every method that takes a transaction's id raises ParameterInvalid for what can be none, SessionNotExist where it
    has ended, by whatever, and SessionBusy while another request is using it. A transaction goes on after an error, but
    for one of `commit`. It ends when its table's definition changes.
    """

    def __init__(
        self,
        store: Reader,
        catalog: Catalog,
        writer: RowWriter,
        committer: GroupCommitter,
        opened: OpenTransactions,
        locks: RowLocks,
        clock: Clock,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._writer = writer
        self._committer = committer
        self._opened = opened
        self._locks = locks
        self._clock = clock

    @property
    def count(self) -> int:
        """How many are open."""
        return self._opened.count

    def start(self, table: Table, key: KeyInput, rows: Sequence[KeyInput] = ()) -> str:
        """The id of a new transaction over the rows of the partition key that is ``key``'s only column.

        ``rows`` are those that the client means to write; they have that partition key.

        Raises ParameterInvalid, InvalidPrimaryKey, DataOutOfRange, OperationConflict where another transaction holds
        the key, or writers that came before do not end, ServerBusy, RequestTimeout.
        """
        if len(key) != 1:
            raise ParameterInvalid("StartLocalTransaction support only one primary key.")
        check_key(key)
        if not table.schema.has_transactions or table.auto_increment is not None:
            raise ParameterInvalid(_DISABLED)
        partition = table.keys.encode_partition_key(key)
        for row in rows:
            if table.keys.partition(table.keys.encode(row)) != partition:
                raise out_of_range(key[0][1], row)
        begun: list[Transaction] = []

        def end_unless_opened() -> None:
            for transaction in begun:
                if transaction.user is transaction:
                    self._opened.end(transaction)

        def begin() -> str:
            begun.append(self._opened.begin(table, partition, key[0][1]))  # type: ignore[arg-type]
            # Writers that hold rows of the key already did not see that it is held now.
            self._locks.drain(partition)
            current = self._catalog.by_id(table.table_id)
            if current is not table:
                raise _changed(current)
            self._opened.opened(begun[0])
            return begun[0].id

        return surely(begin, end_unless_opened)

    def commit(self, instance: str, transaction_id: str) -> None:
        """Writes what the transaction has written, as one batch, and ends it, whatever comes of that.

        Raises ObjectNotExist where its table is being deleted, OperationConflict where an index is being filled with a
        row of it and that does not end, RequestTimeout, StorageFailure.
        """
        self._opened.use(instance, transaction_id, self._commit)

    def abort(self, instance: str, transaction_id: str) -> None:
        """Ends it; what it has written has never been."""
        self._opened.use(instance, transaction_id, self._opened.end)

    def require(self, instance: str, transaction_id: str) -> None:
        """Returns where the transaction is open, and could be used."""
        self._opened.use(instance, transaction_id, self._check_current)

    def drop_expired(self) -> None:
        """Lets go of the memory of those whose time is up. To be called now and then."""
        self._opened.drop_expired()

    def end_of_table(self, table_id: int) -> None:
        """Ends those of a table that is gone, or has another definition."""
        self._opened.end_of_table(table_id)

    def write(self, instance: str, transaction_id: str, table: Table, change: RowChange) -> WriteResult:
        """As `RowWriter.write`. Raises DataOutOfRange for rows of other partition keys, TransactionTooLarge, too."""

        def write(transaction: Transaction) -> WriteResult:
            self._check_table(transaction, table)
            return self._writer.stage(transaction, change)

        return self._opened.use(instance, transaction_id, write)

    def write_many(
        self, instance: str, transaction_id: str, changes: Sequence[tuple[Table, RowChange]], *, is_atomic: bool
    ) -> list[WriteResult | LutraError]:
        """As `RowWriter.write_many`; rows of other partition keys and of other tables are told one by one."""

        def write(transaction: Transaction) -> list[WriteResult | LutraError]:
            self._check_current(transaction)
            return self._writer.stage_many(transaction, changes, is_atomic=is_atomic)

        return self._opened.use(instance, transaction_id, write)

    def read(self, instance: str, transaction_id: str, table: Table, key: KeyInput, options: ReadOptions) -> ReadResult:
        """As `RowReader.read`, of the row as the transaction has left it. Raises DataOutOfRange, too."""

        def read(transaction: Transaction) -> ReadResult:
            self._check_table(transaction, table)
            if table.keys.partition(table.keys.encode(key)) != transaction.partition:
                raise out_of_range(transaction.partition_value, key)
            return self._reader(transaction).read(table, key, options)

        return self._opened.use(instance, transaction_id, read)

    def read_range(self, instance: str, transaction_id: str, table: Table, request: RangeRequest) -> RangeResult:
        """As `RowReader.read_range`, of rows as the transaction has left them. Raises DataOutOfRange, too."""

        def read(transaction: Transaction) -> RangeResult:
            self._check_table(transaction, table)
            for bound in (request.start, request.end):
                table.keys.encode_bound(bound)
                if bound[0][1] != transaction.partition_value:
                    raise out_of_range(transaction.partition_value, bound)
            return self._reader(transaction).read_range(table, request)

        return self._opened.use(instance, transaction_id, read)

    def _commit(self, transaction: Transaction) -> None:
        stay = Stay(self._locks)

        def commit() -> None:
            if not stay.enter([transaction.table]):
                raise no_table()
            self._check_current(transaction)
            if transaction.effects.values:
                stay.lock(set(transaction.effects.values))  # who fills an index may be at one of these rows
                self._committer.commit(transaction.effects.pending())

        def end() -> None:
            stay.end()
            self._opened.end(transaction)

        surely(commit, end)

    def _check_table(self, transaction: Transaction, table: Table) -> None:
        """Raises DataOutOfRange where it is not the transaction's."""
        self._check_current(transaction)
        if table is not transaction.table:
            raise out_of_table(transaction.table.name, table.name)

    def _check_current(self, transaction: Transaction) -> None:
        """Ends it and raises SessionNotExist where its table has another definition by now.

        What it has written was made for that definition: other columns, options or indexes would want something else.
        """
        if self._catalog.by_id(transaction.table.table_id) is not transaction.table:
            self._opened.end(transaction)
            raise SessionNotExist

    def _reader(self, transaction: Transaction) -> RowReader:
        return RowReader(_Staged(self._store, transaction.effects), self._clock)


class _Staged:
    """A store as it will be once effects are committed."""

    def __init__(self, store: Reader, effects: Effects) -> None:
        self._store = store
        self._effects = effects

    def get(self, key: bytes) -> bytes | None:
        return self._effects.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        values = self._effects.values
        mine = sorted((key for key in values if begin <= key < end), reverse=reverse)
        position = 0
        for key, value in self._store.scan(begin, end, reverse=reverse):
            while position < len(mine) and (mine[position] > key if reverse else mine[position] < key):
                yield from _pair(mine[position], values)
                position += 1
            if key not in values:
                yield key, value
        for left in mine[position:]:
            yield from _pair(left, values)


def _pair(key: bytes, values: dict[bytes, bytes | None]) -> Iterator[Pair]:
    value = values[key]
    if value is not None:
        yield key, value


def _changed(table: Table | None) -> LutraError:
    """What to tell of a table that was deleted, or changed, while a transaction was being started."""
    if table is None:
        return no_table()
    return OperationConflict("The table is being changed.")
