"""What the Go SDK's own live tests of searches expect, asked by the Python SDK: the messages are the same."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import tablestore as ots
from support.sdk import invalid, load
from support.searching import ALL_FROM_INDEX, field, search
from support.tables import TableMaker
from tablestore import FieldType, MatchAllQuery, MatchQuery

pytestmark = pytest.mark.slow

PLACES = [
    "30.137817,120.08681",
    "30.135131,120.088355",
    "30.181877,120.152818",
    "30.20223,120.13787",
    "30.216961,120.157633",
    "30.231566,120.148578",
    "30.26058,120.170712",
    "30.269501,120.169347",
    "30.28073,120.168843",
    "30.296946,120.21958",
]
WORDS = ["dengcai <em>street</em>", "xihu district", "hangzhou city"]
Indexed = tuple[str, str]


def columns(n: int) -> dict[str, Any]:
    group = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4][n]
    missing = {"lm": n, "dm": n + 0.1} if n >= 5 else {}
    text = WORDS[n % 3]
    return missing | {
        "l": n,
        "d": n + 0.1,
        "b": n % 2 == 0,
        "group": group,
        "half": group + 0.1,
        "k": "hangzhou" if n < 4 else "tablestore",
        "g": PLACES[n],
        "t": text,
        "n": json.dumps([{"l": group, "t": text, "n": [{"t": text}]}]),
    }


@pytest.fixture(scope="module")
def indexed(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table([("pk1", "STRING")])
    load(sync_client, table, [([("pk1", f"pk_{n}")], columns(n)) for n in range(10)])
    text = field("t", FieldType.TEXT, enable_highlighting=True)
    deepest = field("n", FieldType.NESTED, sub_field_schemas=[text])
    fields = [
        *(field(name, FieldType.LONG) for name in ("l", "lm", "group")),
        *(field(name, FieldType.DOUBLE) for name in ("d", "dm", "half")),
        field("b", FieldType.BOOLEAN),
        field("k", FieldType.KEYWORD),
        field("g", FieldType.GEOPOINT),
        text,
        field("n", FieldType.NESTED, sub_field_schemas=[field("l", FieldType.LONG), text, deepest]),
    ]
    return table, make_for_module.index(table, fields)


def value(client: ots.OTSClient, indexed: Indexed, aggregation: Any) -> Any:
    [result] = search(client, *indexed, MatchAllQuery(), aggs=[aggregation]).agg_results
    return result.value


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (ots.Avg("l"), 4.5),
        (ots.Avg("d"), 4.6),
        (ots.Avg("lm"), 7.0),
        (ots.Avg("dm"), 7.1),
        (ots.Avg("lm", 9), 8.0),
        (ots.Avg("dm", 9.1), 8.1),
        (ots.Max("d"), 9.1),
        (ots.Min("d"), 0.1),
        (ots.Sum("d"), 46.0),
        (ots.DistinctCount("g"), 10),
    ],
)
def test_values_to_the_last_bit(sync_client: ots.OTSClient, indexed: Indexed, aggregation: Any, expected: Any) -> None:
    assert value(sync_client, indexed, aggregation) == expected


@pytest.mark.parametrize(
    ("aggregation", "says"),
    [
        (ots.Avg("x"), "[avg agg] field: x does not exist"),
        (ots.Max("x"), "[max agg] field: x does not exist"),
        (ots.Min("x"), "[min agg] field: x does not exist"),
        (ots.Sum("x"), "[sum agg] field: x does not exist"),
        (ots.Count("x"), "[count agg] field: x does not exist"),
        (ots.DistinctCount("x"), "[distinct count agg] field: x does not exist"),
        (ots.Sum("b"), "[sum agg] field_name:b type:boolean is invalid, allow [long, double]"),
        (ots.Sum("k"), "[sum agg] field_name:k type:keyword is invalid, allow [long, double]"),
        (ots.Sum("g"), "[sum agg] field_name:g type:geo_point is invalid, allow [long, double]"),
        (ots.Sum("n"), "[sum agg] field_name:n type:nested is invalid, allow [long, double]"),
    ],
)
def test_what_is_refused(sync_client: ots.OTSClient, indexed: Indexed, aggregation: Any, says: str) -> None:
    with invalid(says):
        value(sync_client, indexed, aggregation)


def test_names_are_given_once(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    for names in (["", "b"], ["a", "a"]):
        with invalid():
            search(sync_client, *indexed, MatchAllQuery(), aggs=[ots.Avg("l", name=name) for name in names])


def groups(client: ots.OTSClient, indexed: Indexed, group_by: Any) -> Any:
    [result] = search(client, *indexed, MatchAllQuery(), group_bys=[group_by]).group_by_results
    return result.items


def test_groups_of_a_field(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    for name in ("group", "n.l"):
        items = groups(sync_client, indexed, ots.GroupByField(name))
        assert [(item.key, item.row_count) for item in items] == [("4", 4), ("3", 3), ("2", 2), ("1", 1)]
    sorters = [ots.SubAggSort(ots.SortOrder.ASC, "sub"), ots.GroupKeySort(ots.SortOrder.DESC)]
    wanted = ots.GroupByField("k", group_by_sort=sorters, sub_aggs=[ots.Min("group", name="sub")])
    items = groups(sync_client, indexed, wanted)
    assert [(item.key, item.row_count) for item in items] == [("hangzhou", 4), ("tablestore", 6)]


def test_groups_within_groups(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    ends = [(-math.inf, 3), (3, math.inf)]
    below = [
        ots.GroupByRange("group", [(-math.inf, 3), (3, math.inf)], name="range"),
        ots.GroupByField("n.l", name="l"),
    ]
    wanted = ots.GroupByField("k", sub_aggs=[ots.Avg("n.l", name="avg")], sub_group_bys=below)
    found = {
        item.key: (
            item.row_count,
            item.sub_aggs[0].value,
            [(one.range_from, one.range_to, one.row_count) for one in item.sub_group_bys[0].items],
            [(one.key, one.row_count) for one in item.sub_group_bys[1].items],
        )
        for item in groups(sync_client, indexed, wanted)
    }
    assert found == {
        "tablestore": (6, 11 / 3, [(*ends[0], 0), (*ends[1], 6)], [("4", 4), ("3", 2)]),
        "hangzhou": (4, 2.0, [(*ends[0], 3), (*ends[1], 1)], [("2", 2), ("1", 1), ("3", 1)]),
    }


def test_ranges_come_by_their_ends(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    items = groups(sync_client, indexed, ots.GroupByRange("half", [(3, 4), (-math.inf, 3), (4, math.inf)]))
    assert [(item.range_from, item.range_to, item.row_count) for item in items] == [
        (-math.inf, 3, 3),
        (3, 4, 3),
        (4, math.inf, 4),
    ]


def test_distances_come_as_they_were_given_and_begin_at_0(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    ranges = [(100, 5_000), (-math.inf, 5_000), (5_000, math.inf)]
    wanted = ots.GroupByGeoDistance("g", ots.GeoPoint(30.137816, 120.08682), ranges)
    items = groups(sync_client, indexed, wanted)
    assert [(item.range_from, item.range_to, item.row_count) for item in items] == [
        (100, 5_000, 1),
        (0, 5_000, 2),
        (5_000, math.inf, 8),
    ]


def test_highlights_in_html(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    style = ots.HighlightParameter("t", 5, 100, "<em>", "</em>", ots.HighlightFragmentOrder.TEXT_SEQUENCE)
    shown = ots.Highlight([style], ots.HighlightEncoder.HTML_MODE)
    response = search(sync_client, *indexed, MatchQuery("t", "dengcai"), highlight=shown, columns=ALL_FROM_INDEX)
    [found] = response.search_hits[0].highlight_result.highlight_fields
    assert found.field_fragments == ["<em>dengcai</em> &lt;em&gt;street&lt;&#x2F;em&gt;"]


def test_highlights_of_documents_in_documents(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    def inner(name: str, tag: str, sorter: Any) -> ots.InnerHits:
        shown = ots.Highlight([ots.HighlightParameter(name, pre_tag=f"<{tag}>", post_tag=f"</{tag}>")])
        return ots.InnerHits(ots.Sort([sorter]), 0, 2, shown)

    deepest = ots.NestedQuery(
        "n.n",
        MatchQuery("n.n.t", "xihu dengcai"),
        ots.ScoreMode.MIN,
        inner("n.n.t", "b1", ots.ScoreSort(sort_order=ots.SortOrder.DESC)),
    )
    query = ots.NestedQuery(
        "n",
        ots.BoolQuery(should_queries=[MatchQuery("n.t", "xihu dengcai"), deepest]),
        ots.ScoreMode.MIN,
        inner("n.t", "b", ots.DocSort(ots.SortOrder.ASC)),
    )
    hits = search(sync_client, *indexed, query, limit=5, columns=ALL_FROM_INDEX).search_hits
    assert len(hits) == 5
    for hit in hits:
        [[one]] = [found.search_hits for found in hit.search_inner_hits]
        [[two]] = [found.search_hits for found in one.search_inner_hits]
        [first], [second] = (found.highlight_result.highlight_fields for found in (one, two))
        assert first.field_fragments[0] in ("<b>dengcai</b> <em>street</em>", "<b>xihu</b> district")
        assert second.field_fragments[0] == first.field_fragments[0].replace("b>", "b1>")
