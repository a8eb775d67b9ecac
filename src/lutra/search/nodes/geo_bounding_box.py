"""Rows with a point between two latitudes and two longitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lutra.geo.shapes import shape_of
from lutra.model.geo import GeoBoundingBox, GeoPoint
from lutra.search.binder import Binder
from lutra.search.nodes.located import LOCATED, InShape
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds

_QUERY: Final = "geo_bounding_box query"


@binds(GeoBoundingBox)
def bind(query: GeoBoundingBox, binder: Binder) -> Clause:
    binder.field(_QUERY, query.field, LOCATED)
    return Clause(binder.same(InBox(query.field, shape_of(query, _QUERY), query.top_left, query.bottom_right)), 1.0)


@dataclass(frozen=True, slots=True)
class InBox(InShape):
    top_left: GeoPoint
    bottom_right: GeoPoint

    def describe(self) -> dict[str, Any]:
        corners = {
            "top_left": [self.top_left.lat, self.top_left.lon],
            "bottom_right": [self.bottom_right.lat, self.bottom_right.lon],
        }
        return {"query": "geo_bounding_box", "field": self.field, **corners}
