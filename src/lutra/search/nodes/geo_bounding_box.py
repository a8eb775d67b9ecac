"""Rows with a point between two latitudes and two longitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lutra.geo.values import check_point
from lutra.kernels.geo import GeoShape
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoBoundingBox, GeoPoint
from lutra.search.binder import Binder
from lutra.search.nodes.located import LOCATED, InShape
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds

_QUERY: Final = "geo_bounding_box query"


@binds(GeoBoundingBox)
def bind(query: GeoBoundingBox, binder: Binder) -> Clause:
    binder.field(_QUERY, query.field, LOCATED)
    top_left, bottom_right = query.top_left, query.bottom_right
    check_point(top_left, f"[{_QUERY}] top_left")
    check_point(bottom_right, f"[{_QUERY}] bottom_right")
    if top_left.lat < bottom_right.lat:
        raise ParameterInvalid(
            f"[{_QUERY}] top_left, at latitude {top_left.lat}, is south of bottom_right, at {bottom_right.lat}"
        )
    shape = GeoShape.rectangle(top_left.lat, top_left.lon, bottom_right.lat, bottom_right.lon)
    return Clause(binder.same(InBox(query.field, shape, top_left, bottom_right)), 1.0)


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
