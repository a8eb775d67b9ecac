"""What secondary indexes are to list, said once more and plainly, and what they do list."""

from __future__ import annotations

from typing import Any

from lutra.model.rows import PrimaryKey, RangeRequest, ReadOptions, Row
from lutra.model.schema import SecondaryIndex, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables.tables import Tables

Listed = list[tuple[PrimaryKey, list[tuple[str, Any, int]]]]
"""Key and cells of each row, by key."""

_TYPES = {ColumnType.INTEGER: int, ColumnType.STRING: str, ColumnType.BINARY: bytes}


def index_key_columns(schema: TableSchema, index: SecondaryIndex) -> list[str]:
    """What the index is given, then what is missing of the table's key."""
    return [*index.key, *(column.name for column in schema.key if column.name not in index.key)]


def expected(schema: TableSchema, index: SecondaryIndex, rows: list[Row]) -> Listed:
    """What the index lists of a table whose rows are these, one version of each column."""
    types = {column.name: column.type for column in [*schema.key, *schema.defined]}
    listed = []
    for row in rows:
        values = dict(row.key) | {name: value for name, value, _ in row.cells}
        key = []
        for name in index_key_columns(schema, index):
            value = values.get(name)
            if type(value) is not _TYPES[types[name]] or size_of(value) > 1_024:
                break
            key.append((name, value))
        else:
            listed.append((tuple(key), [cell for cell in row.cells if cell[0] in index.columns]))
    return sorted(listed, key=lambda one: [_sortable(value) for _, value in one[0]])


def size_of(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else 8


def _sortable(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


def all_rows(
    tables: Tables, name: str, key: list[str], *, backward: bool = False, limit: int | None = None
) -> list[Row]:
    """Of a table or an index, page by page."""
    low, high = (tuple((column, bound) for column in key) for bound in (INF_MIN, INF_MAX))
    start, end = (high, low) if backward else (low, high)
    rows: list[Row] = []
    at: Any = start
    while at is not None:
        page = tables.read_range(name, RangeRequest(at, end, backward, limit, ReadOptions()))
        rows += page.rows
        at = page.next_start
    return rows


def listed(tables: Tables, schema: TableSchema, index: SecondaryIndex, **how: Any) -> Listed:
    """What the index lists, as it is read."""
    rows = all_rows(tables, index.name, index_key_columns(schema, index), **how)
    return [(row.key, row.cells) for row in rows]


def check_index(tables: Tables, table: str, index: SecondaryIndex) -> int:
    """The index lists what its table says it should, whichever way it is read. Returns how many rows that is."""
    schema = tables.describe(table).schema
    rows = all_rows(tables, table, [column.name for column in schema.key])
    wanted = expected(schema, index, rows)
    assert listed(tables, schema, index) == wanted
    assert listed(tables, schema, index, backward=True, limit=3) == wanted[::-1]
    for key, cells in wanted[:5]:
        read = tables.read(index.name, key, ReadOptions()).row
        assert read is not None
        assert (read.key, read.cells) == (key, cells)
    return len(wanted)
