"""Queries and sorters by place, as the official SDK encodes them; points that are none are named."""

from __future__ import annotations

import pytest
import tablestore as ots
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.protobuf import search_pb2 as sdk

from lutra.model.errors import ParameterInvalid
from lutra.model.geo import DistanceType, GeoBoundingBox, GeoDistance, GeoDistanceSort, GeoPoint, GeoPolygon
from lutra.model.queries import Query, SortMode
from lutra.server.protocol.queries import parse_query
from lutra.server.protocol.sorts import parse_sort, sort_message
from lutra.server.wire import query_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")


def parsed(query: ots.Query) -> Query:
    message = sdk.Query()
    ENCODER._make_query(message, query)
    return parse_query(wire.Query.FromString(message.SerializeToString()))


def test_queries_of_the_sdk() -> None:
    assert parsed(ots.GeoBoundingBoxQuery("at", "40.5, 116", "30,-120.25")) == GeoBoundingBox(
        "at", GeoPoint(40.5, 116.0), GeoPoint(30.0, -120.25)
    )
    assert parsed(ots.GeoDistanceQuery("at", "40.5,116", 1000.5)) == GeoDistance("at", GeoPoint(40.5, 116.0), 1000.5)
    assert parsed(ots.GeoPolygonQuery("at", ["0,0", "0, 1", "1,0"])) == GeoPolygon(
        "at", (GeoPoint(0.0, 0.0), GeoPoint(0.0, 1.0), GeoPoint(1.0, 0.0))
    )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (ots.GeoBoundingBoxQuery("at", "40", "30,120"), r"^\[geo_bounding_box query\] top_left must be a point.*'40'"),
        (ots.GeoBoundingBoxQuery("at", "40,1", "91,120"), "bottom_right must be a point"),
        (ots.GeoDistanceQuery("at", "", 1), r"center_point must be a point.*not ''"),
        (ots.GeoDistanceQuery("at", "x" * 100, 1), r"not 'x{61}\.\.\.'$"),
        (ots.GeoPolygonQuery("at", ["0,0", "nan,1"]), r"\[geo_polygon query\] point 1 must be a point"),
        (ots.GeoDistanceQuery("", "0,0", 1), "has no"),
    ],
)
def test_what_is_no_point_is_named(query: ots.Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        parsed(query)


def test_what_is_absent() -> None:
    with pytest.raises(ParameterInvalid, match=r"^\[geo_distance query\] center_point must be a point"):
        parse_query(
            wire.Query(
                type=wire.QUERY_TYPE_GEO_DISTANCE, query=wire.GeoDistanceQuery(field_name="at").SerializeToString()
            )
        )
    nothing = wire.GeoPolygonQuery(field_name="at").SerializeToString()
    assert parse_query(wire.Query(type=wire.QUERY_TYPE_GEO_POLYGON, query=nothing)) == GeoPolygon("at", ())


def test_sorters_of_the_sdk_and_back() -> None:
    message = sdk.Sort()
    sorters = [
        ots.GeoDistanceSort("at", ["1,2", "3, 4.5"], ots.SortOrder.DESC, ots.SortMode.AVG, ots.GeoDistanceType.PLANE),
        ots.GeoDistanceSort("at", ["1,2"]),
    ]
    ENCODER._make_index_sort(message, ots.Sort(sorters))
    sort = parse_sort(wire.Sort.FromString(message.SerializeToString()))
    points = (GeoPoint(1.0, 2.0), GeoPoint(3.0, 4.5))
    assert sort[0] == GeoDistanceSort("at", points, True, SortMode.AVG, DistanceType.PLANE)
    assert sort[1] == GeoDistanceSort("at", points[:1])
    assert parse_sort(sort_message(sort)) == sort
    with pytest.raises(ParameterInvalid, match=r"\[geo_distance_sort\] point 0 must be a point"):
        parse_sort(wire.Sort(sorter=[{"geo_distance_sort": {"field_name": "at", "points": ["1"]}}]))
