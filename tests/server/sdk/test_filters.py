"""Filters on reads: single and composite conditions, and paging through the columns of a wide row."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, column, composite, get, load, put, send, values
from tablestore import ComparatorType as Is
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.protobuf import table_store_filter_pb2 as filter_wire
from tablestore.protobuf import table_store_pb2 as wire

KEY = [("id", "row")]
BEGIN, END = [("id", ots.INF_MIN)], [("id", ots.INF_MAX)]


def test_a_row_the_filter_lets_pass(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1, b="x")
    assert values(get(client, table, KEY, column_filter=column("a", Is.EQUAL, 1))) == {"a": 1, "b": "x"}
    assert get(client, table, KEY, column_filter=column("a", Is.EQUAL, 2)) is None


def test_a_filtered_range(client: SdkClient, table: str) -> None:
    load(client, table, [([("id", f"{n:02d}")], {"n": n, "even": n % 2 == 0}) for n in range(20)])
    both = composite(ots.LogicalOperator.AND, column("even", Is.EQUAL, True), column("n", Is.GREATER_EQUAL, 10))
    _, _, rows, _ = client.get_range(table, "FORWARD", BEGIN, END, column_filter=both)
    assert [values(row)["n"] for row in rows] == [10, 12, 14, 16, 18]


def test_a_filtered_range_in_pages(client: SdkClient, table: str) -> None:
    """However far a page looks, following it to the end gives every row once."""
    load(client, table, [([("id", f"{n:02d}")], {"n": n}) for n in range(30)])
    start: Any = BEGIN
    found = []
    while start:
        _, start, rows, _ = client.get_range(
            table, "FORWARD", start, END, limit=4, column_filter=column("n", Is.GREATER_EQUAL, 15)
        )
        assert len(rows) <= 4
        found += [values(row)["n"] for row in rows]
    assert found == list(range(15, 30))


def test_a_filtered_batch(client: SdkClient, table: str) -> None:
    load(client, table, [([("id", f"{n}")], {"n": n}) for n in range(5)])
    request = ots.BatchGetRowRequest()
    keys = [[("id", f"{n}")] for n in range(5)]
    request.add(ots.TableInBatchGetRowItem(table, keys, None, column("n", Is.LESS_THAN, 2), 1))
    items = client.batch_get_row(request).get_result_by_table(table)
    assert all(item.is_ok for item in items)
    assert [item.row is not None for item in items] == [True, True, False, False, False]


def test_missing_columns(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1)
    assert get(client, table, KEY, column_filter=column("b", Is.EQUAL, 1)) is not None
    assert get(client, table, KEY, column_filter=column("b", Is.EQUAL, 1, pass_if_missing=False)) is None


@pytest.fixture
def wide(sync_client: ots.OTSClient, table: str) -> str:
    """A table whose one row has ten columns."""
    put(sync_client, table, KEY, **{f"c{number}": number for number in range(10)})
    return table


def _page(client: ots.OTSClient, table: str, offset: int, limit: int, **more: Any) -> tuple[dict[str, Any], bytes]:
    """GetRow under a ColumnPaginationFilter, for which the Python client has no class."""
    page = filter_wire.ColumnPaginationFilter(offset=offset, limit=limit)
    whole = filter_wire.Filter(type=filter_wire.FT_COLUMN_PAGINATION, filter=page.SerializeToString())
    request = wire.GetRowRequest(
        table_name=table,
        primary_key=bytes(PlainBufferBuilder.serialize_primary_key(KEY)),
        max_versions=1,
        filter=whole.SerializeToString(),
        **more,
    )
    answer = send(client, "GetRow", request.SerializeToString())
    (_, row, token), _ = client.protocol.decoder._decode_get_row(answer, "")
    return values(row), token


@pytest.mark.parametrize(("offset", "limit"), [(0, 3), (3, 3), (8, 5), (0, 100)])
def test_a_page_of_columns(sync_client: ots.OTSClient, wide: str, offset: int, limit: int) -> None:
    columns, _ = _page(sync_client, wide, offset, limit)
    assert columns == {f"c{number}": number for number in range(offset, min(offset + limit, 10))}


def test_the_columns_of_a_wide_row_page_by_page(sync_client: ots.OTSClient, wide: str) -> None:
    """A page ends with a column to go on from; where nothing follows there is none."""
    columns, token = _page(sync_client, wide, 0, 4)
    pages = [list(columns.values())]
    while token:
        assert len(pages) < 5
        columns, token = _page(sync_client, wide, 0, 4, token=token)
        pages.append(list(columns.values()))
    assert pages == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
