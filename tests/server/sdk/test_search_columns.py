"""Which columns a search's rows carry."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import tablestore as ots
from support.sdk import SdkClient, put
from support.searching import ALL, ALL_FROM_INDEX, NONE, columns_of, field, packed, search, vector_field
from support.tables import TableMaker
from tablestore import ColumnReturnType, ColumnsToGet, FieldType, MatchAllQuery

KEY = [("id", "row"), ("n", 1)]
COLUMNS = {
    "z_text": "text",
    "a_long": 1,
    "tags": '["a", "b"]',
    "v": packed([1.0, 2.0]),
    "outside": 3.5,
    "unstored": "u",
    "flag": True,
}
INDEXED = {name: value for name, value in COLUMNS.items() if name != "outside"}


@dataclass(frozen=True)
class Indexed:
    table: str
    index: str


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    """One row; all its columns but ``outside`` are in the index."""
    table = make_for_module.table([("id", "STRING"), ("n", "INTEGER")])
    put(sync_client, table, KEY, **COLUMNS)
    fields = [
        field("z_text", FieldType.KEYWORD),
        field("a_long", FieldType.LONG),
        field("tags", FieldType.KEYWORD, is_array=True),
        vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN),
        field("unstored", FieldType.KEYWORD, store=False),
        field("flag", FieldType.BOOLEAN),
    ]
    return Indexed(table, make_for_module.index(table, fields))


def _row(client: SdkClient, rows: Indexed, columns: ColumnsToGet | None) -> tuple[list, list]:
    [row] = search(client, rows.table, rows.index, MatchAllQuery(), columns=columns).rows
    assert row[0] == KEY
    return row


def test_none(client: SdkClient, rows: Indexed) -> None:
    assert columns_of(_row(client, rows, NONE)) == {}
    assert columns_of(_row(client, rows, None)) == {}


def test_all_from_the_table_in_the_order_of_their_names(client: SdkClient, rows: Indexed) -> None:
    row = _row(client, rows, ALL)
    assert columns_of(row) == COLUMNS
    assert [name for name, *_ in row[1]] == sorted(COLUMNS)


def test_all_from_the_index(client: SdkClient, rows: Indexed) -> None:
    """Fields that are not stored come as well: users of it rely on that."""
    assert columns_of(_row(client, rows, ALL_FROM_INDEX)) == INDEXED


def test_some(client: SdkClient, rows: Indexed) -> None:
    columns = ColumnsToGet(["outside", "a_long", "absent"], ColumnReturnType.SPECIFIED)
    assert columns_of(_row(client, rows, columns)) == {"a_long": 1, "outside": 3.5}
    columns = ColumnsToGet(["v", "tags"], ColumnReturnType.SPECIFIED)
    assert columns_of(_row(client, rows, columns)) == {"tags": '["a", "b"]', "v": packed([1.0, 2.0])}


def test_the_response_is_also_a_tuple_of_its_parts(client: SdkClient, rows: Indexed) -> None:
    found, token, total, is_all_succeed, *_ = search(client, rows.table, rows.index, MatchAllQuery())
    assert (len(found), bool(token), total, is_all_succeed) == (1, False, -1, True)


def test_routing_keys_change_nothing_where_there_is_one_place(client: SdkClient, rows: Indexed) -> None:
    query = ots.SearchQuery(MatchAllQuery(), limit=10)
    response = client.search(rows.table, rows.index, query, NONE, routing_keys=[[("id", "row")]], timeout_s=5)
    assert len(response.rows) == 1
