"""Concurrent transactions, atomic batches and single writes: each partition key's history has a serial order."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator

import pytest
from support.histories import History, Unit, serial_order
from support.secondary import check_index

from lutra.model.errors import ConditionCheckFail, LutraError, OperationConflict
from lutra.model.rows import (
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    RangeRequest,
    ReadOptions,
    Row,
    RowChange,
    RowExistence,
)
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables.locks import RowLocks
from lutra.tables.open_transactions import OpenTransactions
from lutra.tables.tables import Tables

INDEX = SecondaryIndex("by_v", ("p", "v"), (), IndexKind.LOCAL)
SCHEMA = TableSchema(
    "t",
    (KeyColumn("p", ColumnType.STRING), KeyColumn("r", ColumnType.STRING)),
    (DefinedColumn("v", ColumnType.INTEGER),),
    indexes=(INDEX,),
)
PARTITIONS = ("p", "q")
ROWS = ("a", "b", "c")
THREADS = 4
UNITS = 120
WITHIN_S = 60


def unit(name: str, began_s: float, ended_s: float, reads: dict[str, int | None], **writes: int | None) -> Unit:
    return Unit(name, began_s, ended_s, reads, writes)


@pytest.mark.parametrize(
    ("units", "order"),
    [
        ([unit("w", 0, 1, {}, a=1), unit("r", 2, 3, {"a": 1})], ["w", "r"]),
        # At once: either order may explain what was seen.
        ([unit("w", 0, 9, {}, a=1), unit("r", 1, 2, {"a": None}), unit("s", 3, 4, {"a": 1})], ["r", "w", "s"]),
        ([unit("w", 0, 1, {}, a=1), unit("r", 2, 3, {"a": None})], None),  # stale
        ([unit("w", 0, 1, {}, a=1), unit("r", 0, 9, {"a": 2})], None),  # out of nowhere
        # A lost update, write skew, half of a transaction, and a read that is not repeatable.
        ([unit("w", 0, 9, {"a": None}, a=1), unit("x", 0, 9, {"a": None}, a=2)], None),
        ([unit("w", 0, 9, {"a": None, "b": None}, a=1), unit("x", 0, 9, {"a": None, "b": None}, b=1)], None),
        ([unit("w", 0, 9, {}, a=1, b=1), unit("r", 0, 9, {"a": 1, "b": None})], None),
        (
            [unit("w", 0, 1, {}, a=1, b=1), unit("x", 2, 9, {}, a=None), unit("r", 3, 9, {"a": None, "b": 1})],
            ["w", "x", "r"],
        ),
    ],
)
def test_the_checker_knows_what_has_no_order(units: list[Unit], order: list[str] | None) -> None:
    assert serial_order(units) == order


def test_the_checker_lets_what_is_not_certain_be_or_not() -> None:
    write = Unit("w", 0, 5, {}, {"a": 1}, is_certain=False)
    assert serial_order([write, unit("r", 6, 7, {"a": 1})]) == ["w", "r"]
    assert serial_order([write, unit("r", 6, 7, {"a": None})]) == ["r"]
    assert serial_order([write, unit("r", 6, 7, {"a": None}), unit("s", 8, 9, {"a": 1})]) is None


class Worker(threading.Thread):
    """Does units of all kinds, one after the other; ``error`` is what went wrong."""

    def __init__(self, tables: Tables, histories: dict[str, History], seed: int, number: int) -> None:
        super().__init__(daemon=True)
        self._tables = tables
        self._histories = histories
        self._random = random.Random(f"{seed} {number}")
        self._number = number
        self._values = iter(range(number * 1_000_000, (number + 1) * 1_000_000))
        self.conflicts = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for count in range(UNITS):
                partition = self._random.choice(PARTITIONS)
                history = self._histories[partition]
                kinds = (self._transaction, self._transaction, self._atomic, self._write, self._checked, self._read)
                kind = self._random.choice(kinds)
                while True:
                    one = history.begin(f"{self._number}.{count} {kind.__name__}")
                    try:
                        kind(one, partition)
                        break
                    except OperationConflict:
                        self.conflicts += 1
                        threading.Event().wait(self._random.random() / 500)
                history.end(one)
        except BaseException as error:
            self.error = error

    def _transaction(self, one: Unit, partition: str) -> None:
        transaction = self._tables.start_transaction("t", (("p", partition),))
        try:
            self._in_transaction(one, partition, transaction)
        except BaseException:
            self._tables.abort_transaction(transaction)
            raise

    def _in_transaction(self, one: Unit, partition: str, transaction: str) -> None:
        for _ in range(self._random.randint(1, 5)):
            row = self._random.choice(ROWS)
            action = self._random.random()
            if action < 0.35:
                one.saw(row, value_of(self._tables.read("t", key(partition, row), ReadOptions(), transaction).row))
            elif action < 0.5:
                found = self._range(partition, transaction)
                for name in ROWS:
                    one.saw(name, found.get(name))
            else:
                change, value = self._change(partition, row)
                self._tables.write("t", change, transaction)
                one.writes[row] = value
        if self._random.random() < 0.3:
            one.writes.clear()
            self._tables.abort_transaction(transaction)
        else:
            self._tables.commit_transaction(transaction)

    def _atomic(self, one: Unit, partition: str) -> None:
        changes = []
        writes: dict[str, int | None] = {}
        for row in self._random.sample(ROWS, self._random.randint(1, 3)):
            change, writes[row] = self._change(partition, row)
            changes.append(change)
        [results] = self._tables.write_batch([("t", changes)], is_atomic=True)
        for result in results:
            if isinstance(result, LutraError):
                raise result
        one.writes = writes

    def _write(self, one: Unit, partition: str) -> None:
        row = self._random.choice(ROWS)
        change, value = self._change(partition, row)
        self._tables.write("t", change)
        one.writes[row] = value

    def _checked(self, one: Unit, partition: str) -> None:
        """A put where there is no row: that it was let through says that there was none."""
        row = self._random.choice(ROWS)
        change, value = self._change(partition, row, is_deletion=False)
        change.condition = Condition(RowExistence.EXPECT_NOT_EXIST)
        try:
            self._tables.write("t", change)
        except ConditionCheckFail:
            return
        one.reads[row] = None
        one.writes[row] = value

    def _read(self, one: Unit, partition: str) -> None:
        row = self._random.choice(ROWS)
        one.saw(row, value_of(self._tables.read("t", key(partition, row), ReadOptions()).row))

    def _range(self, partition: str, transaction: str) -> dict[str, int | None]:
        low, high = (("p", partition), ("r", INF_MIN)), (("p", partition), ("r", INF_MAX))
        request = RangeRequest(low, high)
        if self._random.random() < 0.5:
            request = RangeRequest(high, low, backward=True)
        found = self._tables.read_range("t", request, transaction)
        return {str(row.key[1][1]): value_of(row) for row in found.rows}

    def _change(self, partition: str, row: str, is_deletion: bool | None = None) -> tuple[RowChange, int | None]:
        if self._random.random() < 0.25 if is_deletion is None else is_deletion:
            return RowChange(ChangeKind.DELETE, key(partition, row)), None
        value = next(self._values)
        kind = self._random.choice((ChangeKind.PUT, ChangeKind.UPDATE))
        return RowChange(kind, key(partition, row), [("v", value, None, CellOperation.PUT)]), value


def key(partition: str, row: str) -> KeyInput:
    return (("p", partition), ("r", row))


def value_of(row: Row | None) -> int | None:
    if row is None:
        return None
    [(_, value, _)] = row.cells
    assert isinstance(value, int)
    return value


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run(tables: Tables, seed: int) -> tuple[dict[str, History], int]:
    tables.create(SCHEMA)
    histories = {partition: History() for partition in PARTITIONS}
    workers = [Worker(tables, histories, seed, number) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WITHIN_S)
        assert not worker.is_alive()
        if worker.error is not None:
            raise worker.error
    return histories, sum(worker.conflicts for worker in workers)


@pytest.mark.parametrize("seed", range(6))
def test_every_history_has_an_order(memory_tables: Tables, switching: None, seed: int) -> None:
    histories, _ = run(memory_tables, seed)
    for partition, history in histories.items():
        end = history.begin("end")
        for row in ROWS:
            end.saw(row, value_of(memory_tables.read("t", key(partition, row), ReadOptions()).row))
        history.end(end)
        assert serial_order(history.units) is not None, history.units
    check_index(memory_tables, "t", INDEX)


def test_without_holders_histories_have_none(
    memory_tables: Tables, switching: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above shows something: writers that do not ask who holds a key are found out."""
    monkeypatch.setattr(OpenTransactions, "check_free", lambda *_: None)
    monkeypatch.setattr(RowLocks, "drain", lambda *_: None)
    for seed in range(20):
        try:
            histories, _ = run(memory_tables, seed)
        except AssertionError:  # a transaction that reads a row twice may see it itself
            return
        if any(serial_order(history.units) is None for history in histories.values()):
            return
        memory_tables.delete("t")
    pytest.fail("20 histories without locks, and each had an order")
