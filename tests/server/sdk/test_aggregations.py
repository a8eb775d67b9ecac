"""Aggregations and group-bys as the official SDK asks for them and reads them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load
from support.searching import ALL, field, search
from support.tables import TableMaker
from tablestore import (
    Avg,
    Count,
    DistinctCount,
    FieldType,
    GroupByField,
    GroupByFilter,
    GroupByRange,
    GroupKeySort,
    MatchAllQuery,
    Max,
    Min,
    Percentiles,
    PrimaryKeySort,
    RowCountSort,
    Sort,
    SortOrder,
    SubAggSort,
    Sum,
    TermQuery,
    TopRows,
)

COUNT = 100


@dataclass(frozen=True)
class Indexed:
    table: str
    index: str

    def search(self, client: SdkClient, query: Any = None, **options: Any) -> ots.SearchResponse:
        return search(client, self.table, self.index, query or TermQuery("d", 0.1), **{"limit": 0} | options)

    def value(self, client: SdkClient, agg: Any, query: Any = None) -> Any:
        """What one aggregation comes to."""
        [result] = self.search(client, query, aggs=[agg]).agg_results
        assert result.name == agg.name
        return result.value

    def groups(self, client: SdkClient, group_by: Any, **options: Any) -> list[Any]:
        """The items of one group-by."""
        [result] = self.search(client, group_bys=[group_by], **options).group_by_results
        assert result.name == group_by.name
        items: list[Any] = result.items
        return items


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    """Rows 0 to 99, as the tests of the SDK have them, and a field that every second row has."""
    table = make_for_module.table([("PK1", "INTEGER"), ("PK2", "STRING")])
    content = [
        (
            [("PK1", i), ("PK2", f"pk_{i % 10}")],
            {
                "k": f"key{i:03d}",
                "ka": json.dumps(["a", "b", str(i)]),
                "la": json.dumps([-1, i]),
                "l": i,
                "third": i % 3,
                "b": i % 2 == 0,
                "d": 0.1,
                "time": f"2022-05-{i % 31 + 1:02d}",
                "g": f"30.0,{114 + i / 20}",
                "n": json.dumps([{"nk": f"key{i:03d}", "nl": i, "nt": f"this is in nested {i}"}]),
            }
            | ({"even": i} if i % 2 == 0 else {}),
        )
        for i in range(COUNT)
    ]
    load(sync_client, table, content)
    index = make_for_module.index(
        table,
        [
            field("k", FieldType.KEYWORD),
            field("ka", FieldType.KEYWORD, is_array=True),
            field("la", FieldType.LONG, is_array=True),
            field("l", FieldType.LONG),
            field("third", FieldType.LONG),
            field("even", FieldType.LONG),
            field("b", FieldType.BOOLEAN),
            field("d", FieldType.DOUBLE),
            field("t", FieldType.TEXT),
            field("time", FieldType.DATE, date_formats=["yyyy-MM-dd"]),
            field("g", FieldType.GEOPOINT),
            field(
                "n",
                FieldType.NESTED,
                sub_field_schemas=[
                    field("nk", FieldType.KEYWORD),
                    field("nl", FieldType.LONG),
                    field("nt", FieldType.TEXT),
                ],
            ),
            field("unsorted", FieldType.LONG, enable_sort_and_agg=False),
        ],
    )
    return Indexed(table, index)


MAY_1_MS = 1_651_363_200_000
DAY_MS = 86_400_000


def test_values_of_a_field(rows: Indexed, client: SdkClient) -> None:
    expected: dict[Any, Any] = {
        Max("l"): 99,
        Max("d"): 0.1,
        Max("la"): 99,
        Max("n.nl"): 99,
        Min("n.nl"): 0,
        Sum("n.nl"): 4950,
        Avg("n.nl"): 49.5,
        Count("n.nk"): 100,
        Count("g"): 100,
        DistinctCount("n.nl"): 100,
        DistinctCount("n.nk"): 100,
        DistinctCount("g"): 100,
        Max("time"): MAY_1_MS + 30 * DAY_MS,
        Min("l"): 0,
        Min("la"): -1,
        Sum("l"): 4950,
        Sum("d"): 10.0,
        Sum("la"): 4850,
        Avg("l"): 49.5,
        Avg("d"): 0.1,
        Avg("la"): 24.25,
        Count("l"): 100,
        Count("k"): 100,
        Count("b"): 100,
        Count("la"): 200,
        Count("ka"): 300,
        Count("even"): 50,
        Count("*"): 100,
        DistinctCount("l"): 100,
        DistinctCount("d"): 1,
        DistinctCount("k"): 100,
        DistinctCount("b"): 2,
        DistinctCount("la"): 101,
        DistinctCount("ka"): 102,
        DistinctCount("time"): 31,
    }
    assert {agg: rows.value(client, agg) for agg in expected} == expected


def test_rows_without_the_field(rows: Indexed, client: SdkClient) -> None:
    expected: dict[Any, Any] = {
        Avg("even"): 49.0,
        Avg("even", 1): 25.0,
        Sum("even", 2): 2550,
        Min("even", -7): -7,
        Max("even", 1000.0): 1000,
        DistinctCount("even"): 50,
        DistinctCount("even", 1): 51,
        DistinctCount("even", 2): 50,
    }
    assert {agg: rows.value(client, agg) for agg in expected} == expected


def test_of_no_rows(rows: Indexed, sync_client: ots.OTSClient) -> None:
    aggs = [Sum("l", name="s"), Max("l", name="m"), Min("l", name="n"), Count("l", name="c"), Avg("l", name="a")]
    results = rows.search(sync_client, TermQuery("l", -1), aggs=aggs).agg_results
    values = {result.name: result.value for result in results}
    assert math.isnan(values.pop("a"))
    assert values == {"s": 0.0, "m": -math.inf, "n": math.inf, "c": 0}
    [percentiles] = rows.search(sync_client, TermQuery("l", -1), aggs=[Percentiles("l", [50])]).agg_results
    assert [math.isnan(item.value) for item in percentiles.value] == [True]
    assert rows.value(sync_client, TopRows(3, None), TermQuery("l", -1)) == []


def test_percentiles(rows: Indexed, client: SdkClient) -> None:
    """By percentile; of whole numbers, what is behind the point is left out, as the SDK's own tests expect."""
    items = rows.value(client, Percentiles("l", [100.0, 0, 25, 50, 99]))
    assert [(item.key, item.value) for item in items] == [(0, 0), (25, 24), (50, 49), (99, 98), (100, 99)]
    assert all(isinstance(item.value, int) for item in items)


def test_first_rows(rows: Indexed, client: SdkClient) -> None:
    first = rows.value(client, TopRows(2, Sort([PrimaryKeySort()])))
    assert first == [([("PK1", 0), ("PK2", "pk_0")], []), ([("PK1", 1), ("PK2", "pk_1")], [])]
    last = TopRows(1, Sort([ots.FieldSort("l", sort_order=SortOrder.DESC)]))
    [result] = rows.search(client, aggs=[last], columns=ALL).agg_results
    [(key, columns)] = result.value
    assert key == [("PK1", 99), ("PK2", "pk_9")]
    assert {name: value for name, value, _ in columns}["k"] == "key099"


def test_groups_of_a_field(rows: Indexed, client: SdkClient) -> None:
    assert [(g.key, g.row_count) for g in rows.groups(client, GroupByField("third"))] == [
        ("0", 34),
        ("1", 33),
        ("2", 33),
    ]
    fewest = GroupByField("third", size=2, group_by_sort=[RowCountSort(SortOrder.ASC)])
    assert [(g.key, g.row_count) for g in rows.groups(client, fewest)] == [("1", 33), ("2", 33)]
    assert [(g.key, g.row_count) for g in rows.groups(client, GroupByField("b"))] == [("false", 50), ("true", 50)]
    assert [(g.key, g.row_count) for g in rows.groups(client, GroupByField("d"))] == [("0.1", 100)]
    words = rows.groups(client, GroupByField("ka", size=3))
    assert [(g.key, g.row_count) for g in words] == [("a", 100), ("b", 100), ("0", 1)]
    by_day = rows.groups(client, GroupByField("time", group_by_sort=[GroupKeySort(SortOrder.ASC)]))
    assert [int(g.key) for g in by_day] == [MAY_1_MS + n * DAY_MS for n in range(10)]
    assert len(rows.groups(client, GroupByField("k"))) == 10
    nested = GroupByField("n.nl", size=2, sub_aggs=[Sum("n.nl"), Count("l")])
    assert [(g.key, g.row_count, [a.value for a in g.sub_aggs]) for g in rows.groups(client, nested)] == [
        ("0", 1, [0.0, 1]),
        ("1", 1, [1.0, 1]),
    ]


def test_groups_within_groups(rows: Indexed, client: SdkClient) -> None:
    by_range = GroupByRange("l", [(0, 50), (50, 100)], sub_aggs=[Count("l", name="c")], name="r")
    top = TopRows(limit=3, sort=Sort([PrimaryKeySort(sort_order=SortOrder.DESC)]), name="t")
    by_third = GroupByField(
        "third",
        group_by_sort=[SubAggSort(SortOrder.DESC, "s")],
        sub_aggs=[Sum("l", name="s"), top],
        sub_group_bys=[by_range],
    )
    groups = rows.groups(client, by_third)
    assert [(g.key, [a.name for a in g.sub_aggs], g.sub_aggs[0].value) for g in groups] == [
        ("0", ["s", "t"], 1683.0),
        ("2", ["s", "t"], 1650.0),
        ("1", ["s", "t"], 1617.0),
    ]
    assert [key[0][1] for key, _ in groups[2].sub_aggs[1].value] == [97, 94, 91]
    [ranges] = groups[0].sub_group_bys
    assert [(g.range_from, g.range_to, g.row_count, g.sub_aggs[0].value) for g in ranges.items] == [
        (0, 50, 17, 17),
        (50, 100, 17, 17),
    ]


def test_groups_of_ranges(rows: Indexed, client: SdkClient) -> None:
    groups = rows.groups(client, GroupByRange("la", [(11, 25), (0, 10), (500, 600)]))
    assert [(g.range_from, g.range_to, g.row_count) for g in groups] == [(0, 10, 10), (11, 25, 14), (500, 600, 0)]
    open_ranges = GroupByRange("d", [(-math.inf, 0.1), (0.1, math.inf)])
    assert [g.row_count for g in rows.groups(client, open_ranges)] == [0, 100]


def test_groups_of_filters(rows: Indexed, client: SdkClient) -> None:
    by_filter = GroupByFilter([TermQuery("third", 1), TermQuery("ka", "a")], sub_aggs=[Min("l", name="m")])
    assert [(g.row_count, g.sub_aggs[0].value) for g in rows.groups(client, by_filter)] == [(33, 1.0), (100, 0.0)]


def test_beside_a_page_of_rows(rows: Indexed, client: SdkClient) -> None:
    response = rows.search(client, MatchAllQuery(), limit=3, get_total_count=True, aggs=[Sum("l")])
    assert (len(response.rows), response.total_count) == (3, 100)
    assert [result.value for result in response.agg_results] == [4950]
    assert response.group_by_results == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"aggs": [Avg("x")]}, "[avg agg] field: x does not exist"),
    ({"aggs": [DistinctCount("x")]}, "[distinct count agg] field: x does not exist"),
    ({"aggs": [Sum("b")]}, "[sum agg] field_name:b type:boolean is invalid, allow [long, double]"),
    ({"aggs": [Sum("time")]}, "[sum agg] field_name:time type:date is invalid, allow [long, double]"),
    ({"aggs": [Max("k")]}, "[max agg] field_name:k type:keyword is invalid, allow [long, double, date]"),
    ({"aggs": [Max("n")]}, "[max agg] field_name:n type:nested is invalid, allow [long, double, date]"),
    ({"aggs": [Max("n.nk")]}, "[max agg] field_name:n.nk type:keyword is invalid, allow [long, double, date]"),
    ({"aggs": [DistinctCount("n.nt")]}, "[distinct count agg] field_name:n.nt type:text is invalid, allow ["),
    ({"aggs": [Count("t")]}, "[count agg] field_name:t type:text is invalid, allow ["),
    ({"aggs": [Sum("unsorted")]}, "[sum agg] field: unsorted was created without sort_and_agg"),
    ({"aggs": [Sum("l", "x")]}, "[l] is of type LONG: 'x' is no value of that type"),
    ({"aggs": [Sum("l", 0.5)]}, "[sum agg] missing of field: l is 0.5: no value of type long"),
    ({"aggs": [Sum("l", name="")]}, "[aggs] each has a name of 1 to 255 bytes, not ''"),
    ({"aggs": [Sum("l"), Sum("d")]}, "[aggs] two at one level have the name [sum]"),
    ({"aggs": [Sum("l", name=str(n)) for n in range(21)]}, "the count of [aggs] exceeds the max: 20"),
    ({"aggs": [TopRows(101, None)]}, "[top rows agg] limit is 101, must be in [1, 100]"),
    ({"aggs": [Percentiles("l", [])]}, "[percentiles agg] has 0 percentiles, must have 1 to 100"),
    ({"aggs": [Percentiles("l", [101])]}, "[percentiles agg] percentile 101.0 must be in [0, 100]"),
    ({"group_bys": [GroupByField("x")]}, "[group_by_field] field: x does not exist"),
    ({"group_bys": [GroupByField("t")]}, "[group_by_field] field_name:t type:text is invalid, allow ["),
    ({"group_bys": [GroupByField("l", size=2_001)]}, "[group_by_field] size is 2001, must be in [1, 2000]"),
    (
        {"group_bys": [GroupByField("l", group_by_sort=[SubAggSort(SortOrder.ASC, "s")])]},
        "[group_by_field] sort: there is no sub agg [s]",
    ),
    ({"group_bys": [GroupByRange("k", [(0, 1)])]}, "[group_by_range] field_name:k type:keyword is invalid"),
    ({"group_bys": [GroupByRange("l", [(1, 0)])]}, "[group_by_range] range from 1.0 to 0.0: it ends before it begins"),
    ({"group_bys": [GroupByRange("l", [])]}, "[group_by_range] has 0 ranges, must have 1 to 100"),
    ({"group_bys": [GroupByFilter([])]}, "[group_by_filter] has 0 filters, must have 1 to 10"),
    ({"group_bys": [GroupByFilter([TermQuery("x", 1)])]}, "] field: x does not exist"),
]


def test_what_is_refused(rows: Indexed, sync_client: ots.OTSClient) -> None:
    for options, message in REFUSED:
        with invalid(mentions=message):
            rows.search(sync_client, **options)


def test_levels_end(rows: Indexed, sync_client: ots.OTSClient) -> None:
    deepest: Any = GroupByField("l", name="g3")
    three = GroupByField("l", sub_group_bys=[GroupByField("l", sub_group_bys=[deepest], name="g2")], name="g1")
    assert len(rows.groups(sync_client, three)) == 10
    with invalid("[group_bys] are nested deeper than 3 levels"):
        rows.groups(sync_client, GroupByField("l", sub_group_bys=[three], name="g0"))
