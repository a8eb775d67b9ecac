"""Shapes on the earth, from what queries say of them."""

from __future__ import annotations

import math
from typing import Final

from lutra.geo.values import check_point, coordinates_of
from lutra.kernels.geo import GeoShape, geo_ring_fault
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPolygon

_FAULTS: Final = {
    1: "a polygon has at least 3 points that differ",
    2: "the polygon crosses or touches itself: edges may meet only at the point that two neighbours share",
}


def shape_of(query: GeoBoundingBox | GeoDistance | GeoPolygon, name: str) -> GeoShape:
    """What a query looks for points in. Raises ParameterInvalid, which begins with ``name``, for what is no shape."""
    match query:
        case GeoBoundingBox():
            return _rectangle(query, name)
        case GeoDistance():
            return _circle(query, name)
        case GeoPolygon():
            return _polygon(query, name)


def _rectangle(query: GeoBoundingBox, name: str) -> GeoShape:
    top_left, bottom_right = query.top_left, query.bottom_right
    check_point(top_left, f"[{name}] top_left")
    check_point(bottom_right, f"[{name}] bottom_right")
    if top_left.lat < bottom_right.lat:
        raise ParameterInvalid(
            f"[{name}] top_left, at latitude {top_left.lat}, is south of bottom_right, at {bottom_right.lat}"
        )
    return GeoShape.rectangle(top_left.lat, top_left.lon, bottom_right.lat, bottom_right.lon)


def _circle(query: GeoDistance, name: str) -> GeoShape:
    check_point(query.centre, f"[{name}] center_point")
    if not 0 < query.distance_m < math.inf:
        raise ParameterInvalid(f"[{name}] distance must be more than 0 metres, and finite, not {query.distance_m}")
    return GeoShape.circle(query.centre.lat, query.centre.lon, query.distance_m)


def _polygon(query: GeoPolygon, name: str) -> GeoShape:
    points = query.points
    if len(points) > limits.GEO_POLYGON_POINTS_MAX:
        raise ParameterInvalid(f"[{name}] takes at most {limits.GEO_POLYGON_POINTS_MAX} points, not {len(points)}")
    for number, point in enumerate(points):
        check_point(point, f"[{name}] point {number}")
    ring = coordinates_of(points)
    fault = geo_ring_fault(ring)
    if fault:
        raise ParameterInvalid(f"[{name}] {_FAULTS[fault]}")
    return GeoShape.polygon(ring)
