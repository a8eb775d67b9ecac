"""What is where on the earth."""

from __future__ import annotations

from lutra.geo.values import parsed_point
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPolygon
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_GEO_BOUNDING_BOX)
def parse_geo_bounding_box(body: bytes, reader: Reader, depth: int) -> GeoBoundingBox:
    message = body_of(wire.GeoBoundingBoxQuery, body)
    return GeoBoundingBox(
        field_of(message),
        parsed_point(message.top_left, "[geo_bounding_box query] top_left"),
        parsed_point(message.bottom_right, "[geo_bounding_box query] bottom_right"),
    )


@parses(wire.QUERY_TYPE_GEO_DISTANCE)
def parse_geo_distance(body: bytes, reader: Reader, depth: int) -> GeoDistance:
    message = body_of(wire.GeoDistanceQuery, body)
    centre = parsed_point(message.center_point, "[geo_distance query] center_point")
    return GeoDistance(field_of(message), centre, message.distance)


@parses(wire.QUERY_TYPE_GEO_POLYGON)
def parse_geo_polygon(body: bytes, reader: Reader, depth: int) -> GeoPolygon:
    message = body_of(wire.GeoPolygonQuery, body)
    points = enumerate(message.points)
    return GeoPolygon(
        field_of(message), tuple(parsed_point(text, f"[geo_polygon query] point {number}") for number, text in points)
    )
