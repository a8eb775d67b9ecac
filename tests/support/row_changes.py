"""Changes of one row of one table, in few words, and what they leave."""

from __future__ import annotations

from lutra.model.rows import (
    Cell,
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    ReadOptions,
    RowChange,
    RowExistence,
)
from lutra.model.schema import KeyColumn, TableOptions, TableSchema
from lutra.model.values import ColumnType
from lutra.tables.tables import Tables

KEY = (("pk", "a"),)
ALL = ReadOptions(max_versions=2**31 - 1)
PUT, ALL_VERSIONS, ONE_VERSION, INCREMENT = (
    CellOperation.PUT,
    CellOperation.DELETE_ALL,
    CellOperation.DELETE_ONE,
    CellOperation.INCREMENT,
)
EXIST = Condition(RowExistence.EXPECT_EXIST)
NOT_EXIST = Condition(RowExistence.EXPECT_NOT_EXIST)


def create(tables: Tables, **options: int | bool) -> None:
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.STRING),), options=TableOptions(**options)))  # type: ignore[arg-type]


def put(tables: Tables, *cells: CellChange, condition: Condition = Condition(), key: KeyInput = KEY) -> None:  # noqa: B008
    tables.write("t", RowChange(ChangeKind.PUT, key, list(cells), condition))


def update(tables: Tables, *cells: CellChange, condition: Condition = Condition()) -> None:  # noqa: B008
    tables.write("t", RowChange(ChangeKind.UPDATE, KEY, list(cells), condition))


def delete(tables: Tables, condition: Condition = Condition()) -> None:  # noqa: B008
    tables.write("t", RowChange(ChangeKind.DELETE, KEY, [], condition))


def cells(tables: Tables, options: ReadOptions = ALL) -> list[Cell] | None:
    row = tables.read("t", KEY, options).row
    return None if row is None else row.cells


def values(tables: Tables) -> dict[str, object] | None:
    found = cells(tables)
    return None if found is None else {name: value for name, value, _ in found}
