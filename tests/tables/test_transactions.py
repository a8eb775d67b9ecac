"""Local transactions: what they see and write, when they end, and who waits for whom."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import pytest
from support.interrupts import InterruptAt, Interrupted
from support.transaction_rows import PUT, USER, create, key, put, rows
from support.waiting import wait_until

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.model import limits
from lutra.model.errors import (
    DataOutOfRange,
    LutraError,
    ObjectNotExist,
    OperationConflict,
    ParameterInvalid,
    ServerBusy,
    SessionBusy,
    SessionNotExist,
    StorageFailure,
    TransactionTooLarge,
)
from lutra.model.rows import (
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    ReadOptions,
    ReturnType,
    Row,
    RowChange,
    RowExistence,
)
from lutra.model.schema import DefinedColumn, KeyColumn, StreamSpec, TableSchema, TableUpdate
from lutra.model.values import ColumnType, KeyValue
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

WITHIN_S = 20


class Seconds:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def space(store: MemoryStore, clock: object, seconds: Seconds) -> TableSpace:
    return TableSpace(store, clock, seconds)  # type: ignore[arg-type]


@pytest.fixture
def table(tables: Tables) -> Tables:
    create(tables)
    return tables


def test_time_ends_it(table: Tables, seconds: Seconds) -> None:
    transaction = table.start_transaction("t", USER)
    table.write("t", put(1, v=1), transaction)
    seconds.s += 59.9
    assert rows(table, transaction) == {1: {"v": 1}}
    with pytest.raises(OperationConflict):
        table.write("t", put(2, v=2))
    seconds.s += 0.2
    table.write("t", put(2, v=2))
    for call in (
        lambda: table.write("t", put(1, v=1), transaction),
        lambda: rows(table, transaction),
        lambda: table.commit_transaction(transaction),
        lambda: table.abort_transaction(transaction),
    ):
        with pytest.raises(SessionNotExist, match=r"^Session not exist or may be timeout\.$"):
            call()
    assert rows(table) == {2: {"v": 2}}
    other = table.start_transaction("t", USER)
    seconds.s += 61
    assert table.start_transaction("t", USER) != other


def test_ids_cannot_be_guessed_and_belong_to_their_instance(space: TableSpace, table: Tables) -> None:
    ids = {table.start_transaction("t", (("p", str(number)),)) for number in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    other = space.instance("other")
    create(other)
    for one in ids:
        with pytest.raises(SessionNotExist):
            other.commit_transaction(one)
        table.commit_transaction(one)
    assert space.transactions.count == 0


def test_memory_of_those_whose_time_is_up_is_let_go(space: TableSpace, table: Tables, seconds: Seconds) -> None:
    """Also where nobody asks for any of them again."""
    opened = space.transactions._opened
    transaction = table.start_transaction("t", USER)
    table.write("t", put(1, v="x" * 1_000), transaction)
    space.transactions.drop_expired()
    assert [one.held_bytes > 1_000 for one in opened._by_id.values()] == [True]
    seconds.s += 61
    space.transactions.drop_expired()
    assert not opened._by_id
    assert not opened.holders


def test_so_many_are_open_at_once(table: Tables, monkeypatch: pytest.MonkeyPatch, seconds: Seconds) -> None:
    monkeypatch.setattr(limits, "TRANSACTIONS_MAX", 3)
    first, *_ = [table.start_transaction("t", (("p", str(number)),)) for number in range(3)]
    with pytest.raises(ServerBusy, match="3 local transactions are open"):
        table.start_transaction("t", USER)
    table.abort_transaction(first)
    table.start_transaction("t", USER)
    with pytest.raises(ServerBusy):
        table.start_transaction("t", (("p", "x"),))
    seconds.s += 61
    table.start_transaction("t", (("p", "x"),))


def test_rows_take_so_much_memory(table: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """An UpdateRow of one column stages the whole row: so a transaction of little changes may be large."""
    table.write("t", put(1, v="x" * 10_000))
    table.write("t", put(2, v="x" * 10_000))
    monkeypatch.setattr(limits, "TRANSACTION_HELD_BYTES_MAX", 15_000)
    monkeypatch.setattr(limits, "TRANSACTIONS_HELD_BYTES_MAX", 25_000)
    transaction = table.start_transaction("t", USER)
    small: list[CellChange] = [("count", 1, None, CellOperation.INCREMENT)]
    for _ in range(5):  # of one row only the last counts
        table.write("t", RowChange(ChangeKind.UPDATE, key(1), small), transaction)
    with pytest.raises(TransactionTooLarge, match="take more than 15000 bytes"):
        table.write("t", RowChange(ChangeKind.UPDATE, key(2), small), transaction)
    assert rows(table, transaction)[1]["count"] == 5
    assert "count" not in rows(table, transaction)[2]
    other = table.start_transaction("t", (("p", "v"),))
    table.write("t", put(1, "v", v="x" * 8_000), other)
    with pytest.raises(ServerBusy, match="all open local transactions take too much memory"):
        table.write("t", put(2, "v", v="x" * 5_000), other)
    table.abort_transaction(transaction)
    table.write("t", put(2, "v", v="x" * 5_000), other)
    table.commit_transaction(other)


def test_a_commit_is_one_batch_and_logged_as_any(space: TableSpace, table: Tables) -> None:
    table_id = table.describe("t").table_id
    before = space.changelog.last_sequence
    transaction = table.start_transaction("t", USER)
    table.write("t", put(1, v=1), transaction)
    table.write("t", RowChange(ChangeKind.UPDATE, key(1), [("v", 2, None, PUT)]), transaction)
    table.write("t", RowChange(ChangeKind.DELETE, key(2)), transaction)
    assert space.changelog.last_sequence == before
    told: list[set[int]] = []
    space.changelog.subscribe(told.append)
    table.commit_transaction(transaction)
    assert told == [{table_id}]
    logged = space.changelog.read(table_id, before, 10)
    assert [(change.kind, change.key) for change in logged] == [
        (ChangeKind.PUT, key(1)),
        (ChangeKind.UPDATE, key(1)),
        (ChangeKind.DELETE, key(2)),
    ]
    empty = table.start_transaction("t", USER)
    table.commit_transaction(empty)
    assert len(told) == 1


def test_streams_tell_each_change_once_it_is_committed(space: TableSpace, tables: Tables) -> None:
    key_columns = (KeyColumn("p", ColumnType.STRING), KeyColumn("n", ColumnType.INTEGER))
    tables.create(TableSchema("t", key_columns, stream=StreamSpec(24, ("v",))))
    [stream] = space.streams.of_tables("default", "t")

    def told() -> list[tuple[ChangeKind, KeyInput, object, object]]:
        begin = space.streams.iterator("default", stream.stream_id, stream.shards[0].id, None)
        records = space.streams.read("default", begin, 100, 2**30).records
        return [
            (one.kind, one.key, [cell[:2] for cell in one.cells], one.original and [cell[:2] for cell in one.original])
            for one in records
        ]

    aborted = tables.start_transaction("t", USER)
    tables.write("t", put(1, v=0), aborted)
    tables.abort_transaction(aborted)
    transaction = tables.start_transaction("t", USER)
    tables.write("t", put(1, v=1), transaction)
    tables.write_batch([("t", [put(1, v=2), put(2, v=3)])], transaction=transaction, is_atomic=True)
    with pytest.raises(LutraError):
        tables.write("t", RowChange(ChangeKind.DELETE, key(5), [], Condition(RowExistence.EXPECT_EXIST)), transaction)
    tables.write("t", RowChange(ChangeKind.DELETE, key(1)), transaction)
    assert told() == []
    tables.commit_transaction(transaction)
    assert told() == [
        (ChangeKind.PUT, key(1), [("v", 1)], None),
        (ChangeKind.PUT, key(1), [("v", 2)], [("v", 1)]),
        (ChangeKind.PUT, key(2), [("v", 3)], None),
        (ChangeKind.DELETE, key(1), [], [("v", 2)]),
    ]


def test_a_version_is_of_the_write_not_of_the_commit(table: Tables, clock) -> None:  # type: ignore[no-untyped-def]
    transaction = table.start_transaction("t", USER)
    written_ms = clock.ms
    table.write("t", put(1, v=1), transaction)
    clock.advance_s(30)
    table.commit_transaction(transaction)
    row = table.read("t", key(1), ReadOptions()).row
    assert row is not None
    assert row.cells == [("v", 1, written_ms)]


def test_conditions_and_results_are_those_of_any_write(table: Tables) -> None:
    transaction = table.start_transaction("t", USER)
    expect = Condition(RowExistence.EXPECT_NOT_EXIST)
    first = RowChange(ChangeKind.PUT, key(1), [("v", 1, None, PUT)], expect, ReturnType.PRIMARY_KEY)
    result = table.write("t", first, transaction)
    assert result.row == Row(key(1))  # type: ignore[arg-type]
    with pytest.raises(LutraError, match=r"Condition check failed\."):
        table.write("t", first, transaction)
    increment: list[CellChange] = [("v", 5, None, CellOperation.INCREMENT)]
    after = table.write(
        "t", RowChange(ChangeKind.UPDATE, key(1), increment, return_type=ReturnType.AFTER_MODIFY), transaction
    )
    assert after.row is not None
    assert [cell[:2] for cell in after.row.cells] == [("v", 6)]
    with pytest.raises(ParameterInvalid, match="Rows count exceeds"):
        table.write_batch([("t", [first] * 201)], transaction=transaction)
    table.commit_transaction(transaction)
    assert rows(table) == {1: {"v": 6}}


@pytest.mark.parametrize("kind", [ColumnType.STRING, ColumnType.INTEGER, ColumnType.BINARY])
@pytest.mark.parametrize("is_single", [True, False])
def test_partition_keys_of_every_type(tables: Tables, kind: ColumnType, is_single: bool) -> None:
    """Keys that begin alike are not one."""
    columns = (KeyColumn("p", kind),) if is_single else (KeyColumn("p", kind), KeyColumn("n", ColumnType.STRING))
    tables.create(TableSchema("t", columns))
    values: list[KeyValue] = {
        ColumnType.STRING: ["", "a", "a\0", "a\0\0", "a\0b", "ab"],
        ColumnType.INTEGER: [-1, 0, 1, 2**63 - 1],
        ColumnType.BINARY: [b"", b"a", b"a\0", b"a\0\xff", b"a\0\0", b"\xff"],
    }[kind]  # type: ignore[assignment]
    rest = () if is_single else (("n", "\0"),)
    for held in values:
        transaction = tables.start_transaction("t", (("p", held),))
        for value in values:
            change = RowChange(ChangeKind.PUT, (("p", value), *rest), [("v", 1, None, PUT)])
            if value == held:
                tables.write("t", change, transaction)
                with pytest.raises(OperationConflict):
                    tables.write("t", change)
            else:
                tables.write("t", change)
                with pytest.raises(DataOutOfRange):
                    tables.write("t", change, transaction)
                with pytest.raises(DataOutOfRange):
                    tables.read("t", change.key, ReadOptions(), transaction)
        tables.commit_transaction(transaction)


def test_rows_that_java_wants_locked(table: Tables) -> None:
    with pytest.raises(DataOutOfRange, match=r"Transaction PartKey:u\. Data PartKey:v$"):
        table.start_transaction("t", USER, [key(1), key(1, "v")])
    with pytest.raises(ParameterInvalid, match="Validate PK size fail"):
        table.start_transaction("t", USER, [USER])
    transaction = table.start_transaction("t", USER, [key(1)])
    with pytest.raises(OperationConflict):
        table.write("t", put(2, v=1))
    table.abort_transaction(transaction)


def test_tables_that_have_none(tables: Tables) -> None:
    text = r"^Try to call method using explicit transaction on explicit-transaction-disabled table\.$"
    automatic = KeyColumn("n", ColumnType.INTEGER, auto_increment=True)
    first = KeyColumn("p", ColumnType.STRING)
    tables.create(TableSchema("automatic", (first, automatic)))
    tables.create(TableSchema("without", (first,), has_transactions=False))
    for name in ("automatic", "without"):
        with pytest.raises(ParameterInvalid, match=text):
            tables.start_transaction(name, USER)


def test_a_table_without_transactions_stays_so(
    space: TableSpace, tables: Tables, store: MemoryStore, clock: object
) -> None:
    tables.create(TableSchema("t", (KeyColumn("p", ColumnType.STRING),), has_transactions=False))
    opened = TableSpace(store, clock).instance("default")  # type: ignore[arg-type]
    assert not opened.describe("t").schema.has_transactions


@pytest.mark.parametrize("change", ["options", "defined", "delete", "delete and create"])
def test_another_definition_ends_it(table: Tables, change: str) -> None:
    transaction = table.start_transaction("t", USER)
    table.write("t", put(1, v=1), transaction)
    if change == "options":
        table.update("t", TableUpdate(max_versions=2))
    elif change == "defined":
        table.add_defined_columns("t", [DefinedColumn("v", ColumnType.STRING)])
    else:
        table.delete("t")
    if change == "delete and create":
        create(table)
    with pytest.raises(SessionNotExist):
        table.commit_transaction(transaction)
    if change != "delete":
        assert rows(table) == {}
        table.write("t", put(1, v="free"))


class GatedStore(MemoryStore):
    """A commit waits until it is let through; a read may be made to, too."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.let_through = threading.Event()
        self.let_through.set()
        self.fails = False
        self.reads_go_on = threading.Event()
        self.reads_go_on.set()

    def get(self, key: bytes) -> bytes | None:
        if key[:1] == b"r" and not self.reads_go_on.is_set():
            self.has_begun.set()
            assert self.reads_go_on.wait(WITHIN_S)
        return super().get(key)

    def commit(self, batch: WriteBatch) -> None:
        if self.fails:
            raise StorageFailure("no")
        self.has_begun.set()
        assert self.let_through.wait(WITHIN_S)
        super().commit(batch)


class Call(threading.Thread):
    """Makes a call; ``result`` and ``error`` are what came of it."""

    def __init__(self, call: object) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._call()  # type: ignore[operator]
        except BaseException as error:
            self.error = error

    def ended(self) -> object:
        self.join(WITHIN_S)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def gated() -> Iterator[tuple[GatedStore, Tables]]:
    store = GatedStore()
    tables = TableSpace(store).instance("default")
    create(tables)
    yield store, tables
    store.let_through.set()
    store.reads_go_on.set()


def test_a_start_waits_for_writers_that_came_before(gated: tuple[GatedStore, Tables]) -> None:
    store, tables = gated
    store.let_through.clear()
    store.has_begun.clear()
    writer = Call(lambda: tables.write("t", put(1, v=1)))
    assert store.has_begun.wait(WITHIN_S)
    starter = Call(lambda: tables.start_transaction("t", USER))
    # It holds the key already: who comes now is refused, and it waits for the writer.
    wait_until(lambda: tables._transactions.count == 1)
    with pytest.raises(OperationConflict):
        tables.start_transaction("t", USER)
    starter.join(0.05)
    assert starter.is_alive()
    store.let_through.set()
    writer.ended()
    transaction = starter.ended()
    assert isinstance(transaction, str)
    assert rows(tables, transaction) == {1: {"v": 1}}
    tables.commit_transaction(transaction)


def test_one_request_at_a_time_uses_it(gated: tuple[GatedStore, Tables]) -> None:
    store, tables = gated
    transaction = tables.start_transaction("t", USER)
    store.reads_go_on.clear()
    store.has_begun.clear()
    reader = Call(lambda: tables.read("t", key(1), ReadOptions(), transaction))
    assert store.has_begun.wait(WITHIN_S)
    for call in (
        lambda: tables.write("t", put(1, v=1), transaction),
        lambda: tables.commit_transaction(transaction),
        lambda: tables.abort_transaction(transaction),
    ):
        with pytest.raises(SessionBusy, match="Another request is using the transaction"):
            call()
    # What is going on is let finish, whatever becomes of the table meanwhile.
    tables.update("t", TableUpdate(max_versions=2))
    store.reads_go_on.set()
    reader.ended()
    tables.write("t", put(1, v=1))
    with pytest.raises(SessionNotExist):
        tables.commit_transaction(transaction)


def test_a_deletion_waits_for_a_commit(gated: tuple[GatedStore, Tables]) -> None:
    store, tables = gated
    transaction = tables.start_transaction("t", USER)
    tables.write("t", put(1, v=1), transaction)
    store.let_through.clear()
    store.has_begun.clear()
    committer = Call(lambda: tables.commit_transaction(transaction))
    assert store.has_begun.wait(WITHIN_S)
    deleter = Call(lambda: tables.delete("t"))
    deleter.join(0.05)
    assert deleter.is_alive()
    store.let_through.set()
    committer.ended()
    deleter.ended()
    with pytest.raises(ObjectNotExist):
        tables.describe("t")


def test_a_commit_that_fails_ends_it(gated: tuple[GatedStore, Tables]) -> None:
    store, tables = gated
    transaction = tables.start_transaction("t", USER)
    tables.write("t", put(1, v=1), transaction)
    store.fails = True
    with pytest.raises(StorageFailure):
        tables.commit_transaction(transaction)
    store.fails = False
    with pytest.raises(SessionNotExist):
        tables.commit_transaction(transaction)
    tables.write("t", put(2, v=2))
    assert rows(tables) == {2: {"v": 2}}


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_an_interrupt_at_any_instant_leaves_nothing_behind(seconds: Seconds, stride: int) -> None:
    """Ctrl-C in a start, a write or a commit: all is whole afterwards, and the key free within a minute."""
    tables = TableSpace(MemoryStore(), monotonic=seconds).instance("default")
    create(tables)
    batch = [put(n, v=n) for n in range(3)]

    def work() -> None:
        transaction = tables.start_transaction("t", USER)
        tables.write_batch([("t", batch)], transaction=transaction, is_atomic=True)
        tables.commit_transaction(transaction)

    for number in range(1, 3_000, stride):
        interrupt = InterruptAt(number, lambda module: module.startswith("lutra.tables."))
        with contextlib.suppress(Interrupted):
            interrupt.run(work)
        assert rows(tables) in ({}, {n: {"v": n} for n in range(3)})
        seconds.s += 61
        for n in range(3):
            tables.write("t", RowChange(ChangeKind.DELETE, key(n)))
        if not interrupt.has_come:
            break
    assert 100 < number < 2_999
