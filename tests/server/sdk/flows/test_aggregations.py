"""What the Python SDK's own live tests of aggregations and groups send, and the values that they expect."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import tablestore as ots
from support.sdk import invalid, load
from support.searching import NONE, field, search
from support.tables import TableMaker
from tablestore import AnalyzerType, FieldType, GeoPoint, TermQuery

pytestmark = pytest.mark.slow

COUNT = 100
EVERY = TermQuery("d", 0.1)
Indexed = tuple[str, str]


def columns(n: int) -> dict[str, Any]:
    return {
        "k": f"key{n:03d}",
        "t": f"this is {n}",
        "g": f"{30:f},{114 + 0.05 * n:f}",
        "ka": f'["a", "b", "{n}"]',
        "la": f"[-1, {n}]",
        "l": n,
        "l3": n % 3,
        "b": n % 2 == 0,
        "d": 0.1,
        "time": f"2022-05-{n % 31 + 1}",
        "n": json.dumps([{"nk": f"key{n:03d}", "nl": n, "nt": f"this is in nested {n}"}]),
    }


@pytest.fixture(scope="module")
def indexed(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table([("PK1", "INTEGER"), ("PK2", "STRING")])
    load(sync_client, table, [([("PK1", n), ("PK2", f"pk_{n % 10}")], columns(n)) for n in range(COUNT)])
    fields = [
        field("k", FieldType.KEYWORD, index=True, enable_sort_and_agg=True, store=True),
        field("t", FieldType.TEXT, index=True, store=True, analyzer=AnalyzerType.SINGLEWORD),
        field("g", FieldType.GEOPOINT, index=True, store=True),
        field("ka", FieldType.KEYWORD, index=True, is_array=True, store=True),
        field("la", FieldType.LONG, index=True, is_array=True, store=True),
        field("l", FieldType.LONG, index=True, store=True),
        field("l3", FieldType.LONG, index=True, store=True),
        field("b", FieldType.BOOLEAN, index=True, store=True),
        field("d", FieldType.DOUBLE, index=True, store=True),
        field("time", FieldType.DATE, index=True, store=True, date_formats=["yyyy-MM-dd"]),
        field(
            "n",
            FieldType.NESTED,
            sub_field_schemas=[
                field("nk", FieldType.KEYWORD, index=True, store=True),
                field("nl", FieldType.LONG, index=True, store=True),
                field("nt", FieldType.TEXT, index=True, store=True),
            ],
        ),
    ]
    setting = ots.IndexSetting(routing_fields=["PK1"])
    return table, make_for_module.index(table, fields, index_setting=setting, index_sort=None)


def value(client: ots.OTSClient, indexed: Indexed, aggregation: Any) -> Any:
    response = search(client, *indexed, EVERY, get_total_count=True, aggs=[aggregation])
    assert (response.is_all_succeed, response.total_count) == (True, COUNT)
    [result] = response.agg_results
    return result.value


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (ots.Max("l"), 99),
        (ots.Max("d"), 0.1),
        (ots.Max("n.nl"), 99),
        (ots.Max("la"), 99),
        (ots.Min("l"), 0),
        (ots.Min("d"), 0.1),
        (ots.Min("n.nl"), 0),
        (ots.Min("la"), -1),
        (ots.Sum("l"), 4_950),
        (ots.Sum("d"), pytest.approx(10, abs=1e-7)),
        (ots.Sum("n.nl"), 4_950),
        (ots.Sum("la"), 4_850),
        (ots.Avg("l"), 49.5),
        (ots.Avg("d"), pytest.approx(0.1, abs=1e-7)),
        (ots.Avg("n.nl"), 49.5),
        (ots.Avg("la"), 24.25),
        (ots.Count("l"), 100),
        (ots.Count("d"), 100),
        (ots.Count("k"), 100),
        (ots.Count("b"), 100),
        (ots.Count("g"), 100),
        (ots.Count("n.nl"), 100),
        (ots.Count("n.nk"), 100),
        (ots.Count("la"), 200),
        (ots.Count("ka"), 300),
        (ots.DistinctCount("l"), 100),
        (ots.DistinctCount("d"), 1),
        (ots.DistinctCount("k"), 100),
        (ots.DistinctCount("b"), 2),
        (ots.DistinctCount("g"), 100),
        (ots.DistinctCount("n.nl"), 100),
        (ots.DistinctCount("n.nk"), 100),
        (ots.DistinctCount("la"), 101),
        (ots.DistinctCount("ka"), 102),
    ],
    ids=lambda given: f"{type(given).__name__}-{given.field}" if hasattr(given, "field") else "",
)
def test_numbers(sync_client: ots.OTSClient, indexed: Indexed, aggregation: Any, expected: Any) -> None:
    assert value(sync_client, indexed, aggregation) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("l", [49, 89]), ("d", [0.1, 0.1]), ("n.nl", [49, 89]), ("la", [0, 79])]
)
def test_percentiles(sync_client: ots.OTSClient, indexed: Indexed, name: str, expected: list[float]) -> None:
    """Of whole numbers what is between two is cut: 49.5 is 49, -0.5 is 0. They come by percentile."""
    items = value(sync_client, indexed, ots.Percentiles(name, [90, 50]))
    assert [(item.key, item.value) for item in items] == [(50, expected[0]), (90, expected[1])]


def test_percentiles_of_dates(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    items = value(sync_client, indexed, ots.Percentiles("time", [90, 50]))
    days = [time.strftime("%Y-%m-%d", time.gmtime(item.value / 1000)) for item in items]
    assert ([item.key for item in items], days) == ([50, 90], ["2022-05-20", "2022-05-29"])


OF_NUMBERS = ["k", "t", "g", "ka", "b", "n.nk", "n.nt"]


@pytest.mark.parametrize(
    "aggregation",
    [
        *(kind(name) for kind in (ots.Max, ots.Min, ots.Sum, ots.Avg) for name in OF_NUMBERS),
        *(kind(name) for kind in (ots.Count, ots.DistinctCount) for name in ("t", "n.nt")),
        *(ots.Percentiles(name, [99.9, 90]) for name in ("t", "k", "b", "g", "n.nt")),
        ots.TopRows(limit=10_000, sort=ots.Sort([ots.PrimaryKeySort()])),
    ],
)
def test_refuses(sync_client: ots.OTSClient, indexed: Indexed, aggregation: Any) -> None:
    with invalid():
        value(sync_client, indexed, aggregation)


def test_top_rows(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    rows = value(sync_client, indexed, ots.TopRows(limit=2, sort=ots.Sort([ots.PrimaryKeySort()])))
    assert rows == [([("PK1", 0), ("PK2", "pk_0")], []), ([("PK1", 1), ("PK2", "pk_1")], [])]


def test_several(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    wanted = [ots.Sum("l", name="a1"), ots.Avg("l", name="a2"), ots.Sum("n.nl", name="a3"), ots.Count("l", name="a4")]
    response = search(sync_client, *indexed, EVERY, limit=0, aggs=wanted)
    assert [(one.name, one.value) for one in response.agg_results] == [
        ("a1", 4_950),
        ("a2", 49.5),
        ("a3", 4_950),
        ("a4", 100),
    ]


def groups(client: ots.OTSClient, indexed: Indexed, group_by: Any) -> Any:
    response = search(client, *indexed, EVERY, get_total_count=True, group_bys=[group_by], columns=NONE)
    assert (response.is_all_succeed, response.total_count) == (True, COUNT)
    [result] = response.group_by_results
    return result.items


FEWEST = ots.RowCountSort(sort_order=ots.SortOrder.ASC)


def test_by_field(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    items = groups(sync_client, indexed, ots.GroupByField("l3"))
    assert [(item.key, item.row_count) for item in items] == [("0", 34), ("1", 33), ("2", 33)]
    items = groups(sync_client, indexed, ots.GroupByField("l3", size=2, group_by_sort=[FEWEST]))
    assert [(item.key, item.row_count) for item in items] == [("1", 33), ("2", 33)]


def test_by_field_with_rows_of_each(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    last = ots.TopRows(limit=3, sort=ots.Sort([ots.PrimaryKeySort(sort_order=ots.SortOrder.DESC)]), name="t1")
    wanted = ots.GroupByField("l3", size=2, group_by_sort=[FEWEST], sub_aggs=[last])
    first, second = groups(sync_client, indexed, wanted)
    assert (first.key, first.row_count, second.key, second.row_count) == ("1", 33, "2", 33)
    [rows] = first.sub_aggs
    assert rows.name == "t1"
    assert rows.value == [([("PK1", n), ("PK2", f"pk_{n % 10}")], []) for n in (97, 94, 91)]


def test_by_field_within_a_field(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    below = ots.GroupByField("b", size=10, group_by_sort=[FEWEST])
    wanted = ots.GroupByField("l3", size=10, group_by_sort=[FEWEST], sub_group_bys=[below])
    found = {
        item.key: {one.key: one.row_count for one in item.sub_group_bys[0].items}
        for item in groups(sync_client, indexed, wanted)
    }
    assert found == {
        "0": {"true": 17, "false": 17},
        "1": {"true": 16, "false": 17},
        "2": {"true": 17, "false": 16},
    }


def test_by_range(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    items = groups(sync_client, indexed, ots.GroupByRange("la", ranges=[(0, 10), (11, 25)]))
    assert [(item.range_from, item.range_to, item.row_count) for item in items] == [(0, 10, 10), (11, 25, 14)]


def test_by_filter(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    items = groups(sync_client, indexed, ots.GroupByFilter([TermQuery("l3", 1), TermQuery("ka", "a")]))
    assert [item.row_count for item in items] == [33, 100]


def test_by_distance(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    ranges = [(0, 300_000), (300_000, 1_000_000)]
    wanted = ots.GroupByGeoDistance(field_name="g", origin=GeoPoint(31, 116), ranges=ranges)
    items = groups(sync_client, indexed, wanted)
    assert [(item.range_from, item.range_to, item.row_count) for item in items] == [(*ranges[0], 99), (*ranges[1], 1)]


def test_what_is_missing(make_for_module: TableMaker, sync_client: ots.OTSClient) -> None:
    """The example's ten rows, of which one has no ``l``."""
    table = make_for_module.table([("PK1", "INTEGER")])
    load(sync_client, table, [([("PK1", n)], {"d": 0.1} | ({} if n == 5 else {"l": n})) for n in range(10)])
    index = make_for_module.index(table, [field("l", FieldType.LONG), field("d", FieldType.DOUBLE)])
    wanted = [
        ots.Max("l", name="max"),
        ots.Max("l", missing_value=100, name="max100"),
        ots.Min("l", name="min"),
        ots.Avg("l", name="avg"),
        ots.Sum("l", name="sum"),
        ots.Count("l", name="count"),
        ots.DistinctCount("l", name="dcount"),
    ]
    response = search(sync_client, table, index, EVERY, limit=0, aggs=wanted)
    assert {one.name: one.value for one in response.agg_results} == {
        "max": 9,
        "max100": 100,
        "min": 0,
        "avg": 40 / 9,
        "sum": 40,
        "count": 9,
        "dcount": 9,
    }
