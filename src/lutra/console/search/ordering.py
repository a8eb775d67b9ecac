"""The order of a form's rows.

::

    [{"by": "score" | "key" | "field" | "distance", "field": "year", "point": "lat,lon", "descending": true}]
"""

from __future__ import annotations

from typing import Final

from lutra.console.search import bounds
from lutra.console.search.faults import Faults
from lutra.console.search.fields import SearchFields
from lutra.console.search.node import Node
from lutra.console.search.values import point_of
from lutra.model.geo import GeoDistanceSort
from lutra.model.queries import FieldSort, PrimaryKeySort, ScoreSort, Sorter

ORDERS: Final = ("score", "key", "field", "distance")


def sort_of(node: Node, fields: SearchFields, faults: Faults) -> tuple[Sorter, ...]:
    """What rows come by, the most important first. Raises `Wrong`."""
    sorters: list[Sorter] = []
    for one in node.items(bounds.SORTERS_MAX):
        with faults.gathered():
            sorters.append(_sorter(one, fields))
    return tuple(sorters)


def _sorter(node: Node, fields: SearchFields) -> Sorter:
    node.object(("by", "field", "point", "descending"))
    by, direction = node.need("by").one_of(ORDERS), node.get("descending")
    if by == "score":
        return ScoreSort(direction is None or direction.flag())
    descending = direction is not None and direction.flag()
    if by == "key":
        return PrimaryKeySort(descending)
    named = node.need("field")
    field = fields.named(named)
    if by == "field":
        if not field.is_sortable:
            raise named.wrong("Rows cannot be sorted by {name}.", name=field.name)
        return FieldSort(field.name, descending)
    if not field.kind.is_located or field.space or not field.schema.is_sortable:
        raise named.wrong("{name} is no field of places that rows can be sorted by.", name=field.name)
    return GeoDistanceSort(field.name, (point_of(node.need("point")),), descending)
