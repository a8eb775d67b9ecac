"""By how far points are from others."""

from __future__ import annotations

from lutra.geo.values import parsed_point
from lutra.model.geo import DistanceType, GeoDistanceSort, GeoPoint
from lutra.model.queries import SortMode
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.queries.parts import field_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.nested import parse_nested_filter
from lutra.server.protocol.sorts.order import is_descending, order_of
from lutra.server.protocol.sorts.registry import parses, writes
from lutra.server.wire import query_pb2 as wire


@parses("geo_distance_sort")
def parse_geo_distance_sort(message: wire.GeoDistanceSort, reader: Reader) -> GeoDistanceSort:
    field = field_of(message)
    return GeoDistanceSort(
        field,
        tuple(parsed_point(text, f"[geo_distance_sort] point {number}") for number, text in enumerate(message.points)),
        descending=is_descending(message, default=False),
        mode=enum_of(SortMode, message.mode, "sort mode") if message.HasField("mode") else None,
        distance_type=enum_of(DistanceType, message.distance_type, "distance type"),
        nested_filter=parse_nested_filter(message, reader),
    )


@writes(GeoDistanceSort)
def geo_distance_sort_message(sorter: GeoDistanceSort) -> wire.Sorter:
    return wire.Sorter(
        geo_distance_sort=wire.GeoDistanceSort(
            field_name=sorter.field,
            points=map(_text, sorter.points),
            order=order_of(sorter.descending),
            mode=None if sorter.mode is None else wire.SortMode.Name(sorter.mode),
            distance_type=wire.GeoDistanceType.Name(sorter.distance_type),
        )
    )


def _text(point: GeoPoint) -> str:
    return f"{point.lat!r},{point.lon!r}"
