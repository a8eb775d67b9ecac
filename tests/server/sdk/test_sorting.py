"""The order of a search's rows, and paging through them by offset and by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load, put, send
from support.searching import ALL, BY_SCORE, every_page, field, ids, scores, search, vector_field
from support.tables import TableMaker
from tablestore import FieldSort, FieldType, MatchAllQuery, PrimaryKeySort, ScoreSort, Sort, SortMode, SortOrder
from tablestore.plainbuffer.plain_buffer_coded_stream import PlainBufferCodedInputStream
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream
from tablestore.protobuf import search_pb2

ASC, DESC = SortOrder.ASC, SortOrder.DESC
COUNT = 57


@dataclass(frozen=True)
class Indexed:
    table: str
    index: str

    def sorted_by(self, client: SdkClient, *sorters: ots.Sorter, **options: Any) -> list[int]:
        response = search(client, self.table, self.index, MatchAllQuery(), sort=Sort(list(sorters)), **options)
        return [int(name) for name in ids(response)]

    def pages(self, client: SdkClient, query: Any = None, **options: Any) -> list[list[int]]:
        found = every_page(client, self.table, self.index, query or MatchAllQuery(), **options)
        return [[int(name) for name in page] for page in found]


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    """Rows 0 to 56: ``group`` is n modulo 5, ``down`` falls, ``few`` is there in each fourth row."""
    table = make_for_module.table()
    for_each = [
        (
            [("id", f"{n:02d}")],
            {
                "n": n,
                "group": n % 5,
                "down": -n / 2,
                "name": f"name {n % 7}",
                "even": n % 2 == 0,
                "array": f"[{n}, {100 - n}]",
            }
            | ({"few": n % 8} if n % 4 == 0 else {}),
        )
        for n in range(COUNT)
    ]
    load(sync_client, table, for_each)
    index = make_for_module.index(
        table,
        [
            field("n", FieldType.LONG),
            field("group", FieldType.LONG),
            field("down", FieldType.DOUBLE),
            field("name", FieldType.KEYWORD),
            field("even", FieldType.BOOLEAN),
            field("array", FieldType.LONG, is_array=True),
            field("few", FieldType.LONG),
            field("unsorted", FieldType.LONG, enable_sort_and_agg=False),
            vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN),
        ],
    )
    return Indexed(table, index)


def test_by_primary_key_where_nothing_is_said(client: SdkClient, rows: Indexed) -> None:
    response = search(client, rows.table, rows.index, MatchAllQuery())
    assert [int(name) for name in ids(response)] == list(range(COUNT))


def test_by_the_order_of_the_index_where_it_has_one(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [field("n", FieldType.LONG)], index_sort=Sort([FieldSort("n", DESC)]))
    for name, n in (("a", 2), ("b", 3), ("c", 1), ("d", 3)):
        put(client, table, [("id", name)], n=n)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, MatchAllQuery())) == ["b", "d", "a", "c"]
    assert every_page(client, table, index, MatchAllQuery(), limit=3) == [["b", "d", "a"], ["c"]]
    assert ids(search(client, table, index, MatchAllQuery(), sort=Sort([PrimaryKeySort()]))) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("order", [ASC, DESC])
def test_by_one_field(client: SdkClient, rows: Indexed, order: SortOrder) -> None:
    """Rows that are equal come by primary key."""
    sign = 1 if order == ASC else -1
    for name, value in {
        "n": lambda n: n,
        "group": lambda n: n % 5,
        "down": lambda n: -n / 2,
        "name": lambda n: n % 7,
        "even": lambda n: n % 2 == 0,
    }.items():
        expected = sorted(range(COUNT), key=lambda n, value=value: (sign * value(n), n))
        assert rows.sorted_by(client, FieldSort(name, order)) == expected


def test_by_primary_key(client: SdkClient, rows: Indexed) -> None:
    assert rows.sorted_by(client, PrimaryKeySort(ASC)) == list(range(COUNT))
    assert rows.sorted_by(client, PrimaryKeySort(DESC)) == list(range(COUNT - 1, -1, -1))


def test_by_many(client: SdkClient, rows: Indexed) -> None:
    expected = sorted(range(COUNT), key=lambda n: (n % 5, -(n % 7), -n))
    sorters = FieldSort("group", ASC), FieldSort("name", DESC), PrimaryKeySort(DESC)
    assert rows.sorted_by(client, *sorters) == expected


@pytest.mark.parametrize("order", [ASC, DESC])
def test_rows_without_the_field_come_last(client: SdkClient, rows: Indexed, order: SortOrder) -> None:
    sign = 1 if order == ASC else -1
    having = sorted((n for n in range(COUNT) if n % 4 == 0), key=lambda n: (sign * (n % 8), n))
    lacking = [n for n in range(COUNT) if n % 4]
    assert rows.sorted_by(client, FieldSort("few", order)) == having + lacking


@pytest.mark.parametrize(
    ("order", "mode", "value"),
    [
        (ASC, SortMode.MIN, lambda n: min(n, 100 - n)),
        (DESC, SortMode.MIN, lambda n: -min(n, 100 - n)),
        (ASC, SortMode.MAX, lambda n: max(n, 100 - n)),
        (DESC, SortMode.MAX, lambda n: -max(n, 100 - n)),
        (ASC, SortMode.AVG, lambda n: 50),
        (ASC, None, lambda n: min(n, 100 - n)),
        (DESC, None, lambda n: -max(n, 100 - n)),
    ],
)
def test_arrays_sort_by_one_of_their_elements(
    client: SdkClient, rows: Indexed, order: SortOrder, mode: SortMode | None, value: Any
) -> None:
    expected = sorted(range(COUNT), key=lambda n: (value(n), n))
    assert rows.sorted_by(client, FieldSort("array", order, mode)) == expected


def test_pages_without_the_default_key_sorter_hold_every_row_once(sync_client: ots.OTSClient, rows: Indexed) -> None:
    """Java and Go can ask for it; a row that ties with the last of a page is on the next."""
    found, token = [], b""
    while not found or token:
        query = search_pb2.SearchQuery(limit=10, token=token)
        query.query.CopyFrom(search_pb2.Query(type=search_pb2.MATCH_ALL_QUERY))
        if not token:
            query.sort.sorter.add().field_sort.CopyFrom(search_pb2.FieldSort(field_name="even", order=1))
        disabled = b"\x32\x02\x10\x01"  # SearchQuery.sort.disable_default_pk_sorter
        request = search_pb2.SearchRequest(
            table_name=rows.table, index_name=rows.index, search_query=query.SerializeToString() + disabled
        )
        answer = search_pb2.SearchResponse.FromString(send(sync_client, "Search", request.SerializeToString()))
        for row in answer.rows:
            key, _ = PlainBufferCodedInputStream(PlainBufferInputStream(row)).read_row()
            found.append(int(key[0][1]))
        token = answer.next_token
    assert [n % 2 for n in found] == sorted(n % 2 for n in range(COUNT))
    assert sorted(found) == list(range(COUNT))


def test_by_score(client: SdkClient, rows: Indexed) -> None:
    query = ots.BoolQuery(
        must_queries=[MatchAllQuery()],
        should_queries=[ots.TermQuery("n", 3, weight=5.0), ots.TermQuery("n", 9, weight=9.0)],
    )
    response = search(client, rows.table, rows.index, query, sort=BY_SCORE)
    assert [int(name) for name in ids(response)][:2] == [9, 3]
    assert scores(response) == sorted(scores(response), reverse=True)
    response = search(client, rows.table, rows.index, query, sort=Sort([ScoreSort(ASC), PrimaryKeySort(DESC)]))
    assert [int(name) for name in ids(response)][-2:] == [3, 9]
    assert [int(name) for name in ids(response)][:2] == [COUNT - 1, COUNT - 2]


@pytest.mark.parametrize("name", ["absent", "unsorted", "v"])
def test_fields_that_cannot_be_sorted_by(client: SdkClient, rows: Indexed, name: str) -> None:
    with invalid(mentions=name):
        rows.sorted_by(client, FieldSort(name))


@pytest.mark.parametrize(("offset", "limit"), [(0, 10), (10, 10), (50, 10), (57, 10), (1_000, 10), (0, 0), (5, 1)])
def test_offset_and_limit(client: SdkClient, rows: Indexed, offset: int, limit: int) -> None:
    expected = list(range(COUNT))[offset : offset + limit]
    assert rows.sorted_by(client, FieldSort("n"), offset=offset, limit=limit) == expected


def test_ten_rows_where_no_limit_is_given(client: SdkClient, rows: Indexed) -> None:
    response = search(client, rows.table, rows.index, MatchAllQuery(), limit=None)
    assert len(response.rows) == 10


def test_the_total_where_it_is_asked_for(client: SdkClient, rows: Indexed) -> None:
    for query, total in ((MatchAllQuery(), COUNT), (ots.TermQuery("even", True), 29), (ots.TermQuery("n", -1), 0)):
        response = search(client, rows.table, rows.index, query, limit=3, get_total_count=True)
        assert (response.total_count, response.is_all_succeed) == (total, True)
    response = search(client, rows.table, rows.index, MatchAllQuery(), limit=0, get_total_count=True)
    assert (response.total_count, list(response.rows)) == (COUNT, [])
    assert search(client, rows.table, rows.index, MatchAllQuery(), limit=3).total_count == -1


@pytest.mark.parametrize("limit", [1, 10, 19, 57, 100])
def test_tokens_lead_to_the_end(client: SdkClient, rows: Indexed, limit: int) -> None:
    pages = rows.pages(client, limit=limit)
    assert [n for page in pages for n in page] == list(range(COUNT))
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


@pytest.mark.parametrize(
    "sorters",
    [
        [FieldSort("group", DESC)],
        [FieldSort("few", ASC)],
        [FieldSort("few", DESC), FieldSort("name", ASC)],
        [PrimaryKeySort(DESC)],
        [FieldSort("array", ASC, SortMode.AVG)],
        [ScoreSort(DESC)],
        [FieldSort("down", ASC), ScoreSort()],
    ],
    ids=lambda sorters: "-".join(getattr(s, "field_name", type(s).__name__) for s in sorters),
)
def test_a_token_keeps_the_sort(client: SdkClient, rows: Indexed, sorters: list[ots.Sorter]) -> None:
    pages = rows.pages(client, limit=10, sort=Sort(sorters))
    assert [n for page in pages for n in page] == rows.sorted_by(client, *sorters)


def test_tokens_under_a_query(client: SdkClient, rows: Indexed) -> None:
    pages = rows.pages(client, ots.TermQuery("even", True), limit=4)
    assert [n for page in pages for n in page] == list(range(0, COUNT, 2))


def test_rows_written_between_pages(client: SdkClient, make: TableMaker, table: str) -> None:
    """What was there all along comes once, whatever is written or deleted meanwhile."""
    for n in range(20):
        put(client, table, [("id", f"{n:02d}")], n=n)
    index = make.index(table, [field("n", FieldType.LONG)])
    first = search(client, table, index, MatchAllQuery(), limit=10)
    put(client, table, [("id", "00a")], n=100)
    put(client, table, [("id", "15a")], n=101)
    client.delete_row(table, [("id", "09")])
    client.delete_row(table, [("id", "12")])
    make.wait_synced(table, index)
    second = search(client, table, index, MatchAllQuery(), limit=10, next_token=first.next_token)
    assert ids(second) == ["10", "11", "13", "14", "15", "15a", "16", "17", "18", "19"]


@pytest.mark.parametrize("token", [b"x", b"\x00" * 40, b"\x01{}abcd"])
def test_tokens_that_are_none(client: SdkClient, rows: Indexed, token: bytes) -> None:
    with invalid():
        search(client, rows.table, rows.index, MatchAllQuery(), next_token=token)


@pytest.mark.parametrize(
    "options",
    [{"limit": -1}, {"limit": 1_001}, {"offset": -1}, {"offset": 99_950, "limit": 100}, {"limit": 101, "columns": ALL}],
    ids=str,
)
def test_pages_that_are_none(client: SdkClient, rows: Indexed, options: dict[str, Any]) -> None:
    with invalid():
        search(client, rows.table, rows.index, MatchAllQuery(), **options)


def test_the_largest_page_from_the_index_alone(client: SdkClient, rows: Indexed) -> None:
    assert len(search(client, rows.table, rows.index, MatchAllQuery(), limit=1_000).rows) == COUNT
