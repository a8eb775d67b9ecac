"""Rows with a point within a ring of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lutra.geo.shapes import shape_of
from lutra.model.geo import GeoPoint, GeoPolygon
from lutra.search.binder import Binder
from lutra.search.nodes.located import LOCATED, InShape
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds

_QUERY: Final = "geo_polygon query"
_SHOWN_POINTS: Final = 8


@binds(GeoPolygon)
def bind(query: GeoPolygon, binder: Binder) -> Clause:
    binder.field(_QUERY, query.field, LOCATED)
    return Clause(binder.same(InPolygon(query.field, shape_of(query, _QUERY), query.points)), 1.0)


@dataclass(frozen=True, slots=True)
class InPolygon(InShape):
    points: tuple[GeoPoint, ...]

    def describe(self) -> dict[str, Any]:
        more = len(self.points) - _SHOWN_POINTS
        shown: list[Any] = [[point.lat, point.lon] for point in self.points[:_SHOWN_POINTS]]
        points = shown if more <= 0 else [*shown, f"and {more} more"]
        return {"query": "geo_polygon", "field": self.field, "points": points}
