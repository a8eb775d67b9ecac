"""Rows with a point within a ring of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lutra.geo.values import check_point, coordinates_of
from lutra.kernels.geo import GeoShape, geo_ring_fault
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint, GeoPolygon
from lutra.search.binder import Binder
from lutra.search.nodes.located import LOCATED, InShape
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds

_QUERY: Final = "geo_polygon query"
_FAULTS: Final = {
    1: f"[{_QUERY}] a polygon has at least 3 points that differ",
    2: f"[{_QUERY}] the polygon crosses or touches itself: edges may meet only at the point that two neighbours share",
}
_SHOWN_POINTS: Final = 8


@binds(GeoPolygon)
def bind(query: GeoPolygon, binder: Binder) -> Clause:
    binder.field(_QUERY, query.field, LOCATED)
    points = query.points
    if len(points) > limits.GEO_POLYGON_POINTS_MAX:
        raise ParameterInvalid(f"[{_QUERY}] takes at most {limits.GEO_POLYGON_POINTS_MAX} points, not {len(points)}")
    for number, point in enumerate(points):
        check_point(point, f"[{_QUERY}] point {number}")
    ring = coordinates_of(points)
    fault = geo_ring_fault(ring)
    if fault:
        raise ParameterInvalid(_FAULTS[fault])
    return Clause(binder.same(InPolygon(query.field, GeoShape.polygon(ring), points)), 1.0)


@dataclass(frozen=True, slots=True)
class InPolygon(InShape):
    points: tuple[GeoPoint, ...]

    def describe(self) -> dict[str, Any]:
        more = len(self.points) - _SHOWN_POINTS
        shown: list[Any] = [[point.lat, point.lon] for point in self.points[:_SHOWN_POINTS]]
        points = shown if more <= 0 else [*shown, f"and {more} more"]
        return {"query": "geo_polygon", "field": self.field, "points": points}
