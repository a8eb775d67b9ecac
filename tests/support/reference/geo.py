"""Queries for points: by distance on a sphere, by boxes and polygons on a map of latitudes and longitudes."""

from __future__ import annotations

import math

from support.geo_model import Place, Ring, arc_m, in_rectangle
from support.reference.space import Scores, Space, answers

from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon


def place_of(point: GeoPoint) -> Place:
    return point.lat, point.lon


@answers(GeoDistance)
def geo_distance(query: GeoDistance, space: Space) -> Scores:
    def is_near(place: Place) -> bool:
        away_m = arc_m(place_of(query.centre), place)
        if math.isclose(away_m, query.distance_m, rel_tol=1e-7):
            space.doubts.append("a distance")
        return away_m <= query.distance_m

    return space.where(query.field, is_near)


@answers(GeoBoundingBox)
def geo_bounding_box(query: GeoBoundingBox, space: Space) -> Scores:
    top_left, bottom_right = place_of(query.top_left), place_of(query.bottom_right)
    return space.where(query.field, lambda place: in_rectangle(place, *top_left, *bottom_right))


@answers(GeoPolygon)
def geo_polygon(query: GeoPolygon, space: Space) -> Scores:
    ring = Ring.of([place_of(point) for point in query.points])
    return space.where(query.field, ring.holds)
