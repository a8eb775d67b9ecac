"""Sorters as the official SDK encodes them arrive as the model's, and go back; what is not served is named."""

from __future__ import annotations

from dataclasses import astuple

import pytest
import tablestore as ots
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.protobuf import search_pb2 as sdk

from lutra.kernels.plainbuffer import encode_variant
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import FieldSort, PrimaryKeySort, ScoreSort, SortMode
from lutra.model.values import INF_MAX, INF_MIN
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


def test_rows_without_the_field() -> None:
    def parsed(value: object) -> tuple[object, ...]:
        missing = encode_variant(value)
        sort = wire.Sort(sorter=[wire.Sorter(field_sort=wire.FieldSort(field_name="a", missing_value=missing))])
        return astuple(parse_sort(sort)[0])

    assert parsed(7)[-1] == 7
    assert parsed(INF_MAX)[-1] is None
    with pytest.raises(ParameterInvalid, match="first is not supported"):
        parsed(INF_MIN)


@pytest.mark.parametrize(
    ("sorter", "part"),
    [
        (wire.Sorter(), "empty"),
        (wire.Sorter(doc_sort=wire.DocSort()), "doc_sort"),
        (wire.Sorter(geo_distance_sort=wire.GeoDistanceSort()), "geo_distance_sort"),
        (wire.Sorter(field_sort=wire.FieldSort()), "field_name"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", nested_filter=wire.NestedFilter())), "nested_filter"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", missing_field="b")), "missing_field"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", mode=9)), "Invalid sort mode: 9"),
        (wire.Sorter(score_sort=wire.ScoreSort(order=9)), "Invalid sort order: 9"),
    ],
)
def test_malformed_sorters(sorter: wire.Sorter, part: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_sort(wire.Sort(sorter=[sorter]))
    assert part in str(caught.value)
