"""Aggregations of a form, and group-bys with a level of either below each.

::

    {"of": "count"} | {"of": "sum" | "avg" | ..., "field": "price", "percents": [50, 95]}
    {"by": "value", "field": "kind", "size": 10, "each": [...]}
    {"by": "range", "field": "price", "bounds": [0, 10, 20]}            and below the first, and from the last on
    {"by": "interval", "field": "price", "every": 10}
    {"by": "date", "field": "at", "every": 1, "unit": "month", "zone": "Europe/Berlin"}
    {"by": "distance", "field": "place", "point": "lat,lon", "bounds": [1000, 5000]}     metres
    {"by": "cell", "field": "place", "precision": 5, "size": 10}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from lutra.console.search import bounds
from lutra.console.search.faults import Faults
from lutra.console.search.fields import SearchField, SearchFields
from lutra.console.search.node import Node
from lutra.console.search.values import point_of
from lutra.model.aggregations import (
    Aggregation,
    Avg,
    Count,
    DateTimeUnit,
    DateTimeValue,
    DistinctCount,
    GroupBy,
    GroupByDateHistogram,
    GroupByField,
    GroupByGeoDistance,
    GroupByGeoGrid,
    GroupByHistogram,
    GroupByRange,
    GroupKeySort,
    Max,
    Min,
    Percentiles,
    Sum,
)
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.zones import zone_of

METRICS: Final = ("count", "sum", "avg", "min", "max", "distinct", "values", "percentiles")
GROUPINGS: Final = ("value", "range", "interval", "date", "distance", "cell")
UNITS: Final = {
    "year": DateTimeUnit.YEAR,
    "quarter": DateTimeUnit.QUARTER_YEAR,
    "month": DateTimeUnit.MONTH,
    "week": DateTimeUnit.WEEK,
    "day": DateTimeUnit.DAY,
    "hour": DateTimeUnit.HOUR,
    "minute": DateTimeUnit.MINUTE,
}
PERCENTS_DEFAULT: Final = (50.0, 95.0, 99.0)
_GROUPS_DEFAULT: Final = 10
_GROUPS_BELOW_DEFAULT: Final = 5
_EVERY_MAX: Final = 10_000
_PRECISION_MAX: Final = 12
_METRES_MAX: Final = 50_000_000
_ZONE_BYTES_MAX: Final = 64
_NAME_CHARS_MAX: Final = 60
_BY_KEY: Final = (GroupKeySort(),)
_PLAIN: Final[dict[str, Callable[[str, str], Aggregation]]] = {
    "sum": Sum,
    "avg": Avg,
    "min": Min,
    "max": Max,
    "distinct": DistinctCount,
    "values": Count,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked at one level, in the form's order."""

    asked: tuple[Aggregation | GroupBy, ...] = ()

    @property
    def metrics(self) -> tuple[Aggregation, ...]:
        return tuple(one for one in self.asked if not _is_group_by(one))  # type: ignore[misc]

    @property
    def group_bys(self) -> tuple[GroupBy, ...]:
        return tuple(one for one in self.asked if _is_group_by(one))  # type: ignore[misc]


def _is_group_by(asked: Aggregation | GroupBy) -> bool:
    return hasattr(asked, "group_bys")


def wanted_of(node: Node, fields: SearchFields, faults: Faults) -> Wanted:
    """What a form asks of all rows that match. Raises `Wrong`."""
    return Wanted(tuple(_Level(fields, faults, is_top=True).read(node)))


class _Level:
    """Reads what is asked at one level, and names it: ``avg_price``, ``by_kind``."""

    def __init__(self, fields: SearchFields, faults: Faults, is_top: bool) -> None:
        self._fields = fields
        self._faults = faults
        self._is_top = is_top
        self._names: set[str] = set()

    def read(self, node: Node) -> list[Aggregation | GroupBy]:
        found: list[Aggregation | GroupBy] = []
        for one in node.items(bounds.AGGREGATIONS_MAX):
            with self._faults.gathered():
                is_group = isinstance(one.value, dict) and "by" in one.value
                found.append(self._group_by(one) if is_group else self._metric(one))
        return found

    def _named(self, text: str) -> str:
        name, number = text[:_NAME_CHARS_MAX], 1
        while name in self._names:
            number += 1
            name = f"{text[:_NAME_CHARS_MAX]}_{number}"
        self._names.add(name)
        return name

    def _metric(self, node: Node) -> Aggregation:
        node.object(("of", "field", "percents"))
        of = node.need("of").one_of(METRICS)
        if of == "count":
            return Count(self._named("count"), "*")
        named = node.need("field")
        field = self._fields.named(named)
        if of not in field.metrics:
            raise named.wrong("{name} has no {what}.", name=field.name, what=of)
        name = self._named(f"{of}_{field.name}")
        if of != "percentiles":
            return _PLAIN[of](name, field.name)
        given = node.get("percents")
        return Percentiles(name, field.name, PERCENTS_DEFAULT if given is None else _percents(given))

    def _group_by(self, node: Node) -> GroupBy:
        by = node.need("by").one_of(GROUPINGS)
        node.object(("by", "field", "each", *_OPTIONS[by]))
        named, each = node.need("field"), node.get("each")
        field = self._fields.named(named)
        if by not in field.groupings:
            raise named.wrong("Rows cannot be grouped by {name} that way.", name=field.name)
        below = Wanted()
        if each is not None:
            if not self._is_top:
                raise each.wrong("Groups can have one level below them.")
            below = Wanted(tuple(_Level(self._fields, self._faults, is_top=False).read(each)))
        sizes = _Sizes(bounds.GROUPS_MAX, _GROUPS_DEFAULT)
        if not self._is_top:
            sizes = _Sizes(bounds.GROUPS_BELOW_MAX, _GROUPS_BELOW_DEFAULT)
        made = {
            "name": self._named(f"by_{field.name}"),
            "field": field.name,
            "aggregations": below.metrics,
            "group_bys": below.group_bys,
        }
        return _MAKERS[by](node, field, made, sizes)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How many groups there may be, and are where nothing is said."""

    most: int
    default: int

    def of(self, node: Node) -> int:
        given = node.get("size")
        return self.default if given is None else given.whole(1, self.most)


def _by_value(node: Node, field: SearchField, made: dict[str, Any], sizes: _Sizes) -> GroupBy:
    return GroupByField(**made, size=sizes.of(node))


def _by_range(node: Node, field: SearchField, made: dict[str, Any], sizes: _Sizes) -> GroupBy:
    ends = _ascending(node.need("bounds"), bounds.RANGE_BOUNDS_MAX)
    edges = [-math.inf, *ends, math.inf]
    return GroupByRange(**made, ranges=tuple(pairwise(edges)))


def _by_interval(node: Node, field: SearchField, made: dict[str, Any], sizes: _Sizes) -> GroupBy:
    every = node.need("every")
    interval = every.number_within(0, 1e300)
    if not interval:
        raise every.wrong("This must be more than 0.")
    return GroupByHistogram(**made, interval=interval, sort=_BY_KEY)


def _by_date(node: Node, field: SearchField, made: dict[str, Any], sizes: _Sizes) -> GroupBy:
    every, unit, zone = node.get("every"), node.need("unit").one_of(UNITS), node.get("zone")
    text = None if zone is None or not zone.value else zone.text(_ZONE_BYTES_MAX)
    if zone is not None:
        try:
            zone_of(text)
        except ParameterInvalid:
            raise zone.wrong("This must be a time zone: +08:00, Europe/Berlin") from None
    interval = DateTimeValue(1 if every is None else every.whole(1, _EVERY_MAX), UNITS[unit])
    return GroupByDateHistogram(**made, interval=interval, time_zone=text, sort=_BY_KEY)


def _by_distance(node: Node, field: SearchField, made: dict[str, Any], sizes: _Sizes) -> GroupBy:
    ends = _ascending(node.need("bounds"), bounds.GEO_BOUNDS_MAX, 0, _METRES_MAX)
    edges = [*([] if ends[0] == 0 else [0.0]), *ends]
    if len(edges) < 2:
        raise node.need("bounds").wrong("A value is missing.")
    ranges = tuple(pairwise(edges))
    return GroupByGeoDistance(**made, origin=point_of(node.need("point")), ranges=ranges)


def _by_cell(node: Node, field: SearchField, made: dict[str, Any], sizes: _Sizes) -> GroupBy:
    return GroupByGeoGrid(**made, precision=node.need("precision").whole(1, _PRECISION_MAX), size=sizes.of(node))


_OPTIONS: Final = {
    "value": ("size",),
    "range": ("bounds",),
    "interval": ("every",),
    "date": ("every", "unit", "zone"),
    "distance": ("point", "bounds"),
    "cell": ("precision", "size"),
}
_MAKERS: Final[dict[str, Callable[[Node, SearchField, dict[str, Any], _Sizes], GroupBy]]] = {
    "value": _by_value,
    "range": _by_range,
    "interval": _by_interval,
    "date": _by_date,
    "distance": _by_distance,
    "cell": _by_cell,
}


def _percents(node: Node) -> tuple[float, ...]:
    found = [float(one.number_within(0, 100)) for one in node.items(bounds.PERCENTILES_MAX)]
    if not found:
        raise node.wrong("A value is missing.")
    return tuple(sorted(set(found)))


def _ascending(node: Node, most: int, least: float = -1e308, greatest: float = 1e308) -> list[float]:
    ends = [float(one.number_within(least, greatest)) for one in node.items(most)]
    if not ends:
        raise node.wrong("A value is missing.")
    if any(not low < high for low, high in pairwise(ends)):
        raise node.wrong("Each bound must be greater than the one before it.")
    return ends
