"""Tables come, change and go; what is refused changes nothing; all of it lasts."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore
from lutra.model.errors import (
    Corruption,
    LutraError,
    ObjectAlreadyExist,
    ObjectNotExist,
    ParameterInvalid,
    QuotaExhausted,
)
from lutra.model.rows import ChangeKind, RangeRequest, ReadOptions, RowChange
from lutra.model.schema import CapacityUnits, DefinedColumn, KeyColumn, TableOptions, TableSchema, TableUpdate
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

KEY = (KeyColumn("PK0", ColumnType.STRING), KeyColumn("PK1", ColumnType.INTEGER))
FULL = TableSchema(
    "full",
    (
        KeyColumn("a", ColumnType.BINARY),
        KeyColumn("b", ColumnType.INTEGER, auto_increment=True),
        KeyColumn("c", ColumnType.STRING),
    ),
    (DefinedColumn("d", ColumnType.DOUBLE), DefinedColumn("e", ColumnType.BOOLEAN)),
    TableOptions(ttl_s=86_400, max_versions=3, max_deviation_s=10, allow_update=False),
    CapacityUnits(3, 4),
)


def put(tables: Tables, name: str, pk: str, number: int = 1) -> None:
    tables.write(name, RowChange(ChangeKind.PUT, (("PK0", pk), ("PK1", number)), [("c", pk, None, 0)]))


def rows(tables: Tables, name: str) -> int:
    whole = RangeRequest((("PK0", INF_MIN), ("PK1", INF_MIN)), (("PK0", INF_MAX), ("PK1", INF_MAX)))
    return len(tables.read_range(name, whole).rows)


def test_a_table_is_described_as_created_also_after_reopening(reopened, clock) -> None:
    store = reopened()
    created = TableSpace(store, clock).instance("default").create(FULL)
    assert created.schema == FULL
    assert created.created_us == created.reserved_changed_us == clock.us
    store.close()
    store = reopened()
    tables = TableSpace(store, clock).instance("default")
    assert tables.names() == ["full"]
    assert tables.describe("full") == created
    store.close()


def test_names_are_sorted_and_of_one_instance(space: TableSpace) -> None:
    for instance, name in (("one", "b"), ("one", "a"), ("two", "c"), ("two", "a")):
        space.instance(instance).create(TableSchema(name, KEY))
    assert space.instance("one").names() == ["a", "b"]
    assert space.instance("two").names() == ["a", "c"]
    assert space.instance("three").names() == []
    put(space.instance("one"), "a", "x")
    assert rows(space.instance("one"), "a") == 1
    assert rows(space.instance("two"), "a") == 0


def test_a_name_is_given_once(tables: Tables) -> None:
    tables.create(TableSchema("t", KEY))
    with pytest.raises(ObjectAlreadyExist, match=r"^Requested table already exists\.$"):
        tables.create(TableSchema("t", KEY[:1]))
    assert tables.describe("t").schema.key == KEY


def test_what_is_not_there_is_said_to_be_so(tables: Tables) -> None:
    change = RowChange(ChangeKind.PUT, (("PK0", "a"), ("PK1", 1)), [("c", 1, None, 0)])
    bound = (("PK0", INF_MIN), ("PK1", INF_MIN))
    for use in (
        lambda: tables.describe("t"),
        lambda: tables.delete("t"),
        lambda: tables.update("t", TableUpdate(ttl_s=-1)),
        lambda: tables.add_defined_columns("t", []),
        lambda: tables.delete_defined_columns("t", []),
        lambda: tables.split_points("t", 1),
        lambda: tables.write("t", change),
        lambda: tables.read("t", change.key, ReadOptions()),
        lambda: tables.read_range("t", RangeRequest(bound, bound)),
        lambda: tables.read_rows(1, []),
    ):
        with pytest.raises(ObjectNotExist, match=r"^Requested table does not exist\.$"):
            use()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (TableSchema("1t", KEY), "Invalid table name: '1t'."),
        (TableSchema("", KEY), "Invalid table name: ''."),
        (TableSchema("t" * 256, KEY), f"Invalid table name: '{'t' * 256}'."),
        (TableSchema("t\n", KEY), "Invalid table name: 't\n'."),
        (TableSchema("t", ()), "The number of primary key columns must be in range: [1, 4]."),
        (TableSchema("t", KEY[:1] * 5), "The number of primary key columns must be in range: [1, 4]."),
        (TableSchema("t", KEY[:1] * 2), "Duplicated primary key name: 'PK0'."),
        (TableSchema("t", (KeyColumn("p k", ColumnType.STRING),)), "Invalid column name: 'p k'."),
        (TableSchema("t", (KeyColumn("p", ColumnType.DOUBLE),)), "DOUBLE is an invalid type for the primary key."),
        (TableSchema("t", (KeyColumn("p", ColumnType.BOOLEAN),)), "BOOLEAN is an invalid type for the primary key."),
        (
            TableSchema("t", (KeyColumn("p", ColumnType.INTEGER, auto_increment=True),)),
            "First primary key can't be auto increment, table: t.",
        ),
        (
            TableSchema("t", (KEY[0], KeyColumn("p", ColumnType.STRING, auto_increment=True))),
            "AUTO_INCREMENT primary key must be integer.",
        ),
        (
            TableSchema("t", (KEY[0], *(KeyColumn(n, ColumnType.INTEGER, auto_increment=True) for n in "pq"))),
            "AUTO_INCREMENT primary key count must <= 1.",
        ),
        (
            TableSchema("t", KEY, tuple(DefinedColumn(f"c{i}", ColumnType.STRING) for i in range(33))),
            "The number of defined columns must be in range: [0, 32].",
        ),
        (
            TableSchema("t", KEY, (DefinedColumn("PK1", ColumnType.STRING),)),
            "Duplicated attribute column name with primary key column: 'PK1'.",
        ),
        (
            TableSchema("t", KEY, (DefinedColumn("c", ColumnType.STRING), DefinedColumn("c", ColumnType.DOUBLE))),
            "Duplicated defined column name: 'c'.",
        ),
        (TableSchema("t", KEY, options=TableOptions(ttl_s=0)), "TimeToLive cannot be 0 or less than -1."),
        (TableSchema("t", KEY, options=TableOptions(ttl_s=-2)), "TimeToLive cannot be 0 or less than -1."),
        (
            TableSchema("t", KEY, options=TableOptions(ttl_s=86_399)),
            "TimeToLive must be -1 or in range [86400, 2147483647], not 86399.",
        ),
        (
            TableSchema("t", KEY, options=TableOptions(max_versions=0)),
            "The maximum versions cannot be less than or equal to 0.",
        ),
        (
            TableSchema("t", KEY, options=TableOptions(max_deviation_s=-1)),
            "The maximum deviation must be in range [0, INT64_MAX/1000000].",
        ),
        (
            TableSchema("t", KEY, reserved=CapacityUnits(-1, 0)),
            "Invalid Capacity Unit: read(-1), write(0). Capacity Unit must be nonnegative.",
        ),
    ],
)
def test_a_wrong_schema_is_refused(tables: Tables, schema: TableSchema, text: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        tables.create(schema)
    assert str(caught.value) == text
    assert tables.names() == []


def test_an_instance_holds_so_many_tables(tables: Tables, space: TableSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.model.limits.TABLES_PER_INSTANCE_MAX", 8)
    for i in range(8):
        tables.create(TableSchema(f"t{i}", KEY))
    with pytest.raises(QuotaExhausted, match=r"^Number of tables exceeded the quota\.$"):
        tables.create(TableSchema("more", KEY))
    space.instance("other").create(TableSchema("more", KEY))
    tables.delete("t7")
    tables.create(TableSchema("more", KEY))


def test_updating_changes_only_what_is_named(tables: Tables, clock) -> None:
    before = tables.create(FULL)
    clock.advance_s(5)
    after = tables.update("full", TableUpdate(max_versions=5))
    assert after.schema.options == TableOptions(86_400, 5, 10, False)
    assert after.schema.reserved == CapacityUnits(3, 4)
    assert after.reserved_changed_us == before.reserved_changed_us
    after = tables.update("full", TableUpdate(ttl_s=-1, allow_update=True, reserved_read=0, reserved_write=9))
    assert after.schema.options == TableOptions(-1, 5, 10, True)
    assert after.schema.reserved == CapacityUnits(0, 9)
    assert after.reserved_changed_us == clock.us
    assert after.table_id == before.table_id
    assert tables.describe("full") == after


@pytest.mark.parametrize(
    ("kind", "splits", "text"),
    [
        (ColumnType.INTEGER, tuple(range(11)), "The count of partitions cannot be greater than 10"),
        (ColumnType.STRING, (1,), "The value type of partition does not match with primary key."),
        (ColumnType.INTEGER, (INF_MIN,), "The value type of partition does not match with primary key."),
        (
            ColumnType.INTEGER,
            (-(2**63), 1),
            "The value of partition range can not be INT64_MIN or INT64_MAX.",
        ),
        (ColumnType.INTEGER, (2**63 - 1,), "The value of partition range can not be INT64_MIN or INT64_MAX."),
        (ColumnType.STRING, ("", "a"), "The value of partition range can not be empty string."),
        (ColumnType.BINARY, (b"",), "The value of partition range can not be empty binary."),
        (
            ColumnType.STRING,
            ("a", "ü" * 33),
            "The value of partition range exceeds the MaxLength:64 with CurrentLength:66.",
        ),
        (ColumnType.INTEGER, (2, 1), "The partition ranges must be ascending."),
        (ColumnType.INTEGER, (1, 1), "The partition ranges must be ascending."),
    ],
)
def test_wrong_splits_are_refused(tables: Tables, kind: ColumnType, splits: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        tables.create(TableSchema("t", (KeyColumn("pk", kind),), splits=splits))
    assert str(caught.value) == text
    assert tables.names() == []


@pytest.mark.parametrize(
    ("kind", "splits"),
    [
        (ColumnType.INTEGER, tuple(range(-5, 5))),
        (ColumnType.STRING, ("A", "a" * 64, "ü", "\U0001f9a6")),
        (ColumnType.BINARY, (b"\0", b"\xff" * 64)),
    ],
)
def test_splits_stay_with_a_table(kind: ColumnType, splits: tuple[Any, ...]) -> None:
    store = MemoryStore()
    tables = TableSpace(store).instance("i")
    tables.create(TableSchema("t", (KeyColumn("pk", kind),), splits=splits))
    tables.update("t", TableUpdate(max_versions=2))
    tables.add_defined_columns("t", [DefinedColumn("a", ColumnType.STRING)])
    tables.delete_defined_columns("t", ["a"])
    assert tables.describe("t").schema.splits == splits
    assert TableSpace(store).instance("i").describe("t").schema.splits == splits


def test_what_is_wrong_in_itself_is_told_before_a_table_is_missed(tables: Tables) -> None:
    row = (("pk", "a"),)
    whole = RangeRequest((("pk", INF_MIN),), (("pk", INF_MAX),))
    for call in (
        lambda: tables.describe("0"),
        lambda: tables.update("0", TableUpdate(max_versions=2)),
        lambda: tables.delete("0"),
        lambda: tables.add_defined_columns("0", [DefinedColumn("a", ColumnType.STRING)]),
        lambda: tables.delete_defined_columns("0", ["a"]),
        lambda: tables.split_points("0", 1),
        lambda: tables.write("0", RowChange(ChangeKind.PUT, row, [])),
        lambda: tables.write_batch([("0", [RowChange(ChangeKind.PUT, row, [])])]),
        lambda: tables.read("0", row, ReadOptions()),
        lambda: tables.read_batch([("0", [row], ReadOptions())]),
        lambda: tables.read_range("0", whole),
    ):
        with pytest.raises(ParameterInvalid, match=r"^Invalid table name: '0'\.$"):
            call()
    with pytest.raises(ParameterInvalid, match="TimeToLive"):
        tables.update("absent", TableUpdate(ttl_s=5))
    with pytest.raises(ParameterInvalid, match="Invalid column name: '#1'"):
        tables.add_defined_columns("absent", [DefinedColumn("#1", ColumnType.STRING)])


def test_a_wrong_update_changes_nothing(tables: Tables) -> None:
    before = tables.create(FULL)
    for update in (
        TableUpdate(),
        TableUpdate(ttl_s=5),
        TableUpdate(max_versions=-1, ttl_s=-1),
        TableUpdate(reserved_write=-1),
    ):
        with pytest.raises(ParameterInvalid):
            tables.update("full", update)
    assert tables.describe("full") == before


def test_defined_columns_come_and_go(tables: Tables) -> None:
    tables.create(TableSchema("t", KEY, (DefinedColumn("a", ColumnType.STRING),)))
    tables.add_defined_columns("t", [DefinedColumn("b", ColumnType.INTEGER), DefinedColumn("c", ColumnType.DOUBLE)])
    assert [column.name for column in tables.describe("t").schema.defined] == ["a", "b", "c"]
    tables.delete_defined_columns("t", ["a", "c"])
    assert tables.describe("t").schema.defined == (DefinedColumn("b", ColumnType.INTEGER),)
    with pytest.raises(ParameterInvalid, match=r"^Column does not exist:'a'\.$"):
        tables.delete_defined_columns("t", ["b", "a"])
    with pytest.raises(ParameterInvalid, match="Duplicated defined column name: 'b'"):
        tables.add_defined_columns("t", [DefinedColumn("b", ColumnType.STRING)])
    assert tables.describe("t").schema.defined == (DefinedColumn("b", ColumnType.INTEGER),)


def test_deleting_removes_rows_and_changes_and_never_reuses_the_id(
    tables: Tables, space: TableSpace, store: KeyValueStore, clock
) -> None:
    first = tables.create(TableSchema("t", KEY)).table_id
    other = tables.create(TableSchema("other", KEY)).table_id
    for i in range(10):
        put(tables, "t", "x", i)
        put(tables, "other", "x", i)
    tables.delete("t")
    assert tables.names() == ["other"]
    assert space.changelog.read(first, 0, 100) == []
    second = tables.create(TableSchema("t", KEY)).table_id
    assert len({first, other, second}) == 3
    assert rows(tables, "t") == 0
    assert rows(tables, "other") == 10
    tables.delete("t")
    reopened = TableSpace(store, clock).instance("default")
    assert reopened.create(TableSchema("t", KEY)).table_id not in {first, other, second}
    left = [key for key, _ in store.scan(b"\0", b"\xff") if key[1:9] == first.to_bytes(8, "big") and key[:1] in b"drcn"]
    assert left == []


def test_deleting_waits_for_writers_and_turns_later_ones_away(tables: Tables) -> None:
    tables.create(TableSchema("t", KEY))
    outcomes: list[str] = []
    begun = threading.Event()

    def write() -> None:
        for i in range(100_000):
            try:
                put(tables, "t", "x", i)
                begun.set()
            except LutraError as error:
                outcomes.append(str(error))
                return

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    tables.delete("t")
    for thread in threads:
        thread.join()
    assert outcomes == ["Requested table does not exist."] * 4
    tables.create(TableSchema("t", KEY))
    assert rows(tables, "t") == 0


def test_batches_report_a_missing_table_row_by_row(tables: Tables) -> None:
    tables.create(TableSchema("t", KEY))
    change = RowChange(ChangeKind.PUT, (("PK0", "a"), ("PK1", 1)), [("c", 1, None, 0)])
    written = tables.write_batch([("none", [change, change]), ("t", [change])])
    assert [[type(one).__name__ for one in part] for part in written] == [["ObjectNotExist"] * 2, ["WriteResult"]]
    read = tables.read_batch([("none", [change.key], ReadOptions()), ("t", [change.key], ReadOptions())])
    assert [[type(one).__name__ for one in part] for part in read] == [["ObjectNotExist"], ["ReadResult"]]


def test_a_store_of_another_format_is_refused() -> None:
    store = MemoryStore()
    TableSpace(store)
    batch = WriteBatch()
    batch.put(b"m/format", b"2")
    store.commit(batch)
    with pytest.raises(Corruption, match="format"):
        TableSpace(store)


def test_a_definition_of_an_earlier_version_has_no_splits() -> None:
    store = MemoryStore()
    created = TableSpace(store).instance("i").create(FULL)
    [(key, data)] = store.scan(b"d", b"e")
    stored = json.loads(data)
    assert stored.pop("splits") == []
    batch = WriteBatch()
    batch.put(key, json.dumps(stored).encode())
    store.commit(batch)
    assert TableSpace(store).instance("i").describe("full") == created


def test_a_damaged_definition_is_refused() -> None:
    for damage in (b"{", b"{}", b'{"format": 9}', b"[]", b"\xff"):
        store = MemoryStore()
        batch = WriteBatch()
        batch.put(b"d" + b"\0" * 8, damage)
        store.commit(batch)
        with pytest.raises(Corruption, match="definition"):
            TableSpace(store)
