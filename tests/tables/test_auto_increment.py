"""The auto-increment key column."""

from __future__ import annotations

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore
from lutra.model.conditions import Comparator, SingleColumn
from lutra.model.errors import ConditionCheckFail, InvalidPrimaryKey, LutraError, ParameterInvalid
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
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import AUTO_INCREMENT, INT64_MAX, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

ALL = ReadOptions(max_versions=2**31 - 1)
PUT = CellOperation.PUT
EXIST = Condition(RowExistence.EXPECT_EXIST)
NOT_EXIST = Condition(RowExistence.EXPECT_NOT_EXIST)


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


def test_auto_increment_rises_within_a_partition_key_and_over_restarts(reopened, clock) -> None:
    given: dict[str, list[int]] = {"a": [], "b": []}
    for _ in range(3):
        store: KeyValueStore = reopened()
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
    assert put_auto(tables, "b") == 1


def test_there_is_an_end_to_numbers(tables: Tables, space: TableSpace, store: KeyValueStore) -> None:
    auto(tables)
    put_auto(tables, "a")
    ((counter_key, _),) = store.scan(b"n", b"o")
    batch = WriteBatch()
    batch.put(counter_key, INT64_MAX.to_bytes(8, "big"))
    store.commit(batch)
    with pytest.raises(ParameterInvalid, match="no larger value left"):
        put_auto(tables, "a")


@pytest.mark.parametrize("existence", list(RowExistence))
@pytest.mark.parametrize("kind", [ChangeKind.PUT, ChangeKind.UPDATE])
def test_a_number_that_a_client_gives_makes_no_row(
    tables: Tables, space: TableSpace, kind: ChangeKind, existence: RowExistence
) -> None:
    auto(tables)
    key: KeyInput = (("p", "a"), ("id", 100), ("z", ""))
    change = RowChange(kind, key, [("c", 1, None, PUT)], Condition(existence))
    with pytest.raises(ConditionCheckFail, match=r"^Condition check failed\. There is no row of that number"):
        tables.write("auto", change)
    (results,) = tables.write_batch([("auto", [change])])
    assert [type(one) for one in results] == [ConditionCheckFail]
    assert tables.read("auto", key, ALL).row is None
    assert space.changelog.last_sequence == 0
    assert put_auto(tables, "a") == 1


def test_a_number_that_a_client_gives_changes_the_row_that_has_it(tables: Tables) -> None:
    auto(tables)
    key: KeyInput = (("p", "a"), ("id", put_auto(tables, "a")), ("z", ""))
    for kind in (ChangeKind.PUT, ChangeKind.UPDATE):
        tables.write("auto", RowChange(kind, key, [("c", kind.name, None, PUT)]))
        row = tables.read("auto", key, ALL).row
        assert row is not None
        assert [cell[:2] for cell in row.cells] == [("c", kind.name)]
    with pytest.raises(ConditionCheckFail):
        tables.write("auto", RowChange(ChangeKind.PUT, key, [("c", 1, None, PUT)], NOT_EXIST))
    tables.write("auto", RowChange(ChangeKind.DELETE, key, [], EXIST))
    tables.write("auto", RowChange(ChangeKind.DELETE, key))
    assert put_auto(tables, "a") == 2


def test_an_update_makes_a_row_too(tables: Tables) -> None:
    auto(tables)
    key: KeyInput = (("p", "a"), ("id", AUTO_INCREMENT), ("z", ""))
    cells: list[CellChange] = [("c", 5, None, CellOperation.INCREMENT), ("d", None, None, CellOperation.DELETE_ALL)]
    update = RowChange(ChangeKind.UPDATE, key, cells, return_type=ReturnType.PRIMARY_KEY)
    assert tables.write("auto", update).row == Row((("p", "a"), ("id", 1), ("z", "")))
    (results,) = tables.write_batch([("auto", [update, update])])
    assert [one.row.key[1][1] for one in results] == [2, 3]  # type: ignore[union-attr]
    row = tables.read("auto", (("p", "a"), ("id", 3), ("z", "")), ALL).row
    assert row is not None
    assert [cell[:2] for cell in row.cells] == [("c", 5)]
    assert put_auto(tables, "a") == 4


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
    gone: list[CellChange] = [("c", None, None, CellOperation.DELETE_ALL)]
    refused: list[tuple[type[LutraError], str, RowChange]] = [
        (ParameterInvalid, "Invalid expect:EXPECT_EXIST", RowChange(ChangeKind.PUT, key, one, EXIST)),
        (
            ParameterInvalid,
            "Can't set condition",
            RowChange(ChangeKind.PUT, key, one, Condition(columns=SingleColumn(Comparator.EQUAL, "c", 1))),
        ),
        (ParameterInvalid, "Invalid expect:EXPECT_NOT_EXIST", RowChange(ChangeKind.UPDATE, key, one, NOT_EXIST)),
        (ParameterInvalid, "only deletes makes no row", RowChange(ChangeKind.UPDATE, key, gone)),
        (ParameterInvalid, "Invalid row to delete which with pk auto increment", RowChange(ChangeKind.DELETE, key)),
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
