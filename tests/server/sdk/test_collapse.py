"""One row of each value; filters and counts as Java sends them; routing."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load, send
from support.searching import field, ids, search
from support.tables import TableMaker
from tablestore import Collapse, FieldSort, FieldType, MatchAllQuery, Sort, SortOrder
from tablestore.protobuf import search_pb2

COUNT = 30
NONE = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> tuple[str, str]:
    """Rows 00 to 29: ``group`` is n modulo 4 but of every fifth, which has none; ``name`` is the group as text."""
    table = make_for_module.table([("id", "STRING"), ("part", "INTEGER")])
    load(
        sync_client,
        table,
        [
            (
                [("id", f"{n:02d}"), ("part", n % 3)],
                {"n": n} | ({"group": n % 4, "name": f"g{n % 4}"} if n % 5 else {}),
            )
            for n in range(COUNT)
        ],
    )
    index = make_for_module.index(
        table,
        [
            field("n", FieldType.LONG),
            field("group", FieldType.LONG),
            field("name", FieldType.KEYWORD),
            field("many", FieldType.LONG, is_array=True),
        ],
    )
    return table, index


def group_of(n: int) -> int | None:
    return n % 4 if n % 5 else None


def firsts(order: Any = range(COUNT)) -> list[str]:
    seen: dict[int | None, int] = {}
    for n in order:
        seen.setdefault(group_of(n), n)
    return [f"{n:02d}" for n in seen.values()]


@pytest.mark.parametrize("name", ["group", "name"])
def test_one_row_of_each_value(client: SdkClient, rows: tuple[str, str], name: str) -> None:
    """And one of those without any; the total is of all rows that match."""
    response = search(client, *rows, MatchAllQuery(), collapse_field=Collapse(name), get_total_count=True)
    assert ids(response) == firsts()
    assert (response.total_count, response.next_token) == (COUNT, b"")
    sort = Sort([FieldSort("n", SortOrder.DESC)])
    response = search(client, *rows, MatchAllQuery(), collapse_field=Collapse(name), sort=sort)
    assert ids(response) == firsts(range(COUNT - 1, -1, -1))


def test_pages_by_offset(client: SdkClient, rows: tuple[str, str]) -> None:
    pages = [
        ids(search(client, *rows, MatchAllQuery(), collapse_field=Collapse("group"), offset=offset, limit=2))
        for offset in range(0, 8, 2)
    ]
    assert pages == [firsts()[:2], firsts()[2:4], firsts()[4:], []]


def test_pages_by_token_are_refused(client: SdkClient, rows: tuple[str, str]) -> None:
    token = search(client, *rows, MatchAllQuery(), limit=1).next_token
    with invalid(mentions="collapse"):
        search(client, *rows, MatchAllQuery(), collapse_field=Collapse("group"), next_token=token)


@pytest.mark.parametrize("name", ["absent", "many"])
def test_fields_that_cannot_be_collapsed(client: SdkClient, rows: tuple[str, str], name: str) -> None:
    with invalid(mentions=f"[collapse] field_name: {name}"):
        search(client, *rows, MatchAllQuery(), collapse_field=Collapse(name))


def answer_to(client: ots.OTSClient, rows: tuple[str, str], more: bytes) -> search_pb2.SearchResponse:
    """To a search for all rows, and what Java adds to its message."""
    query = search_pb2.SearchQuery(limit=100)
    query.query.CopyFrom(search_pb2.Query(type=search_pb2.MATCH_ALL_QUERY))
    request = search_pb2.SearchRequest(
        table_name=rows[0], index_name=rows[1], search_query=query.SerializeToString() + more
    )
    return search_pb2.SearchResponse.FromString(send(client, "Search", request.SerializeToString()))


@pytest.mark.parametrize(
    ("track", "total"),
    [
        (b"\x68\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", -1),  # SearchQuery.track_total_count: -1
        (b"\x68\x07", 7),
        (b"\x68\x64", COUNT),
        (b"\x68\xff\xff\xff\xff\x07", COUNT),  # Integer.MAX_VALUE
    ],
)
def test_how_many_to_count(sync_client: ots.OTSClient, rows: tuple[str, str], track: bytes, total: int) -> None:
    response = answer_to(sync_client, rows, track)
    assert (response.total_hits, response.is_all_succeed, len(response.rows)) == (total, True, COUNT)


def test_a_filter_of_what_is_found(sync_client: ots.OTSClient, rows: tuple[str, str]) -> None:
    exists = search_pb2.Query(
        type=search_pb2.EXISTS_QUERY, query=search_pb2.ExistsQuery(field_name="group").SerializeToString()
    ).SerializeToString()
    inner = b"\x0a" + bytes([len(exists)]) + exists  # SearchFilter.query
    response = answer_to(sync_client, rows, b"\x72" + bytes([len(inner)]) + inner + b"\x68\x64")
    assert response.total_hits == len(response.rows) == sum(n % 5 != 0 for n in range(COUNT))


def test_routing_values_make_no_difference(client: SdkClient, rows: tuple[str, str]) -> None:
    """As the SDK's own tests expect: one partition has all rows."""

    def found(*keys: list[tuple[str, Any]]) -> list[str]:
        query = ots.SearchQuery(MatchAllQuery(), limit=100)
        return ids(client.search(*rows, query, NONE, routing_keys=list(keys)))

    every = [f"{n:02d}" for n in range(COUNT)]
    assert found([("id", "07")]) == found([("id", "07")], [("id", "no")]) == found([("part", 1)]) == every
    with invalid(mentions="routing value"):
        found([("n", 1)])
