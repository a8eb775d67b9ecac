"""Writing rows: check, lock, read where it takes reading, apply, commit.

A batch is refused whole where one of its changes is wrong in itself (`changes`). What does not go with its table, or
fails its condition, is that row's result and touches no other. What is right is committed as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lutra.kernels.plainbuffer import measure_row
from lutra.kv.store import KeyValueStore
from lutra.model import limits
from lutra.model.clock import Clock
from lutra.model.errors import (
    BatchTooLarge,
    ConditionCheckFail,
    Corruption,
    DataOutOfRange,
    LutraError,
    ParameterInvalid,
    StorageFailure,
)
from lutra.model.rows import (
    Cell,
    ChangeKind,
    KeyInput,
    PrimaryKey,
    ReturnType,
    Row,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.values import AUTO_INCREMENT, INT64_MAX
from lutra.tables import cells as cell_changes
from lutra.tables import changeblock, keyspace, storedrow
from lutra.tables.capacity import UNIT_BYTES, consumed, row_bytes, units
from lutra.tables.changes import (
    check_cells,
    check_change,
    check_repeated,
    check_total,
    incremented,
    only_deletes,
)
from lutra.tables.committer import GroupCommitter, Pending
from lutra.tables.effects import Effects
from lutra.tables.filters import Predicate, columns_of, compile_condition
from lutra.tables.locks import RowLocks
from lutra.tables.open_transactions import OpenTransactions, Transaction, out_of_range, out_of_table, shown
from lutra.tables.refusals import no_table
from lutra.tables.stay import Stay
from lutra.tables.surely import surely
from lutra.tables.table import Table

_BARE: Final = len(keyspace.rows_prefix(0))
_OPERATION_NAMES: Final = {
    ChangeKind.PUT: "PutRow",
    ChangeKind.UPDATE: "UpdateRow",
    ChangeKind.DELETE: "DeleteRow",
}


class _Prepared:
    """A change that is right in itself. ``stored_key`` is empty until an auto-increment column has its value.

    ``must_exist``: only a row that is there can be written under a number that the client gives. ``size_bytes`` is what
    the request brings.
    """

    __slots__ = (
        "cells",
        "change",
        "counter_key",
        "must_exist",
        "predicate",
        "size_bytes",
        "stored_key",
        "table",
        "value",
        "write_units",
    )

    def __init__(self, table: Table, change: RowChange) -> None:
        self.table = table
        self.change = change
        self.stored_key = b""
        self.counter_key: bytes | None = None
        self.must_exist = False
        self.predicate: Predicate | None = None
        self.cells: list[Cell] = []
        self.value: bytes | None = None
        self.size_bytes: int
        self.write_units: int


class RowWriter:
    """Writes rows of any table of one store."""

    def __init__(
        self,
        store: KeyValueStore,
        committer: GroupCommitter,
        clock: Clock,
        locks: RowLocks,
        transactions: OpenTransactions,
    ) -> None:
        self._store = store
        self._committer = committer
        self._clock = clock
        self._locks = locks
        self._transactions = transactions

    def write(self, table: Table, change: RowChange) -> WriteResult:
        """One row. Raises ParameterInvalid, InvalidPrimaryKey, ConditionCheckFail, OperationConflict."""
        stay = Stay(self._locks)
        return surely(lambda: self._write(stay, table, change), stay.end)

    def _write(self, stay: Stay, table: Table, change: RowChange) -> WriteResult:
        if not stay.enter([table]):
            raise no_table()
        now_ms = self._now_ms()
        prepared = _prepare(table, change, now_ms)
        check_total(prepared.size_bytes, _OPERATION_NAMES[change.kind])
        effects = Effects(self._store)
        stay.lock(_lock_keys([prepared]))
        if self._transactions.holders:
            self._check_free(prepared)
        result = self._apply(prepared, effects, now_ms)
        self._commit(effects)
        return result

    def write_many(
        self, changes: Sequence[tuple[Table, RowChange]], *, is_atomic: bool = False, operation: str = "BatchWriteRow"
    ) -> list[WriteResult | LutraError]:
        """Rows in their order, in one commit; what is wrong with one stands in its place.

        ``is_atomic``: of each table all rows are written or none, and they have one partition key. Where none is, all
        of them have the error of the first that has one. ``operation``: what errors call the batch.

        Raises ParameterInvalid where one is wrong in itself, where one that repeats a row has a condition, and where
        they are too large together; OperationConflict. Then none is written.
        """
        stay = Stay(self._locks)
        return surely(lambda: self._write_many(stay, changes, is_atomic, operation), stay.end)

    def _write_many(
        self, stay: Stay, changes: Sequence[tuple[Table, RowChange]], is_atomic: bool, operation: str
    ) -> list[WriteResult | LutraError]:
        entered = stay.enter([table for table, _ in changes])
        now_ms = self._now_ms()
        refused = {table.table_id: no_table() for table, _ in changes if table.table_id not in entered}
        prepared = _prepare_all(changes, now_ms, refused)
        sound = [one for one in prepared if isinstance(one, _Prepared)]
        check_total(sum(one.size_bytes for one in sound), operation)
        effects = Effects(self._store)
        stay.lock(_lock_keys(sound))
        if self._transactions.holders:
            prepared = [_checked(one, self._check_free) for one in prepared]
        results = self._apply_all(changes, prepared, effects, now_ms, is_atomic)
        self._commit(effects)
        return results

    def stage(self, transaction: Transaction, change: RowChange) -> WriteResult:
        """One row, as the transaction will write it. To be called by the transaction's user alone.

        Raises as `write`, DataOutOfRange where the row has another partition key, TransactionTooLarge, ServerBusy.
        """
        now_ms = self._now_ms()
        prepared = _prepare(transaction.table, change, now_ms)
        _check_scope(transaction, prepared)
        self._transactions.check_room(transaction, prepared.size_bytes)
        effects = Effects(transaction.effects)
        result = self._apply(prepared, effects, now_ms)
        self._transactions.take_in(transaction, effects, prepared.size_bytes)
        return result

    def stage_many(
        self, transaction: Transaction, changes: Sequence[tuple[Table, RowChange]], *, is_atomic: bool
    ) -> list[WriteResult | LutraError]:
        """As `write_many` and `stage`; rows of other tables, and of other partition keys, are told one by one."""
        now_ms = self._now_ms()
        refused = {
            table.table_id: out_of_table(transaction.table.name, table.name)
            for table, _ in changes
            if table is not transaction.table
        }
        prepared = _prepare_all(changes, now_ms, refused)
        prepared = [_checked(one, lambda sound: _check_scope(transaction, sound)) for one in prepared]
        sound = [one for one in prepared if isinstance(one, _Prepared)]
        _lock_keys(sound)  # raises; the transaction has the rows as it is
        size_bytes = sum(one.size_bytes for one in sound)
        self._transactions.check_room(transaction, size_bytes)
        effects = Effects(transaction.effects)
        results = self._apply_all(changes, prepared, effects, now_ms, is_atomic)
        self._transactions.take_in(transaction, effects, size_bytes)
        return results

    def with_rows(self, table: Table, stored_keys: Sequence[bytes], work: Callable[[Table, Effects], None]) -> None:
        """Commits what ``work`` does beside rows that nobody changes meanwhile; it gets the table as it is then.

        A transaction that holds a row is not waited for, which could be for ever: its commit waits for this.
        Raises ObjectNotExist, OperationConflict, StorageFailure, and what ``work`` does.
        """
        stay = Stay(self._locks)
        surely(lambda: self._with_rows(stay, table, stored_keys, work), stay.end)

    def _with_rows(
        self, stay: Stay, table: Table, stored_keys: Sequence[bytes], work: Callable[[Table, Effects], None]
    ) -> None:
        if not stay.enter([table]):
            raise no_table()
        stay.lock(set(stored_keys))
        effects = Effects(self._store)
        work(table.gate.table or table, effects)
        self._commit(effects)

    def log_aged(self, table: Table, keys: Sequence[PrimaryKey]) -> None:
        """Logs a change of each row and writes none. Raises ObjectNotExist, InvalidPrimaryKey, StorageFailure."""
        entries = [changeblock.entry(ChangeKind.UPDATE, table.keys.encode(key)[_BARE:]) for key in keys]
        stay = Stay(self._locks)
        surely(lambda: self._log(stay, table, entries), stay.end)

    def _log(self, stay: Stay, table: Table, entries: list[bytes]) -> None:
        if not stay.enter([table]):
            raise no_table()
        self._committer.commit(Pending([], {table.table_id: entries}, sum(map(len, entries))))

    def _check_free(self, prepared: _Prepared) -> None:
        """Raises OperationConflict where a transaction holds the row. Tables with an automatic column have none."""
        if prepared.table.auto_increment is None:
            self._transactions.check_free(prepared.table, prepared.stored_key)

    def _apply_all(
        self,
        changes: Sequence[tuple[Table, RowChange]],
        prepared: Sequence[_Prepared | LutraError],
        effects: Effects,
        now_ms: int,
        is_atomic: bool,
    ) -> list[WriteResult | LutraError]:
        """What becomes of each change; ``prepared`` are ``changes``, or what is wrong with them."""
        if not is_atomic:
            together: list[WriteResult | LutraError] = []
            for one in prepared:
                try:
                    _check_held(effects.size_bytes)
                    together.append(self._apply(one, effects, now_ms) if isinstance(one, _Prepared) else one)
                except StorageFailure:  # which may have come in the midst of a row
                    raise
                except LutraError as error:
                    together.append(error)
            return together
        places: dict[int, list[int]] = {}
        for place, (table, _) in enumerate(changes):
            places.setdefault(table.table_id, []).append(place)
        results: dict[int, WriteResult | LutraError] = {}
        for of_table in places.values():
            together = self._all_or_none([prepared[place] for place in of_table], effects, now_ms)
            results.update(zip(of_table, together, strict=True))
        return [results[place] for place in range(len(changes))]

    def _all_or_none(
        self, prepared: Sequence[_Prepared | LutraError], effects: Effects, now_ms: int
    ) -> list[WriteResult | LutraError]:
        own = Effects(effects)
        try:
            _check_one_partition([_sound(one) for one in prepared])
            written: list[WriteResult | LutraError] = []
            for one in prepared:
                _check_held(effects.size_bytes + own.size_bytes)
                written.append(self._apply(_sound(one), own, now_ms))
        except LutraError as error:
            return [error] * len(prepared)
        effects.absorb(own)
        return written

    def _apply(self, prepared: _Prepared, effects: Effects, now_ms: int) -> WriteResult:
        """Checks the condition and adds what the change does to ``effects``; raises before it adds anything."""
        change, table = prepared.change, prepared.table
        key = change.key
        counter: tuple[bytes, int] | None = None
        if prepared.counter_key is not None:
            key, counter = self._numbered(prepared, effects)
        stored_key = prepared.stored_key or table.keys.encode(key)
        value = prepared.value
        cells = prepared.cells
        read_units = 0
        blind = _blind(change)
        stored: bytes | None = None
        old: list[Cell] | None = None
        now = table.gate.table or table  # an index may be there since the table was looked up
        if change.kind is ChangeKind.UPDATE or not blind or prepared.must_exist:
            stored = effects.get(stored_key)
            old = None if stored is None else storedrow.decode(stored, table, now_ms)
            _check_condition(prepared, old)
            if not blind:
                read_units = _condition_units(prepared, old or [])
            if change.kind is ChangeKind.UPDATE:
                if old is None and only_deletes(change.cells):
                    return WriteResult(consumed(read_units, prepared.write_units), _returned(change, key, []))
                cells = cell_changes.updated(table, old or [], change.cells, now_ms)
                value = _encoded(cells, now_ms)
        elif now.needs_old:
            stored = effects.get(stored_key)
            old = _whatever_is_left(stored, table, now_ms)
        if now is not table:  # what of the row has expired by now is another question
            old = _whatever_is_left(stored, now, now_ms)
        new = None if value is None else cells
        effects.row_changed(now, change, key, stored_key, value, stored, old, new, now_ms)  # type: ignore[arg-type]
        if counter is not None:
            effects.put(counter[0], keyspace.pack(counter[1]))
        row = None if change.return_type is ReturnType.NONE else _returned(change, key, cells)
        return WriteResult(consumed(read_units, prepared.write_units), row)

    def _numbered(self, prepared: _Prepared, effects: Effects) -> tuple[KeyInput, tuple[bytes, int]]:
        """The key with the next number of its partition key, and what the counter is to become."""
        position, counter_key = prepared.table.auto_increment, prepared.counter_key
        assert position is not None
        assert counter_key is not None
        stored = effects.get(counter_key)
        last = 0 if stored is None else keyspace.unpack(stored)
        key = prepared.change.key
        name = key[position][0]
        if last == INT64_MAX:
            raise ParameterInvalid(f"Primary key column '{name}' has no larger value left.")
        return (*key[:position], (name, last + 1), *key[position + 1 :]), (counter_key, last + 1)

    def _commit(self, effects: Effects) -> None:
        if effects.values:
            self._committer.commit(effects.pending())

    def _now_ms(self) -> int:
        return self._clock.now_us() // 1_000


def _prepare_all(
    changes: Sequence[tuple[Table, RowChange]], now_ms: int, refused: Mapping[int, LutraError]
) -> list[_Prepared | LutraError]:
    """Changes ready to be applied, or what is wrong with them; ``refused``: by table id, with all of a table.

    Raises ParameterInvalid where a change is wrong in itself.
    """
    prepared: list[_Prepared | LutraError] = []
    for table, change in changes:
        try:
            if table.table_id in refused:
                raise refused[table.table_id]
            prepared.append(_prepare(table, change, now_ms))
        except LutraError as error:
            check_change(change)
            prepared.append(error)
    return prepared


def _checked(one: _Prepared | LutraError, check: Callable[[_Prepared], None]) -> _Prepared | LutraError:
    if isinstance(one, _Prepared):
        try:
            check(one)
        except LutraError as error:
            return error
    return one


def _sound(one: _Prepared | LutraError) -> _Prepared:
    if isinstance(one, LutraError):
        raise one
    return one


def _check_scope(transaction: Transaction, prepared: _Prepared) -> None:
    if prepared.table.keys.partition(prepared.stored_key) != transaction.partition:
        raise out_of_range(transaction.partition_value, prepared.change.key)


def _check_one_partition(prepared: Sequence[_Prepared]) -> None:
    """Raises DataOutOfRange where rows of one table have several partition keys."""
    first = prepared[0].change.key[0][1]
    for one in prepared[1:]:
        value = one.change.key[0][1]
        if value != first:
            raise DataOutOfRange(
                f"Data out of scope of atomic. Atomic PartKey:{shown(first)}. Data PartKey:{shown(value)}"
            )


def _prepare(table: Table, change: RowChange, now_ms: int) -> _Prepared:
    """Raises ParameterInvalid, InvalidPrimaryKey."""
    prepared = _Prepared(table, change)
    check_cells(change)
    if table.auto_increment is None:
        prepared.stored_key = table.keys.encode(change.key)
    else:
        _prepare_numbered(prepared, table.auto_increment)
    prepared.size_bytes = measure_row(change.key, change.cells, 8)
    prepared.write_units = _write_units(prepared)
    if change.kind is ChangeKind.PUT:
        prepared.cells = cell_changes.cells_of_put(table, change.cells, now_ms)
        prepared.value = _encoded(prepared.cells, now_ms)
    elif change.kind is ChangeKind.UPDATE:
        if not table.allow_update:
            raise ParameterInvalid(f"Table {table.name} does not allow UpdateRow (allow_update is false).")
        cell_changes.check_against(table, change.cells, now_ms)
    if change.condition.columns is not None:
        prepared.predicate = compile_condition(change.condition.columns)
    return prepared


def _write_units(prepared: _Prepared) -> int:
    versions_bytes = prepared.table.version_bytes * len(prepared.change.cells)
    if prepared.size_bytes + versions_bytes <= UNIT_BYTES:  # most rows: spares measuring them again
        return 1
    return units(measure_row(prepared.change.key, prepared.change.cells, 0) + versions_bytes)


def _prepare_numbered(prepared: _Prepared, position: int) -> None:
    """A change of a table with an auto-increment column.

    AUTO_INCREMENT makes a row, and the counter of its partition key takes part. A number changes the row that has it:
    who could give numbers could take those that the table has not come to.
    """
    table, change = prepared.table, prepared.change
    names = table.schema.key
    key = change.key
    if len(key) != len(names) or key[position][1] is not AUTO_INCREMENT:
        prepared.stored_key = table.keys.encode(key)
        prepared.must_exist = change.kind is not ChangeKind.DELETE
        return
    if change.kind is ChangeKind.DELETE:
        raise ParameterInvalid("Invalid row to delete which with pk auto increment.")
    if change.condition.existence is not RowExistence.IGNORE:
        raise ParameterInvalid(
            f"Invalid expect:{change.condition.existence.name} when modify row with pk auto increment."
        )
    if change.condition.columns is not None:
        raise ParameterInvalid("Can't set condition when modify row with pk auto increment.")
    if change.kind is ChangeKind.UPDATE and only_deletes(change.cells):
        raise ParameterInvalid("An update that only deletes makes no row: give the number of the row to update.")
    # The other columns are checked with any value in its place.
    table.keys.encode((*key[:position], (key[position][0], 0), *key[position + 1 :]))
    prepared.counter_key = keyspace.counters_prefix(table.table_id) + table.keys.encode_partition(key)


def _lock_keys(prepared: Sequence[_Prepared]) -> set[bytes]:
    """What to lock. Raises ParameterInvalid where changes of one row come with a condition."""
    rows = [one.stored_key for one in prepared if one.stored_key]
    keys = set(rows)
    if len(keys) < len(rows):
        counts = Counter(rows)
        for one in prepared:
            if counts[one.stored_key] > 1:
                check_repeated(one.change)
    keys.update(one.counter_key for one in prepared if one.counter_key is not None)
    return keys


def _blind(change: RowChange) -> bool:
    """Whether no condition asks what the row is now."""
    return change.condition.existence is RowExistence.IGNORE and change.condition.columns is None


def _whatever_is_left(stored: bytes | None, table: Table, now_ms: int) -> list[Cell] | None:
    """The cells of a row that is about to be replaced, be it damaged: that mends it."""
    try:
        return None if stored is None else storedrow.decode(stored, table, now_ms)
    except Corruption:
        return None


def _check_condition(prepared: _Prepared, old: list[Cell] | None) -> None:
    if prepared.must_exist and old is None:
        raise ConditionCheckFail("Condition check failed. There is no row of that number: AUTO_INCREMENT makes one.")
    existence = prepared.change.condition.existence
    if existence is not RowExistence.IGNORE and (existence is RowExistence.EXPECT_EXIST) is (old is None):
        raise ConditionCheckFail
    if prepared.predicate is not None and not prepared.predicate(prepared.change.key, old or []):  # type: ignore[arg-type]
        raise ConditionCheckFail


def _condition_units(prepared: _Prepared, old: list[Cell]) -> int:
    """What a condition reads: of the row whether it is there, and the columns that the condition names."""
    columns = prepared.change.condition.columns
    if columns is None:
        return 1
    names = columns_of(columns)
    return units(row_bytes(prepared.table, prepared.change.key, [cell for cell in old if cell[0] in names]))  # type: ignore[arg-type]


def _encoded(cells: list[Cell], now_ms: int) -> bytes:
    value = storedrow.encode(cells, now_ms)
    if len(value) > limits.ROW_BYTES_MAX:
        raise ParameterInvalid(
            "The total data size of columns in one row exceeded the limit, limit size:"
            f" {limits.ROW_BYTES_MAX}, data size: {len(value)}."
        )
    return value


def _check_held(size_bytes: int) -> None:
    """Raises BatchTooLarge where the rows of a batch so far leave no room for another."""
    if size_bytes > limits.BATCH_HELD_BYTES_MAX:
        raise BatchTooLarge(
            f"The rows of this batch take more than {limits.BATCH_HELD_BYTES_MAX} bytes together as they are stored:"
            " write fewer at a time."
        )


def _returned(change: RowChange, key: KeyInput, cells: list[Cell]) -> Row | None:
    """What the change asked to have back: of AFTER_MODIFY the columns named, else those it increments."""
    if change.return_type is ReturnType.NONE:
        return None
    if change.return_type is ReturnType.PRIMARY_KEY:
        return Row(key)  # type: ignore[arg-type]
    names = change.return_columns or incremented(change.cells)
    return Row(key, cell_changes.newest_of(cells, names))  # type: ignore[arg-type]
