"""In which order hits come."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.geo_model import Place
from support.reference.documents import Document
from support.reference.space import Space
from support.reference.values import stand_in

from lutra.kernels.geo import geo_distances
from lutra.model.geo import GeoDistanceSort
from lutra.model.indexes import FieldType
from lutra.model.queries import DocSort, FieldSort, Missing, PrimaryKeySort, ScoreSort, Sorter, SortMode


class Reversed:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and bool(self.value == other.value)


def sort_key(space: Space, sort: tuple[Sorter, ...], document: Document, score: float) -> list[Any]:
    """The primary key settles what the sort leaves equal."""
    result: list[Any] = []
    for sorter in sort:
        turned = Reversed if sorter.descending else (lambda value: value)
        if isinstance(sorter, PrimaryKeySort | DocSort):
            return [*result, turned(document.order)]
        if isinstance(sorter, ScoreSort):
            result.append(turned(score))
        elif isinstance(sorter, GeoDistanceSort):
            away_m = distance_m(sorter, held(space, sorter, document).get(sorter.field, []))
            result += [2, 0] if away_m is None else [1, turned(away_m)]
        elif isinstance(sorter, FieldSort):
            value = field_value(space, sorter, document)
            absent = 0 if sorter.missing is Missing.FIRST else 2
            result += [absent, 0] if value is None else [1, turned(value)]
    return [*result, document.order]


def held(space: Space, sorter: FieldSort | GeoDistanceSort, document: Document) -> dict[str, list[Any]]:
    """What a document has of each field; with a filter, what those documents within it have that match."""
    within = sorter.nested_filter
    if within is None:
        return document.elements
    matching = space.below(within.path).match(within.filter)
    together: dict[str, list[Any]] = {}
    for child in document.below(within.path):
        if child in matching:
            for name, elements in child.elements.items():
                together.setdefault(name, []).extend(elements)
    return together


def distance_m(sorter: GeoDistanceSort, places: list[Place]) -> float | None:
    """By the same kernel, pair by pair: so that equally far is what it takes for that. None without a point."""
    mode = sorter.mode if sorter.mode is not None else (SortMode.MAX if sorter.descending else SortMode.MIN)
    origins = np.array([[point.lat, point.lon] for point in sorter.points])
    away = [float(geo_distances(np.array([place]), origins, sorter.distance_type, mode)[0]) for place in places]
    if not away:
        return None
    return sum(away) / len(away) if mode is SortMode.AVG else (min if mode is SortMode.MIN else max)(away)


def field_value(space: Space, sorter: FieldSort, document: Document) -> Any:
    """None: the document comes before or after all that have one."""
    elements_of = held(space, sorter, document)
    names = [name for name in (sorter.field, *sorter.missing_fields) if name in elements_of]
    if not names:
        is_told = sorter.missing is not None and not isinstance(sorter.missing, Missing)
        return stand_in(space.field(sorter.field), sorter.missing) if is_told else None
    field, elements = space.field(names[0]), elements_of[names[0]]
    mode = sorter.mode if sorter.mode is not None else (SortMode.MAX if sorter.descending else SortMode.MIN)
    if mode is SortMode.AVG and (field.is_array or sorter.nested_filter is not None):
        return sum(float(element) for element in elements) / len(elements)
    assert field.type is not FieldType.TEXT
    return min(elements) if mode is SortMode.MIN else max(elements)
