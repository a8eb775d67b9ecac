"""The auto-increment key column."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore
from lutra.model.conditions import Comparator, SingleColumn
from lutra.model.errors import InvalidPrimaryKey, LutraError, ParameterInvalid
from lutra.model.rows import (
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    ReadOptions,
    ReturnType,
    RowChange,
    RowExistence,
)
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import AUTO_INCREMENT, INT64_MAX, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

ALL = ReadOptions(max_versions=2**31 - 1)
PUT = CellOperation.PUT
EXIST = Condition(RowExistence.EXPECT_EXIST)


def auto(tables: Tables) -> None:
    tables.create(
        TableSchema(
            "auto",
            (
                KeyColumn("p", ColumnType.STRING),
                KeyColumn("id", ColumnType.INTEGER, auto_increment=True),
                KeyColumn("z", ColumnType.STRING),
            ),
        )
    )


def put_auto(tables: Tables, partition: str) -> int:
    change = RowChange(
        ChangeKind.PUT,
        (("p", partition), ("id", AUTO_INCREMENT), ("z", "")),
        [("c", partition, None, PUT)],
        return_type=ReturnType.PRIMARY_KEY,
    )
    row = tables.write("auto", change).row
    assert row is not None
    assert tables.read("auto", row.key, ALL).row is not None
    assert row.key[0] == ("p", partition)
    assert type(row.key[1][1]) is int
    return row.key[1][1]


def test_auto_increment_rises_within_a_partition_key_and_over_restarts(tmp_path: Path, clock) -> None:
    given: dict[str, list[int]] = {"a": [], "b": []}
    for _ in range(3):
        store: KeyValueStore = RocksStore(tmp_path)
        tables = TableSpace(store, clock).instance("default")
        if not tables.names():
            auto(tables)
        for partition, numbers in given.items():
            numbers += [put_auto(tables, partition) for _ in range(3)]
        store.close()
    assert given == {"a": list(range(1, 10)), "b": list(range(1, 10))}


def test_auto_increment_is_never_given_twice_though_rows_go(tables: Tables) -> None:
    auto(tables)
    first = put_auto(tables, "a")
    tables.write("auto", RowChange(ChangeKind.DELETE, (("p", "a"), ("id", first), ("z", ""))))
    assert put_auto(tables, "a") > first
    explicit = RowChange(ChangeKind.PUT, (("p", "a"), ("id", 100), ("z", "")), [("c", 1, None, PUT)])
    tables.write("auto", explicit)
    assert put_auto(tables, "a") == 101
    explicit.key = (("p", "a"), ("id", -7), ("z", ""))
    tables.write("auto", explicit)
    assert put_auto(tables, "a") == 102
    explicit.key = (("p", "a"), ("id", INT64_MAX), ("z", ""))
    tables.write("auto", explicit)
    with pytest.raises(ParameterInvalid, match="no larger value left"):
        put_auto(tables, "a")
    assert put_auto(tables, "b") == 1


def test_auto_increment_in_a_batch(tables: Tables) -> None:
    auto(tables)
    change = RowChange(
        ChangeKind.PUT,
        (("p", "a"), ("id", AUTO_INCREMENT), ("z", "")),
        [("c", 1, None, PUT)],
        return_type=ReturnType.PRIMARY_KEY,
    )
    (results,) = tables.write_batch([("auto", [change] * 5)])
    assert [one.row.key[1][1] for one in results] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
    assert put_auto(tables, "a") == 6


def test_auto_increment_is_refused_where_it_makes_no_sense(tables: Tables) -> None:
    auto(tables)
    key: KeyInput = (("p", "a"), ("id", AUTO_INCREMENT), ("z", ""))
    one: list[CellChange] = [("c", 1, None, PUT)]
    refused: list[tuple[type[LutraError], str, RowChange]] = [
        (ParameterInvalid, "Invalid expect:EXPECT_EXIST", RowChange(ChangeKind.PUT, key, one, EXIST)),
        (
            ParameterInvalid,
            "Can't set condition",
            RowChange(ChangeKind.PUT, key, one, Condition(columns=SingleColumn(Comparator.EQUAL, "c", 1))),
        ),
        (ParameterInvalid, "must be given to update", RowChange(ChangeKind.UPDATE, key, one)),
        (InvalidPrimaryKey, "PK type fail", RowChange(ChangeKind.DELETE, key)),
        (InvalidPrimaryKey, "PK size fail", RowChange(ChangeKind.PUT, key[:2], one)),
        (InvalidPrimaryKey, "PK name fail", RowChange(ChangeKind.PUT, (*key[:2], ("y", "")), one)),
        (InvalidPrimaryKey, "PK name fail", RowChange(ChangeKind.PUT, (("x", "a"), *key[1:]), one)),
        (
            InvalidPrimaryKey,
            "PK type fail",
            RowChange(ChangeKind.PUT, (("p", AUTO_INCREMENT), ("id", AUTO_INCREMENT), ("z", "")), one),
        ),
    ]
    for kind, text, change in refused:
        with pytest.raises(kind, match=text):
            tables.write("auto", change)
    with pytest.raises(ParameterInvalid, match="can't be used for read"):
        tables.read("auto", key, ALL)
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.STRING),)))
    with pytest.raises(InvalidPrimaryKey, match="PK type fail"):
        tables.write("t", RowChange(ChangeKind.PUT, (("pk", AUTO_INCREMENT),), [("a", 1, None, PUT)]))
