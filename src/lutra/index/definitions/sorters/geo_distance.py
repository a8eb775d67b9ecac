"""By how far points are from others."""

from __future__ import annotations

from typing import Any

from lutra.fields.kinds import kind_of
from lutra.geo.values import check_point
from lutra.index.definitions.sorters.registry import (
    SorterKind,
    field_of,
    knows,
    nested_filter_in,
    nested_filter_out,
    space_of,
)
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import DistanceType, GeoDistanceSort, GeoPoint
from lutra.model.indexes import IndexSchema
from lutra.model.queries import SortMode


@knows(GeoDistanceSort)
class GeoDistanceSortKind(SorterKind):
    name = "geo_distance"
    orders_indexes = False

    def check(self, schema: IndexSchema, sorter: GeoDistanceSort, space: str) -> None:
        space = space_of(schema, "geo_distance_sort", sorter.nested_filter, space)
        field = field_of(schema, "geo_distance_sort", sorter.field, space)
        if not kind_of(field).is_located:
            kind = field.type.name
            raise ParameterInvalid(f"[geo_distance_sort] field: {sorter.field} is of type {kind}, not GEO_POINT")
        if not field.is_sortable:
            raise ParameterInvalid(f"[geo_distance_sort] field: {sorter.field} was created without sort_and_agg")
        if not 1 <= len(sorter.points) <= limits.GEO_SORT_POINTS_MAX:
            raise ParameterInvalid(
                f"[geo_distance_sort] takes 1 to {limits.GEO_SORT_POINTS_MAX} points, not {len(sorter.points)}"
            )
        for number, point in enumerate(sorter.points):
            check_point(point, f"[geo_distance_sort] point {number}")

    def out(self, sorter: GeoDistanceSort) -> dict[str, Any]:
        return {
            "field": sorter.field,
            "points": [[point.lat, point.lon] for point in sorter.points],
            "mode": None if sorter.mode is None else sorter.mode.name,
            "distance_type": sorter.distance_type.name,
            **nested_filter_out(sorter.nested_filter),
        }

    def read(self, stored: dict[str, Any], descending: bool) -> GeoDistanceSort:
        field, mode = stored["field"], stored["mode"]
        if not isinstance(field, str):
            raise ValueError("field")
        return GeoDistanceSort(
            field,
            tuple(GeoPoint(float(lat), float(lon)) for lat, lon in stored["points"]),
            descending,
            None if mode is None else SortMode[mode],
            DistanceType[stored["distance_type"]],
            nested_filter_in(stored),
        )
