"""A local index in the commits of its table: expiry, damage, and what transactions and fillers do to each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.secondary import check_index, expected, listed
from tables.conftest import ManualClock

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore, Pair
from lutra.model.errors import (
    Corruption,
    ParameterInvalid,
    RowDamaged,
    ServerBusy,
    SessionNotExist,
    StorageFailure,
)
from lutra.model.rows import CellOperation, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import ColumnType
from lutra.tables import definition, keyspace
from lutra.tables.effects import Effects
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexrows import schema_of
from lutra.tables.space import TableSpace
from lutra.tables.table import Table
from lutra.tables.tables import Tables

DAY_S = 86_400
WITHIN_S = 60
INDEX = SecondaryIndex("by_n", ("p", "n"), ("s",), IndexKind.LOCAL)
SCHEMA = TableSchema(
    "t",
    (KeyColumn("p", ColumnType.STRING), KeyColumn("i", ColumnType.INTEGER)),
    (DefinedColumn("n", ColumnType.INTEGER), DefinedColumn("s", ColumnType.STRING)),
    indexes=(INDEX,),
)
MORTAL = replace(SCHEMA, options=TableOptions(2 * DAY_S, 1, 10 * DAY_S, allow_update=False))


def put(i: int, **columns: tuple[int | str, int | None]) -> RowChange:
    """Values with their times, ms or None."""
    cells = [(name, value, at, CellOperation.PUT) for name, (value, at) in columns.items()]
    return RowChange(ChangeKind.PUT, (("p", "x"), ("i", i)), cells)


def keys(tables: Tables) -> list[tuple[int, int]]:
    schema = tables.describe("t").schema
    return [(key[1][1], key[2][1]) for key, _ in listed(tables, schema, INDEX)]  # type: ignore[misc]


def fill(tables: Tables, space: TableSpace, index: SecondaryIndex, *rows: int) -> None:
    table_id, filled = tables.describe("t").table_id, IndexProgress(is_filled=True, is_shown=True)
    space.index_writer.fill(table_id, index.index_id, [(("p", "x"), ("i", i)) for i in rows], filled)


def test_entries_go_when_their_key_or_their_row_expires(tables: Tables, clock: ManualClock) -> None:
    tables.create(MORTAL)
    now = clock.ms
    old = now - DAY_S * 1_000
    tables.write("t", put(1, n=(1, old), s=("s", now)))  # its key goes first
    tables.write("t", put(2, n=(2, now), s=("s", old)))  # what comes with it goes first
    tables.write("t", put(3, n=(3, None)))
    assert keys(tables) == [(1, 1), (2, 2), (3, 3)]
    clock.advance_s(DAY_S + 1)
    assert keys(tables) == [(2, 2), (3, 3)]
    assert check_index(tables, "t", INDEX) == 2
    assert tables.read("by_n", (("p", "x"), ("n", 2), ("i", 2)), ReadOptions()).row.cells == []  # type: ignore[union-attr]
    clock.advance_s(DAY_S)
    assert keys(tables) == []
    # What is stored yet is back where values live longer, in both alike.
    tables.update("t", TableUpdate(ttl_s=4 * DAY_S))
    assert check_index(tables, "t", INDEX) == 3
    tables.write("t", put(1, n=(7, None)))
    assert check_index(tables, "t", INDEX) == 3


def test_an_expired_row_leaves_nothing_when_it_is_written_anew(tables: Tables, clock: ManualClock) -> None:
    tables.create(MORTAL)
    tables.write("t", put(1, n=(1, None)))
    clock.advance_s(3 * DAY_S)
    tables.write("t", put(1, n=(2, None)))
    tables.update("t", TableUpdate(ttl_s=10 * DAY_S))
    assert keys(tables) == [(2, 1)]


def test_an_expired_key_leaves_nothing_when_its_row_is_written_anew(tables: Tables, clock: ManualClock) -> None:
    tables.create(MORTAL)
    tables.write("t", put(1, n=(1, clock.ms - DAY_S * 1_000), s=("s", clock.ms)))
    clock.advance_s(DAY_S + 1)
    assert keys(tables) == []
    tables.write("t", put(1, n=(2, None)))
    tables.update("t", TableUpdate(ttl_s=10 * DAY_S))
    assert keys(tables) == [(2, 1)]


def test_rows_of_key_columns_alone(tables: Tables, clock: ManualClock) -> None:
    by_i = SecondaryIndex("by_i", ("p", "i"), ("s",), IndexKind.LOCAL)
    tables.create(replace(MORTAL, indexes=(by_i,)))
    tables.write("t", put(1))
    clock.advance_s(DAY_S)
    tables.write("t", put(2))
    assert check_index(tables, "t", by_i) == 2
    clock.advance_s(DAY_S + 1)
    assert check_index(tables, "t", by_i) == 1


def test_a_damaged_row_is_mended_by_a_put(tables: Tables, store: KeyValueStore) -> None:
    """What stood in the index for it is found by its key."""
    tables.create(SCHEMA)
    for i in range(3):
        tables.write("t", put(i, n=(i, None)))
    table_id = tables.describe("t").table_id
    begin, end = keyspace.rows_prefix(table_id), keyspace.rows_prefix(table_id + 1)
    stored_key = [key for key, _ in store.scan(begin, end)][1]
    batch = WriteBatch()
    batch.put(stored_key, b"\x01\xff")
    store.commit(batch)
    tables.write("t", put(1, n=(9, None)))
    assert keys(tables) == [(0, 0), (2, 2), (9, 1)]
    assert check_index(tables, "t", INDEX) == 3
    [index] = tables.describe("t").schema.indexes
    batch.put(keyspace.rows_prefix(index.index_id) + b"x\0\0no number", b"")
    store.commit(batch)
    tables.write("t", put(1, n=(7, None)))  # the index is damaged, too: the row is mended all the same
    assert tables.read("t", (("p", "x"), ("i", 1)), ReadOptions()).row is not None


class _FailingScans(MemoryStore):
    is_failing = False

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        if self.is_failing:
            raise StorageFailure("input/output error")
        return super().scan(begin, end, reverse=reverse)


def test_a_batch_is_not_written_where_an_entry_cannot_be_looked_for() -> None:
    store = _FailingScans()
    tables = TableSpace(store).instance("default")
    tables.create(SCHEMA)
    for i in (1, 2):
        tables.write("t", put(i, n=(i, None)))
    batch = WriteBatch()
    batch.put(keyspace.rows_prefix(tables.describe("t").table_id) + b"x\0\0\x80" + b"\0" * 6 + b"\x01", b"\x01\xff")
    store.commit(batch)
    store.is_failing = True
    with pytest.raises(StorageFailure):
        tables.write_batch([("t", [put(2, n=(5, None)), put(1, n=(9, None))])])
    store.is_failing = False
    assert keys(tables) == [(1, 1), (2, 2)]
    with pytest.raises(RowDamaged):
        tables.read("t", (("p", "x"), ("i", 1)), ReadOptions())


def test_rows_of_other_types_are_not_listed(tables: Tables) -> None:
    """A column that is defined later may have values of any type."""
    tables.create(replace(SCHEMA, defined=(), indexes=()))
    tables.write("t", put(1, n=("one", None)))
    tables.write("t", put(2, n=(2, None)))
    tables.write("t", put(3, n=(3, None), s=("x" * 2_000, None)))
    tables.add_defined_columns("t", list(SCHEMA.defined))
    tables.add_index("t", replace(INDEX, includes_base=False))
    for i in (1, 2, 3):
        row = tables.read("t", (("p", "x"), ("i", i)), ReadOptions()).row
        assert row is not None
        tables.write("t", RowChange(ChangeKind.UPDATE, row.key, [("other", i, None, CellOperation.PUT)]))
    assert keys(tables) == [(2, 2), (3, 3)]


def test_a_transaction_takes_its_indexes_along(tables: Tables) -> None:
    tables.create(SCHEMA)
    tables.write("t", put(1, n=(1, None)))
    transaction = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", put(1, n=(5, None)), transaction)
    tables.write("t", put(2, n=(6, None)), transaction)
    assert keys(tables) == [(1, 1)]
    tables.commit_transaction(transaction)
    assert keys(tables) == [(5, 1), (6, 2)]
    transaction = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", put(1, n=(8, None)), transaction)
    tables.abort_transaction(transaction)
    assert check_index(tables, "t", INDEX) == 2


def test_a_transaction_ends_when_an_index_is_made(tables: Tables) -> None:
    tables.create(replace(SCHEMA, indexes=()))
    transaction = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", put(1, n=(5, None)), transaction)
    tables.add_index("t", INDEX)
    with pytest.raises(SessionNotExist):
        tables.commit_transaction(transaction)


@pytest.mark.parametrize("n", [1, 2])
def test_a_row_that_a_transaction_holds_is_filled_at_once(tables: Tables, space: TableSpace, n: int) -> None:
    """Where there is always one, an index would never be filled if it waited. What is written follows."""
    tables.create(replace(SCHEMA, indexes=()))
    tables.write("t", put(1, n=(1, None)))
    index = tables.add_index("t", INDEX)
    transaction = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", put(1, n=(n, None)), transaction)
    with pytest.raises(ServerBusy, match=r"^Disallow read index table in building base state$"):
        keys(tables)
    fill(tables, space, index, 1)
    assert keys(tables) == [(1, 1)]
    tables.commit_transaction(transaction)
    assert keys(tables) == [(n, 1)]
    check_index(tables, "t", INDEX)


def test_a_commit_waits_for_who_fills_an_index_with_its_rows(tables: Tables, space: TableSpace) -> None:
    """Else what it replaces could come into the index after what it writes."""
    tables.create(replace(SCHEMA, indexes=()))
    tables.write("t", put(1, n=(1, None)))
    index = tables.add_index("t", INDEX)
    transaction = tables.start_transaction("t", (("p", "x"),))
    tables.write("t", put(1, n=(2, None)), transaction)
    table = space._catalog.get("default", "t")
    stored_key = table.keys.encode((("p", "x"), ("i", 1)))
    commit = threading.Thread(target=tables.commit_transaction, args=(transaction,))

    def work(table: Table, effects: Effects) -> None:
        before = effects.get(stored_key)
        assert before is not None
        commit.start()
        commit.join(0.1)
        assert commit.is_alive()
        assert tables.read("t", (("p", "x"), ("i", 1)), ReadOptions()).row.cells[0][1] == 1  # type: ignore[union-attr]

    space.index_writer._writer.with_rows(table, [stored_key], work)
    commit.join(WITHIN_S)
    fill(tables, space, index, 1)
    assert keys(tables) == [(2, 1)]


def test_a_row_that_is_locked_is_filled_as_it_is_then(tables: Tables, space: TableSpace) -> None:
    """Not as it was when it was scanned; of one that is gone nothing is listed."""
    tables.create(replace(SCHEMA, indexes=()))
    for i in (1, 2):
        tables.write("t", put(i, n=(i, None)))
    index = tables.add_index("t", INDEX)
    tables.write("t", put(1, n=(9, None)))
    tables.write("t", RowChange(ChangeKind.DELETE, (("p", "x"), ("i", 2))))
    fill(tables, space, index, 1, 2)
    assert keys(tables) == [(9, 1)]


def test_writers_that_are_inside_are_waited_for(tables: Tables, space: TableSpace) -> None:
    tables.create(SCHEMA)
    table = space._catalog.get("default", "t")
    who, other = object(), object()
    assert table.gate.enter(who)
    assert not space.index_writer.settle(table.table_id, 0.01)
    assert table.gate.enter(other)
    table.gate.leave(who)
    assert space.index_writer.settle(10**6, 0.01)
    table.gate.leave(other)
    assert space.index_writer.settle(table.table_id, 10)


def test_definitions_are_kept_and_their_format_told(store: KeyValueStore) -> None:
    tables = TableSpace(store).instance("default")
    tables.create(SCHEMA)
    tables.add_index("t", SecondaryIndex("g", ("s",), (), IndexKind.GLOBAL, includes_base=False))
    again = TableSpace(store).instance("default")
    assert again.describe("t") == tables.describe("t")
    assert [index.index_id for index in again.describe("t").schema.indexes] == [2, 3]
    (stored,) = [value for _, value in store.scan(keyspace.DEFINITIONS_BEGIN, keyspace.DEFINITIONS_END)]
    assert b'"format": 3' in stored
    with pytest.raises(Corruption):
        definition.from_json(stored.replace(b'"format": 3', b'"format": 5'))
    tables.drop_index("t", "g")
    tables.drop_index("t", "by_n")
    (stored,) = [value for _, value in store.scan(keyspace.DEFINITIONS_BEGIN, keyspace.DEFINITIONS_END)]
    assert b'"format": 1' in stored


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 9}', b'{"format": 1, "position": "x"}'])
def test_progress_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(Corruption):
        IndexProgress.from_json(data)


def test_progress_is_kept() -> None:
    progress = IndexProgress(7, True, b"\0x", True, 3, DAY_S)
    assert IndexProgress.from_json(progress.to_json()) == progress
    assert IndexProgress.from_json(IndexProgress().to_json()) == IndexProgress()


def test_an_index_as_a_table() -> None:
    schema = schema_of(replace(SCHEMA, options=MORTAL.options), SecondaryIndex("x", ("s", "i"), ("n", "p")))
    assert [column.name for column in schema.key] == ["s", "i", "p"]
    assert [column.name for column in schema.defined] == ["n"]
    assert schema.options == MORTAL.options
    assert expected(SCHEMA, INDEX, []) == []


def test_what_cannot_be_changed_while_there_is_an_index(tables: Tables) -> None:
    tables.create(SCHEMA)
    for update in (TableUpdate(max_versions=2), TableUpdate(ttl_s=DAY_S), TableUpdate(ttl_s=DAY_S, allow_update=True)):
        with pytest.raises(ParameterInvalid, match="secondary index"):
            tables.update("t", update)
    tables.update("t", TableUpdate(ttl_s=DAY_S, allow_update=False))
    with pytest.raises(ParameterInvalid, match="secondary index"):
        tables.update("t", TableUpdate(allow_update=True))


def test_a_damaged_entry_is_named(tables: Tables, store: KeyValueStore) -> None:
    tables.create(SCHEMA)
    tables.write("t", put(1, n=(1, None)))
    (index,) = tables.describe("t").schema.indexes
    begin = keyspace.rows_prefix(index.index_id)
    ((stored_key, value),) = store.scan(begin, keyspace.rows_prefix(index.index_id + 1))
    for broken in (value[:10], b"\x07"):
        batch = WriteBatch()
        batch.put(stored_key, broken)
        store.commit(batch)
        with pytest.raises(RowDamaged, match=r"of secondary index \[by_n\] is damaged: .*drop the index and create it"):
            keys(tables)
