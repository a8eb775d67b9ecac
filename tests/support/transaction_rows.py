"""Rows of one partition key, as tests of transactions write and read them."""

from __future__ import annotations

from lutra.model.rows import CellOperation, ChangeKind, KeyInput, RangeRequest, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType, KeyValue, Value
from lutra.tables.tables import Tables

USER = (("p", "u"),)
PUT = CellOperation.PUT


def create(tables: Tables) -> None:
    key = (KeyColumn("p", ColumnType.STRING), KeyColumn("n", ColumnType.INTEGER))
    tables.create(TableSchema("t", key))


def key(n: int, p: str = "u") -> KeyInput:
    return (("p", p), ("n", n))


def put(n: int, p: str = "u", **columns: Value) -> RowChange:
    return RowChange(ChangeKind.PUT, key(n, p), [(name, value, None, PUT) for name, value in columns.items()])


def rows(tables: Tables, transaction: str | None = None, p: str = "u") -> dict[KeyValue, dict[str, Value]]:
    request = RangeRequest((("p", p), ("n", INF_MIN)), (("p", p), ("n", INF_MAX)))
    return {
        row.key[1][1]: {name: value for name, value, _ in row.cells}
        for row in tables.read_range("t", request, transaction).rows
    }
