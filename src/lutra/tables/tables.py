"""All tables of one instance: the room's public face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from lutra.kv.store import Estimate, KeyValueStore, Reader
from lutra.model import limits
from lutra.model.errors import LutraError, ObjectNotExist, ParameterInvalid, RowDamaged
from lutra.model.rows import (
    KeyInput,
    PrimaryKey,
    RangeRequest,
    RangeResult,
    ReadOptions,
    ReadResult,
    Row,
    RowChange,
    WriteResult,
)
from lutra.model.schema import (
    DeclaredField,
    DefinedColumn,
    SecondaryIndex,
    TableDescription,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import INF_MIN
from lutra.tables import schemas
from lutra.tables.bounds import EVERYWHERE, KeyBounds
from lutra.tables.catalog import Catalog, SchemaChange
from lutra.tables.changes import check_change
from lutra.tables.indexschemas import check_index
from lutra.tables.keys import check_bound, check_key
from lutra.tables.pages import PageSoFar
from lutra.tables.reader import OnDamaged, RowReader
from lutra.tables.reads import check_options
from lutra.tables.refusals import no_table, too_many_rows
from lutra.tables.table import Table
from lutra.tables.transactions import Transactions
from lutra.tables.writer import RowWriter


class Tables:
    """The tables of one instance. Thread-safe; what a method acknowledges is on stable storage.

    Every method that names a table raises ObjectNotExist where there is none, and ParameterInvalid for what can be no
    table's name. Any raises StorageFailure where the store refuses and Corruption where stored bytes are damaged.
    `lutra.tables.space.TableSpace` makes it.
    """

    def __init__(
        self,
        instance: str,
        store: KeyValueStore,
        catalog: Catalog,
        reader: RowReader,
        writer: RowWriter,
        transactions: Transactions,
        bounds: KeyBounds = EVERYWHERE,
    ) -> None:
        """``bounds``: rows beyond it are none of the store's, as ``reader`` has it."""
        self._instance = instance
        self._bounds = bounds
        self._store = store
        self._catalog = catalog
        self._reader = reader
        self._writer = writer
        self._transactions = transactions

    def create(
        self,
        schema: TableSchema,
        created_us: int | None = None,
        stream_created_us: int | None = None,
        *,
        may_be_index: bool = False,
    ) -> TableDescription:
        """Made now, and its stream as well, where nobody says when.

        ``may_be_index``: it may be the rows of an index, whose key has more columns than a table's. Raises
        ParameterInvalid, ObjectAlreadyExist, QuotaExhausted.
        """
        schemas.check_schema(schema, may_be_index=may_be_index)
        return self._catalog.create(self._instance, schema, created_us, stream_created_us).description

    def names(self) -> list[str]:
        """Sorted."""
        return self._catalog.names(self._instance)

    def describe(self, name: str) -> TableDescription:
        return self._table(name).description

    def update(self, name: str, update: TableUpdate, stream_created_us: int | None = None) -> TableDescription:
        """Changes options and reserved throughput; rows follow at their next read. Raises ParameterInvalid.

        A stream that is enabled by it was made now where nobody says when.
        """
        schemas.check_update(update)
        return self._change(name, lambda schema: schemas.apply_update(schema, update), stream_created_us).description

    def described(self, name: str) -> TableDescription:
        """As `describe`, and of a secondary index as a table."""
        return self._catalog.described(self._instance, name)

    def add_index(self, name: str, index: SecondaryIndex) -> SecondaryIndex:
        """Adds a secondary index to a table, and gives it with its id; it is for others to fill it.

        Raises ParameterInvalid where the table cannot have it, ObjectAlreadyExist.
        """
        check_index(index)
        made = self._catalog.add_index(self._instance, name, index)
        self._transactions.end_of_table(self._table(name).table_id)
        return made

    def drop_index(self, name: str, index_name: str) -> SecondaryIndex:
        """Takes a secondary index from a table; its rows are for others to remove."""
        dropped = self._catalog.drop_index(self._instance, name, index_name)
        self._transactions.end_of_table(self._table(name).table_id)
        return dropped

    def is_index_filled(self, index: SecondaryIndex) -> bool:
        """Whether it can be read."""
        return self._catalog.indexes.is_filled(index.index_id)

    def delete(self, name: str) -> None:
        """Removes the table and all that belongs to it, at once. Raises ServerBusy where writers do not end."""
        table_id = self._table(name).table_id
        self._catalog.delete(self._instance, name)
        self._transactions.end_of_table(table_id)

    def add_defined_columns(self, name: str, columns: Sequence[DefinedColumn]) -> None:
        """Fixes the types of columns for writes from now on; rows stay as they are. Raises ParameterInvalid."""

        schemas.check_defined((), tuple(columns))
        self._change(name, lambda schema: schemas.with_defined(schema, columns))

    def delete_defined_columns(self, name: str, names: Sequence[str]) -> None:
        """Lets columns hold any type again; rows keep them. Raises ParameterInvalid where one is not defined."""

        self._change(name, lambda schema: schemas.without_defined(schema, names))

    def declare(self, name: str, declared: Sequence[DeclaredField]) -> None:
        """Keeps how fields were declared, in place of what was kept. Raises ObjectNotExist."""
        self._change(name, lambda schema: replace(schema, declared=tuple(declared)))

    def split_points(self, name: str, size_bytes: int) -> list[KeyInput]:
        """Keys that cut the table into pieces of about ``size_bytes``, at most 1000, ascending.

        Each is a value of the partition key, then INF_MIN: rows of one partition key are never parted. Raises
        ParameterInvalid.
        """
        if size_bytes <= 0:
            raise ParameterInvalid("The split_size should be greater than 0.")
        table = self._table(name)
        points: dict[KeyInput, None] = {}
        begin, end = self._bounds.of_table(table.keys)
        for stored_key in self._store.split(begin, end, size_bytes, limits.SPLIT_POINTS_MAX):
            # Estimates may cut at the range's own begin, which is no key.
            if stored_key > begin:
                first, *others = table.keys.decode(stored_key)
                points[first, *((column, INF_MIN) for column, _ in others)] = None
        return list(points)

    def write(self, name: str, change: RowChange, transaction: str | None = None) -> WriteResult:
        """One change. Raises ParameterInvalid, InvalidPrimaryKey, ConditionCheckFail, OperationConflict.

        ``transaction``: the id of a local transaction that makes it (`start_transaction`), here and in what follows;
        raises what `Transactions` says, too.
        """
        try:
            table = self._table(name)
        except ObjectNotExist:
            check_change(change)
            raise
        if transaction is not None:
            return self._transactions.write(self._instance, transaction, table, change)
        return self._writer.write(table, change)

    def write_batch(
        self,
        batch: Sequence[tuple[str, Sequence[RowChange]]],
        rows_max: int = limits.BATCH_WRITE_ROWS_MAX,
        transaction: str | None = None,
        *,
        is_atomic: bool = False,
    ) -> list[list[WriteResult | LutraError]]:
        """At most ``rows_max`` changes in one commit, in their order; the results have the shape of ``batch``.

        What does not go with its table, or fails its condition, is that change's result and touches no other. Where the
        batch ``is_atomic``, rows of one table have one partition key, and all of them are written or none. Raises
        ParameterInvalid where a change is wrong in itself (`changes.check_change`) or the batch as a whole;
        OperationConflict. Then nothing is written.
        """
        check_batch(batch, rows_max)
        results: list[list[WriteResult | LutraError | None]] = []
        flat: list[tuple[Table, RowChange]] = []
        for name, changes in batch:
            try:
                table = self._table(name)
                flat += [(table, change) for change in changes]
                results.append([None] * len(changes))
            except ObjectNotExist as error:
                for change in changes:
                    check_change(change)
                results.append([error] * len(changes))
        written = iter(self._written(flat, transaction, is_atomic) if flat else ())
        return [[next(written) if one is None else one for one in of_table] for of_table in results]

    def write_bulk(self, name: str, changes: Sequence[RowChange | LutraError]) -> list[WriteResult | LutraError]:
        """At most 1000 changes of one table in one commit, in their order, each for itself.

        What is wrong with one, also in itself, stands in its place, as does an error that is given. Raises
        ParameterInvalid where they are too many or too large together, or one that repeats a row has a condition;
        OperationConflict. Then nothing is written.
        """
        check_bulk(changes)
        table = self._table(name)
        checked = [checked_change(change) for change in changes]
        sound = [(table, change) for change in checked if isinstance(change, RowChange)]
        written = iter(self._writer.write_many(sound, operation="BulkImport") if sound else ())
        return [change if isinstance(change, LutraError) else next(written) for change in checked]

    def _written(
        self, changes: list[tuple[Table, RowChange]], transaction: str | None, is_atomic: bool
    ) -> list[WriteResult | LutraError]:
        if transaction is None:
            return self._writer.write_many(changes, is_atomic=is_atomic)
        return self._transactions.write_many(self._instance, transaction, changes, is_atomic=is_atomic)

    def start_transaction(self, name: str, key: KeyInput, rows: Sequence[KeyInput] = ()) -> str:
        """The id of a new local transaction over rows of one partition key, ``key``'s only column.

        Until it ends, after 60 seconds at the latest, nobody else writes rows of that key. Raises ParameterInvalid,
        InvalidPrimaryKey, OperationConflict where another transaction holds the key, ServerBusy, RequestTimeout; and
        DataOutOfRange where ``rows``, which it is about, have another partition key.
        """
        return self._transactions.start(self._table(name), key, rows)

    def commit_transaction(self, transaction: str) -> None:
        """Writes what a transaction has written as one batch. Raises as `Transactions.commit`."""
        self._transactions.commit(self._instance, transaction)

    def abort_transaction(self, transaction: str) -> None:
        """Ends a transaction, which then has written nothing."""
        self._transactions.abort(self._instance, transaction)

    def read(self, name: str, key: KeyInput, options: ReadOptions, transaction: str | None = None) -> ReadResult:
        """One row. Raises ParameterInvalid, InvalidPrimaryKey."""
        try:
            table = self._catalog.readable(self._instance, name)
        except ObjectNotExist:
            check_read([key], options)
            raise
        if transaction is not None:
            return self._transactions.read(self._instance, transaction, table, key, options)
        return self._reader.read(table, key, options)

    def read_batch(
        self, batch: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]
    ) -> list[list[ReadResult | LutraError]]:
        """At most 100 rows; the results have the shape of ``batch``.

        A key that does not go with its table is that row's result. Raises ParameterInvalid where a key is wrong in
        itself, or the batch as a whole.
        """
        check_reads(batch)
        results: list[list[ReadResult | LutraError]] = []
        for name, keys, options in batch:
            try:
                results.append(self._reader.read_many(self._catalog.readable(self._instance, name), keys, options))
            except ObjectNotExist as error:
                check_read(keys, options)
                results.append([error] * len(keys))
        return results

    def read_range(self, name: str, request: RangeRequest, transaction: str | None = None) -> RangeResult:
        """A page of rows by key: at most 5000 rows or 4 MB looked at. Raises ParameterInvalid, InvalidPrimaryKey."""
        try:
            table = self._catalog.readable(self._instance, name)
        except ObjectNotExist:
            check_read((request.start, request.end), request.options, check_bound)
            raise
        if transaction is not None:
            return self._transactions.read_range(self._instance, transaction, table, request)
        return self._reader.read_range(table, request)

    def go_on(self, name: str, request: RangeRequest, so_far: PageSoFar) -> tuple[RangeResult, PageSoFar]:
        """As `read_range`, of a page that has ``so_far`` of other stores already, and what it then has."""
        return self._reader.go_on(self._catalog.readable(self._instance, name), request, so_far)

    def estimate(self, name: str, counted_max: int) -> Estimate:
        """About how many rows a table has, and their bytes, for what ``counted_max`` rows cost; of fewer, exactly.

        Rows that have expired, and are stored yet, are among them. Raises ObjectNotExist, StorageFailure.
        """
        return self._store.estimate(*self._bounds.of_table(self._table(name).keys), counted_max)

    def size_bytes(self, name: str) -> int:
        """About how many bytes a table's rows take as they are stored. Raises ObjectNotExist, StorageFailure."""
        return self._store.size_bytes(*self._bounds.of_table(self._table(name).keys))

    def count(self, name: str) -> int:
        """How many rows a table has now, by looking at all their keys. Raises ObjectNotExist, StorageFailure."""
        return self._reader.count(self._table(name))

    def scan_rows(
        self,
        table_id: int,
        snapshot: Reader,
        after: PrimaryKey | None = None,
        on_damaged: OnDamaged | None = None,
        *,
        expired: bool = False,
    ) -> Iterator[Row]:
        """All live rows of a snapshot of the store, whole, by key; from the one after ``after`` on.

        A row that is damaged is left out where ``on_damaged`` is there to be told of it, else RowDamaged is raised.
        ``expired``: with all rows and cells that have expired and are stored yet.
        Raises ObjectNotExist, InvalidPrimaryKey.
        """
        return self._reader.scan_rows(self._table_of(table_id), snapshot, after, on_damaged, expired=expired)

    def each_row(self, table_id: int, keys: Iterable[PrimaryKey]) -> Iterator[Row | RowDamaged | None]:
        """Whole live rows as they are now, in the order of ``keys``; None where there is none, the error where one is
        damaged. One is read at a time, so that who has enough stops. Raises ObjectNotExist, InvalidPrimaryKey.
        """
        return self._reader.each(self._table_of(table_id), keys)

    def read_rows(
        self, table_id: int, keys: Sequence[PrimaryKey], size_bytes_max: int | None = None
    ) -> list[Row | None]:
        """Whole live rows as they are now, None where there is none.

        Raises ObjectNotExist, InvalidPrimaryKey, and ParameterInvalid where they are stored in more than
        ``size_bytes_max`` together.
        """
        return self._reader.rows(self._table_of(table_id), keys, size_bytes_max)

    def aged(self, table_id: int, keys: Sequence[PrimaryKey]) -> None:
        """Logs that time alone has changed these rows, so that whoever follows the table reads them again.

        Raises ObjectNotExist, InvalidPrimaryKey.
        """
        if keys:
            self._writer.log_aged(self._table_of(table_id), keys)

    def _change(self, name: str, changed: SchemaChange, stream_created_us: int | None = None) -> Table:
        """Gives a table another schema, which ends the transactions that are open on it."""
        table = self._catalog.change(self._instance, name, changed, stream_created_us)
        self._transactions.end_of_table(table.table_id)
        return table

    def _table(self, name: str) -> Table:
        return self._catalog.get(self._instance, name)

    def _table_of(self, table_id: int) -> Table:
        table = self._catalog.by_id(table_id)
        if table is None or table.instance != self._instance:
            raise no_table()
        return table


def check_read(keys: Sequence[KeyInput], options: ReadOptions, check: Callable[[KeyInput], None] = check_key) -> None:
    """Raises ParameterInvalid: what is wrong with a read in itself is said before that there is no such table."""
    check_options(options)
    for key in keys:
        check(key)


def checked_change(change: RowChange | LutraError) -> RowChange | LutraError:
    """The change, or what is wrong with it in itself."""
    if isinstance(change, RowChange):
        try:
            check_change(change)
        except LutraError as error:
            return error
    return change


def check_batch(batch: Sequence[tuple[str, Sequence[RowChange]]], rows_max: int) -> None:
    """Raises ParameterInvalid where a BatchWriteRow cannot have these."""
    if not batch:
        raise ParameterInvalid("No row is specified in BatchWriteRow.")
    for name, changes in batch:
        if not changes:
            raise ParameterInvalid(f"No operation is specified for table: '{name}'.")
    if sum(len(changes) for _, changes in batch) > rows_max:
        raise too_many_rows(rows_max)


def check_reads(batch: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]) -> None:
    """Raises ParameterInvalid where a BatchGetRow cannot ask for these."""
    if not batch:
        raise ParameterInvalid("No row specified in the request of BatchGetRow.")
    if sum(len(keys) for _, keys, _ in batch) > limits.BATCH_GET_ROWS_MAX:
        raise too_many_rows(limits.BATCH_GET_ROWS_MAX)


def check_bulk(changes: Sequence[RowChange | LutraError]) -> None:
    """Raises ParameterInvalid where a BulkImport cannot have these."""
    if not changes:
        raise ParameterInvalid("No row is specified in BulkImport.")
    if len(changes) > limits.BULK_IMPORT_ROWS_MAX:
        raise too_many_rows(limits.BULK_IMPORT_ROWS_MAX)
