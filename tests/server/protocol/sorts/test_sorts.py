"""Sorters as the official SDK encodes them arrive as the model's, and go back; what is not served is named."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.protobuf import search_pb2 as sdk

from lutra.kernels.plainbuffer import encode_variant
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import DocSort, FieldSort, Missing, PrimaryKeySort, ScoreSort, SortMode
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, KeyMarker, Value
from lutra.server.protocol.sorts import parse_sort, sort_message
from lutra.server.wire import query_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")


def sdk_sort(*sorters: ots.Sorter) -> wire.Sort:
    message = sdk.Sort()
    ENCODER._make_index_sort(message, ots.Sort(list(sorters)))
    return wire.Sort.FromString(message.SerializeToString())


def test_sorters_of_the_sdk_and_back() -> None:
    sort = sdk_sort(
        ots.ScoreSort(),
        ots.ScoreSort(ots.SortOrder.ASC),
        ots.PrimaryKeySort(ots.SortOrder.DESC),
        ots.FieldSort("a", ots.SortOrder.DESC, ots.SortMode.AVG),
        ots.FieldSort("b"),
    )
    parsed = parse_sort(sort)
    assert parsed == (
        ScoreSort(),
        ScoreSort(descending=False),
        PrimaryKeySort(descending=True),
        FieldSort("a", descending=True, mode=SortMode.AVG),
        FieldSort("b"),
    )
    assert parse_sort(sort_message(parsed)) == parsed


def field_sort(**more: Any) -> FieldSort:
    """As it is parsed; and as it is after it was told again."""
    sort = wire.Sort(sorter=[wire.Sorter(field_sort=wire.FieldSort(field_name="a", **more))])
    [parsed] = parse_sort(sort)
    assert isinstance(parsed, FieldSort)
    assert parse_sort(sort_message([parsed])) == (parsed,)
    return parsed


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        (7, 7),
        ("b", "b"),
        ("_first", Missing.FIRST),
        ("_last", Missing.LAST),
        (INF_MIN, Missing.FIRST),
        (INF_MAX, Missing.LAST),
    ],
)
def test_rows_without_the_field(sent: Value | KeyMarker, missing: object) -> None:
    """Java sends its markers as strings."""
    assert field_sort(missing_value=encode_variant(sent)).missing == missing


@pytest.mark.parametrize("sent", [encode_variant(AUTO_INCREMENT), b"\x06"], ids=["marker", "null"])
def test_rows_without_the_field_sort_as_a_value(sent: bytes) -> None:
    with pytest.raises(ParameterInvalid, match="missing value of field"):
        field_sort(missing_value=sent)


def test_other_fields_of_rows_without_the_field() -> None:
    """Older SDKs send one, newer ones several."""
    assert field_sort().missing_fields == ()
    assert field_sort(missing_field="b").missing_fields == ("b",)
    assert field_sort(missing_fields=["b", "c"]).missing_fields == ("b", "c")
    assert field_sort(missing_field="b", missing_fields=["c"]).missing_fields == ("b", "c")


def test_any_order_of_documents() -> None:
    sort = wire.Sort(sorter=[wire.Sorter(doc_sort=wire.DocSort(order=order)) for order in (0, 1)])
    assert parse_sort(sort) == (DocSort(), DocSort(descending=True))
    assert sort_message(parse_sort(sort)) == sort


@pytest.mark.parametrize(
    ("sorter", "part"),
    [
        (wire.Sorter(), "empty"),
        (wire.Sorter(geo_distance_sort=wire.GeoDistanceSort()), "a GeoDistanceSort has no [field_name]"),
        (wire.Sorter(geo_distance_sort=wire.GeoDistanceSort(field_name="a", distance_type=9)), "distance type: 9"),
        (wire.Sorter(field_sort=wire.FieldSort()), "field_name"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", nested_filter=wire.NestedFilter())), "nested_filter"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", mode=9)), "Invalid sort mode: 9"),
        (wire.Sorter(score_sort=wire.ScoreSort(order=9)), "Invalid sort order: 9"),
    ],
)
def test_malformed_sorters(sorter: wire.Sorter, part: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_sort(wire.Sort(sorter=[sorter]))
    assert part in str(caught.value)
