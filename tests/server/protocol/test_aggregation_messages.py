"""Aggregations on the wire: what is malformed is refused by name, whatever it is, and never recursed into for ever."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
import tablestore as ots
from hypothesis import given, settings
from hypothesis import strategies as st
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.protobuf import search_pb2 as sdk

from lutra.kernels.plainbuffer import decode_variant
from lutra.model.aggregations import (
    Aggregated,
    Avg,
    CountResult,
    DateTimeUnit,
    DateTimeValue,
    DistinctCount,
    Group,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByFilter,
    GroupByHistogram,
    GroupByRange,
    GroupByResult,
    GroupKeySort,
    Percentiles,
    PercentilesResult,
    RowCountSort,
    SubAggregationSort,
    Sum,
    TopRows,
    ValueResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import MatchAll, SearchRequest
from lutra.server.protocol.aggregations import aggregated_messages, parse_aggregations, parse_group_bys
from lutra.server.wire import aggregation_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf-8")


def sent_aggs(*aggs: Any) -> bytes:
    message = sdk.Aggregations()
    ENCODER._make_aggs(message, list(aggs))
    return bytes(message.SerializeToString())


def sent_group_bys(*group_bys: Any) -> bytes:
    message = sdk.GroupBys()
    ENCODER._make_group_bys(message, list(group_bys))
    return bytes(message.SerializeToString())


DAY = ots.DateTimeValue(1, ots.DateTimeUnit.DAY)
SENT = {
    "aggs": sent_aggs(
        ots.Avg("a", 1), ots.Percentiles("b", [1, 99.5]), ots.TopRows(3, ots.Sort([ots.PrimaryKeySort()]))
    ),
    "group_bys": sent_group_bys(
        ots.GroupByField(
            "a",
            size=7,
            group_by_sort=[ots.SubAggSort(ots.SortOrder.DESC, "sum"), ots.GroupKeySort(ots.SortOrder.DESC)],
            sub_aggs=[ots.Sum("b")],
            sub_group_bys=[ots.GroupByRange("c", [(1, 2.5)]), ots.GroupByFilter([ots.MatchAllQuery()])],
        ),
        ots.GroupByHistogram("d", 2, ots.FieldRange(1, 2.5), 0.5, 3),
        ots.GroupByDateHistogram("e", DAY, ots.FieldRange(None, "x"), "y", 0, "+08:00", offset=DAY),
        ots.GroupByComposite([ots.GroupByField("f"), ots.GroupByDateHistogram("g", DAY)], 5, "token", 9),
    ),
}


def test_as_the_sdk_sends_them() -> None:
    assert parse_aggregations(SENT["aggs"]) == (
        Avg("avg", "a", 1),
        Percentiles("percentiles", "b", (1, 99.5)),
        TopRows("top_rows", 3, parse_aggregations(SENT["aggs"])[2].sort),  # type: ignore[union-attr]
    )
    day = DateTimeValue(1, DateTimeUnit.DAY)
    assert parse_group_bys(SENT["group_bys"]) == (
        GroupByField(
            "group_by_field",
            "a",
            7,
            (SubAggregationSort("sum", True), GroupKeySort(True)),
            None,
            (Sum("sum", "b"),),
            (GroupByRange("group_by_range", "c", ((1, 2.5),)), GroupByFilter("group_by_filter", (MatchAll(),))),
        ),
        GroupByHistogram("group_by_histogram", "d", 2, None, 0.5, (1, 2.5), 3),
        GroupByDateHistogram("group_by_date_histogram", "e", day, "+08:00", day, "y", (None, "x"), 0),
        GroupByComposite(
            "group_by_composite",
            (GroupByField("group_by_field", "f"), GroupByDateHistogram("group_by_date_histogram", "g", day)),
            5,
            9,
            "token",
        ),
    )


def test_what_only_other_sdks_send() -> None:
    """As the Node and Java SDKs have them: open ranges, a missing value of percentiles, an offset, a least count."""
    aggregation = wire.Aggregation(
        name="p",
        type=wire.AGG_PERCENTILES,
        body=wire.PercentilesAggregation(
            field_name="f", percentiles=[50], missing=b"\x00" + (7).to_bytes(8, "little")
        ).SerializeToString(),
    )
    assert parse_aggregations(wire.Aggregations(aggs=[aggregation]).SerializeToString()) == (
        Percentiles("p", "f", (50,), 7),
    )
    bodies: list[tuple[Any, Any]] = [
        (wire.GROUP_BY_RANGE, wire.GroupByRange(field_name="f", ranges=[wire.Range(end=3), wire.Range(begin=3)])),
        (wire.GROUP_BY_FIELD, wire.GroupByField(field_name="f", min_doc_count=0, sort=wire.GroupBySort())),
        (
            wire.GROUP_BY_HISTOGRAM,
            wire.GroupByHistogram(
                field_name="f",
                interval=b"\x01" + b"\x00" * 6 + b"\xf0\x3f",
                offset=b"\x00" + (1).to_bytes(8, "little"),
                sort=wire.GroupBySort(sorters=[wire.GroupBySorter(row_count_sort=wire.RowCountSort())]),
            ),
        ),
    ]
    message = wire.GroupBys(
        group_bys=[
            wire.GroupBy(name=str(i), type=kind, body=body.SerializeToString()) for i, (kind, body) in enumerate(bodies)
        ]
    )
    assert parse_group_bys(message.SerializeToString()) == (
        GroupByRange("0", "f", ((-math.inf, 3), (3, math.inf))),
        GroupByField("1", "f", min_doc_count=0),
        GroupByHistogram("2", "f", 1.0, 1, sort=(RowCountSort(True),)),
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wire.Aggregations(aggs=[wire.Aggregation(name="a")]), r"\[aggregation\] has no type"),
        (wire.Aggregations(aggs=[wire.Aggregation(type=99)]), "aggregation type 99 is not supported"),  # type: ignore[arg-type]
        (wire.Aggregations(aggs=[wire.Aggregation(type=wire.AGG_AVG)]), r"a FieldAggregation has no \[field_name\]"),
        (wire.Aggregations(aggs=[wire.Aggregation(type=wire.AGG_AVG, body=b"\x0a")]), "Failed to parse the body of a"),
    ],
)
def test_malformed_aggregations(data: wire.Aggregations, message: str) -> None:
    with pytest.raises(ParameterInvalid, match=message):
        parse_aggregations(data.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (wire.GROUP_BY_UNSPECIFIED, wire.GroupByField(), r"\[group-by\] has no type"),
        (77, wire.GroupByField(), "group-by type 77 is not supported"),
        (wire.GROUP_BY_FIELD, wire.GroupByField(), r"a GroupByField has no \[field_name\]"),
        (
            wire.GROUP_BY_FIELD,
            wire.GroupByField(field_name="f", sort=wire.GroupBySort(sorters=[wire.GroupBySorter()])),
            "a sorter of a group-by is empty",
        ),
        (
            wire.GROUP_BY_HISTOGRAM,
            wire.GroupByHistogram(field_name="f"),
            r"the interval of field \[f\] must be an integer or a double",
        ),
        (
            wire.GROUP_BY_DATE_HISTOGRAM,
            wire.GroupByDateHistogram(field_name="f"),
            r"the date histogram of field \[f\] has no \[interval\]",
        ),
        (
            wire.GROUP_BY_RANGE,
            wire.GroupByRange(field_name="f", ranges=[wire.Range()] * 101),
            r"the count of \[ranges\] exceeds the max: 100",
        ),
        (
            wire.GROUP_BY_COMPOSITE,
            wire.GroupByComposite(sources=wire.GroupBys(group_bys=[wire.GroupBy()] * 33)),
            r"the count of \[sources\] exceeds the max: 32",
        ),
    ],
)
def test_malformed_group_bys(kind: Any, body: Any, message: str) -> None:
    data = wire.GroupBys(group_bys=[wire.GroupBy(name="g", type=kind, body=body.SerializeToString())])
    with pytest.raises(ParameterInvalid, match=message):
        parse_group_bys(data.SerializeToString())


def test_levels_end() -> None:
    body = b""
    for _ in range(3_000):
        below = wire.GroupBys(group_bys=[wire.GroupBy(name="g", type=wire.GROUP_BY_FIELD, body=body)])
        body = wire.GroupByField(field_name="f", sub_group_bys=below).SerializeToString()
        if len(body) > 1_000_000:
            break
    data = wire.GroupBys(group_bys=[wire.GroupBy(name="g", type=wire.GROUP_BY_FIELD, body=body)])
    with pytest.raises(ParameterInvalid, match="nested deeper than 3 levels"):
        parse_group_bys(data.SerializeToString())


def test_all_levels_together_end() -> None:
    """Before they are all read: twenty at each of three levels are 8,420."""
    groups = wire.GroupBys()
    for _ in range(3):
        body = wire.GroupByField(field_name="f", sub_group_bys=groups).SerializeToString()
        named = [wire.GroupBy(name=f"g{i}", type=wire.GROUP_BY_FIELD, body=body) for i in range(20)]
        groups = wire.GroupBys(group_bys=named)
    with pytest.raises(ParameterInvalid, match="at all levels exceeds the max: 128"):
        parse_group_bys(groups.SerializeToString())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SENT)), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=5))
def test_damaged_messages_are_refused_or_read(part: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SENT[part])
    for at, byte in changes:
        data[at % len(data)] = byte
    with contextlib.suppress(ParameterInvalid):
        (parse_aggregations if part == "aggs" else parse_group_bys)(bytes(data))


def test_results() -> None:
    request = SearchRequest(
        MatchAll(),
        aggregations=(Sum("s", "f"), DistinctCount("d", "f"), Percentiles("p", "f", (50,))),
        group_bys=(GroupByField("by", "f", aggregations=(Avg("a", "f"),)), GroupByRange("r", "f", ((1, 2),))),
    )
    group = Group("key", 3, {"a": ValueResult("a", None)}, {})
    came = Aggregated(
        {
            "p": PercentilesResult("p", ((50, 1.5),)),
            "s": ValueResult("s", 10**400),
            "d": CountResult("d", 7, is_exact=False),
        },
        {"r": GroupByResult("r", [Group((1, 2), 0, {}, {})]), "by": GroupByResult("by", [group])},
    )
    aggs, group_bys = aggregated_messages(request, came)
    assert aggs is not None
    assert group_bys is not None
    read = sdk.AggregationsResult.FromString(aggs).agg_results
    assert [result.name for result in read] == ["s", "d", "p"]
    assert sdk.SumAggregationResult.FromString(read[0].agg_result).value == math.inf
    assert sdk.DistinctCountAggregationResult.FromString(read[1].agg_result).value == 7
    [item] = sdk.PercentilesAggregationResult.FromString(read[2].agg_result).percentiles_aggregation_items
    assert (item.key, decode_variant(item.value)) == (50, 1.5)
    by, ranges = sdk.GroupBysResult.FromString(group_bys).group_by_results
    assert (by.name, by.type, ranges.name, ranges.type) == ("by", sdk.GROUP_BY_FIELD, "r", sdk.GROUP_BY_RANGE)
    [item] = sdk.GroupByFieldResult.FromString(by.group_by_result).group_by_field_result_items
    assert (item.key, item.row_count, item.HasField("sub_group_bys_result")) == ("key", 3, False)
    average = sdk.AvgAggregationResult.FromString(item.sub_aggs_result.agg_results[0].agg_result)
    assert math.isnan(average.value)
    [item] = sdk.GroupByRangeResult.FromString(ranges.group_by_result).group_by_range_result_items
    assert (item.range_from, item.range_to, item.row_count, item.HasField("sub_aggs_result")) == (1, 2, 0, False)


@pytest.mark.parametrize(
    ("items", "is_whole", "told"),
    [
        (((90, 79.1), (50, -0.5)), True, [(50, 0), (90, 79)]),
        (((90, 79.1), (50, -0.5)), False, [(50, -0.5), (90, 79.1)]),
        (((0, -(2.0**63)), (100, 2.0**63)), True, [(0, -(2**63)), (100, 2**63 - 1)]),
        (((1, None),), True, [(1, math.nan)]),
    ],
)
def test_percentiles(items: Any, is_whole: bool, told: Any) -> None:
    """As the Python SDK's own tests expect them of Tablestore."""
    request = SearchRequest(MatchAll(), aggregations=(Percentiles("p", "f", (50,)),))
    came = Aggregated({"p": PercentilesResult("p", items, is_whole=is_whole)}, {})
    aggs, _ = aggregated_messages(request, came)
    assert aggs is not None
    [result] = sdk.AggregationsResult.FromString(aggs).agg_results
    read = sdk.PercentilesAggregationResult.FromString(result.agg_result).percentiles_aggregation_items
    found = [(item.key, decode_variant(item.value)) for item in read]
    assert found == [(key, pytest.approx(value, rel=0, abs=0, nan_ok=True)) for key, value in told]
    assert [type(value) for _, value in found] == [type(value) for _, value in told]


def test_nothing_asked() -> None:
    assert parse_aggregations(b"") == ()
    assert parse_group_bys(b"") == ()
    assert aggregated_messages(SearchRequest(MatchAll()), Aggregated()) == (None, None)
