"""Groups by how far points are from one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.geo.values import check_point, coordinates_of
from lutra.kernels.geo import geo_distances
from lutra.model import limits
from lutra.model.aggregations import GroupByGeoDistance
from lutra.model.geo import DistanceType, GeoPoint
from lutra.model.queries import SortMode
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.by_range import PlacesGrouping, assigned_to_places, checked_ranges
from lutra.search.aggregations.grouping import Assigned
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.located import points_per_row, row_points
from lutra.search.aggregations.rows import Rows

_WHAT: Final = "group_by_geo_distance"


class GeoDistanceGrouping(PlacesGrouping):
    def __init__(
        self,
        name: str,
        level: Level,
        field: str,
        spaces: Sequence[str],
        origin: GeoPoint,
        ranges: Sequence[tuple[float, float]],
    ) -> None:
        super().__init__(name, level, ranges)
        self._field = field
        self._spaces = spaces
        self._origin = coordinates_of((origin,))
        self._ranges = ranges

    def spread(self, rows: Rows) -> int:
        return super().spread(rows) * points_per_row(rows, self._field, self._spaces)

    def assign(self, rows: Rows) -> Assigned:
        found = row_points(rows, self._field, self._spaces)
        far_m = geo_distances(found.coordinates, self._origin, int(DistanceType.ARC), int(SortMode.MIN))
        chosen = []
        for begin_m, end_m in self._ranges:
            places = np.flatnonzero((far_m >= begin_m) & (far_m < end_m))
            chosen.append(places if found.rows is None else found.rows[places])
        return assigned_to_places(chosen, found.is_once)


@binds_group_by(GroupByGeoDistance)
def bind_by_geo_distance(wanted: GroupByGeoDistance, binder: LevelBinder) -> GeoDistanceGrouping:
    field = binder.schema_field(_WHAT, wanted.field, lambda kind: kind.is_located)
    check_point(wanted.origin, f"[{_WHAT}] origin")
    # The Go SDK's own tests expect them as they were given, and of one without a begin that it begins at 0.
    given = checked_ranges(_WHAT, wanted.ranges, limits.GROUP_BY_GEO_RANGES_MAX)
    ranges = [(0.0 if begin == -math.inf else begin, end) for begin, end in given]
    spaces = binder.spaces(field.name)
    return GeoDistanceGrouping(wanted.name, binder.below(wanted), field.name, spaces, wanted.origin, ranges)
