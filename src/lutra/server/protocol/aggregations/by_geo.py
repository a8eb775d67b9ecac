"""Groups by place: by distance, and by cells of a grid."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.aggregations import GroupByGeoDistance, GroupByGeoGrid, GroupByResult
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoCell, GeoPoint
from lutra.server.protocol.aggregations.by_range import ranges_of
from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter
from lutra.server.protocol.aggregations.registry import speaks_group_by
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.wire import aggregation_pb2 as wire


def _parse_distance(name: str, data: bytes, reader: LevelReader) -> GroupByGeoDistance:
    body = body_of(wire.GroupByGeoDistance, data)
    if not body.HasField("origin"):
        raise ParameterInvalid("[group_by_geo_distance] has no [origin]")
    if len(body.ranges) > limits.GROUP_BY_GEO_RANGES_MAX:
        raise ParameterInvalid(f"the count of [ranges] exceeds the max: {limits.GROUP_BY_GEO_RANGES_MAX}")
    origin = GeoPoint(body.origin.lat, body.origin.lon)
    return GroupByGeoDistance(name, field_of(body), origin, ranges_of(body.ranges), *reader.below(body))


def _write_distance(
    wanted: GroupByGeoDistance, result: GroupByResult, writer: LevelWriter
) -> wire.GroupByGeoDistanceResult:
    items = []
    for group in result.groups:
        begin_m, end_m = group.key
        below = writer.below(wanted, group)
        items.append(
            wire.GroupByGeoDistanceResultItem(range_from=begin_m, range_to=end_m, row_count=group.rows, **below)
        )
    return wire.GroupByGeoDistanceResult(group_by_geo_distance_result_items=items)


def _parse_grid(name: str, data: bytes, reader: LevelReader) -> GroupByGeoGrid:
    body = body_of(wire.GroupByGeoGrid, data)
    size = body.size if body.HasField("size") else None
    return GroupByGeoGrid(name, field_of(body), int(body.precision), size, *reader.below(body))


def _write_grid(wanted: GroupByGeoGrid, result: GroupByResult, writer: LevelWriter) -> wire.GroupByGeoGridResult:
    items = []
    for group in result.groups:
        cell: GeoCell = group.key
        grid = wire.GeoGrid(top_left=_point(cell.top_left), bottom_right=_point(cell.bottom_right))
        below = writer.below(wanted, group)
        items.append(wire.GroupByGeoGridResultItem(key=cell.hash, geo_grid=grid, row_count=group.rows, **below))
    return wire.GroupByGeoGridResult(group_by_geo_grid_result_items=items)


def _point(point: GeoPoint) -> wire.GeoPoint:
    return wire.GeoPoint(lat=point.lat, lon=point.lon)


speaks_group_by(wire.GROUP_BY_GEO_DISTANCE, GroupByGeoDistance, _parse_distance, _write_distance)
speaks_group_by(wire.GROUP_BY_GEO_GRID, GroupByGeoGrid, _parse_grid, _write_grid)
