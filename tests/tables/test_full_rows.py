"""Tables that are updated by full rows (``update_full_row``): all columns of a row are of one time."""

from __future__ import annotations

from typing import Any

import pytest

from lutra.kv.store import KeyValueStore
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.rows import CellOperation, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, TableOptions, TableSchema, TableUpdate
from lutra.model.values import ColumnType, Value
from lutra.tables import keyspace
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

KEY = (("id", "a"),)
DAY_S = 86_400


def create(tables: Tables, **options: object) -> None:
    tables.create(
        TableSchema("t", (KeyColumn("id", ColumnType.STRING),), options=TableOptions(update_full_row=True, **options))  # type: ignore[arg-type]
    )


def put(tables: Tables, **columns: Value) -> None:
    cells = [(name, value, None, CellOperation.PUT) for name, value in columns.items()]
    tables.write("t", RowChange(ChangeKind.PUT, KEY, cells))  # type: ignore[arg-type]


def update(tables: Tables, *changes: tuple[str, Value | None, int | None, int]) -> None:
    tables.write("t", RowChange(ChangeKind.UPDATE, KEY, list(changes)))


def cells(tables: Tables) -> list[tuple[str, Value, int]] | None:
    row = tables.read("t", KEY, ReadOptions()).row
    return None if row is None else row.cells


def test_an_update_writes_the_whole_row_anew(tables: Tables, clock: Any) -> None:
    create(tables)
    put(tables, a=1, b="x", c=True)
    clock.advance_s(5)
    update(tables, ("a", 2, None, CellOperation.PUT), ("c", None, None, CellOperation.DELETE_ALL))
    assert cells(tables) == [("a", 2, clock.ms), ("b", "x", clock.ms)]
    clock.advance_s(5)
    update(tables, ("n", 3, None, CellOperation.INCREMENT))
    assert cells(tables) == [("a", 2, clock.ms), ("b", "x", clock.ms), ("n", 3, clock.ms)]
    before_ms = clock.ms
    clock.advance_s(-60)  # a clock set back: what is acknowledged is what is read
    update(tables, ("a", 4, None, CellOperation.PUT))
    assert cells(tables) == [("a", 4, before_ms), ("b", "x", before_ms), ("n", 3, before_ms)]


def test_a_row_expires_as_a_whole(tables: Tables, clock: Any) -> None:
    create(tables, ttl_s=2 * DAY_S)
    put(tables, a=1, b=1)
    clock.advance_s(1.5 * DAY_S)
    update(tables, ("a", 2, None, CellOperation.PUT))
    clock.advance_s(1.5 * DAY_S)
    assert cells(tables) == [("a", 2, clock.ms - 1_500 * DAY_S), ("b", 1, clock.ms - 1_500 * DAY_S)]
    clock.advance_s(DAY_S)
    assert cells(tables) is None


def test_no_client_gives_the_time(tables: Tables, clock: Any) -> None:
    create(tables)
    for kind in (ChangeKind.PUT, ChangeKind.UPDATE):
        with pytest.raises(ParameterInvalid, match="rows of table t have one time, which the server gives"):
            tables.write("t", RowChange(kind, KEY, [("a", 1, clock.ms, CellOperation.PUT)]))
    assert cells(tables) is None


def test_a_row_has_so_many_columns(tables: Tables) -> None:
    create(tables)
    most = {f"c{number}": number for number in range(limits.FULL_ROW_COLUMNS_MAX)}
    put(tables, **most)
    with pytest.raises(ParameterInvalid, match="at most 256 attribute columns, not 257"):
        update(tables, ("more", 1, None, CellOperation.PUT))
    with pytest.raises(ParameterInvalid, match="at most 256 attribute columns, not 257"):
        put(tables, **most, more=1)
    update(tables, ("c0", None, None, CellOperation.DELETE_ALL), ("more", 1, None, CellOperation.PUT))
    assert len(cells(tables) or []) == limits.FULL_ROW_COLUMNS_MAX


def test_the_option_comes_and_goes(tables: Tables, space: TableSpace, store: object, clock: Any) -> None:
    tables.create(TableSchema("t", (KeyColumn("id", ColumnType.STRING),), options=TableOptions(max_versions=2)))
    with pytest.raises(ParameterInvalid, match="max_versions is 1"):
        tables.update("t", TableUpdate(update_full_row=True))
    assert tables.update("t", TableUpdate(update_full_row=True, max_versions=1)).schema.options.update_full_row
    with pytest.raises(ParameterInvalid, match="max_versions is 1"):
        tables.update("t", TableUpdate(max_versions=2))
    opened = TableSpace(store, clock).instance("default")  # type: ignore[arg-type]
    assert opened.describe("t").schema.options == TableOptions(update_full_row=True)
    assert not tables.update("t", TableUpdate(update_full_row=False)).schema.options.update_full_row


def test_earlier_versions_refuse_such_a_table_by_its_format(tables: Tables, store: KeyValueStore) -> None:
    create(tables)
    key = keyspace.definition_key(tables.describe("t").table_id)
    assert b'"format": 2' in (store.get(key) or b"")
    assert TableSpace(store).instance("default").describe("t").schema.options.update_full_row
    tables.update("t", TableUpdate(update_full_row=False))
    assert b'"format": 1' in (store.get(key) or b"")
