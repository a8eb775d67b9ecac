"""Rows with a point no farther from another than so many metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lutra.geo.shapes import shape_of
from lutra.model.geo import GeoDistance, GeoPoint
from lutra.search.binder import Binder
from lutra.search.nodes.located import LOCATED, InShape
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds

_QUERY: Final = "geo_distance query"


@binds(GeoDistance)
def bind(query: GeoDistance, binder: Binder) -> Clause:
    binder.field(_QUERY, query.field, LOCATED)
    return Clause(binder.same(InCircle(query.field, shape_of(query, _QUERY), query.centre, query.distance_m)), 1.0)


@dataclass(frozen=True, slots=True)
class InCircle(InShape):
    centre: GeoPoint
    distance_m: float

    def describe(self) -> dict[str, Any]:
        centre = [self.centre.lat, self.centre.lon]
        return {"query": "geo_distance", "field": self.field, "centre": centre, "distance_m": self.distance_m}
