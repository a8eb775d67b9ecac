"""Groups that are said beforehand: ranges of a column's values, distances from a point, conditions with a name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from lutra.instance import where as filters
from lutra.instance.encoding import EXACT_BELOW, encode_float, number_of, shown
from lutra.instance.expression import Expression
from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.instance.ranges import Ranges
from lutra.model import limits
from lutra.model.aggregations import Aggregation, GroupBy, GroupByFilter, GroupByGeoDistance, GroupByRange
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query, Range

CONDITIONS_NAME: Final = "group"
"""Of what groups of conditions have in common: their name."""
_NUMBERS: Final = frozenset({Kind.INT, Kind.FLOAT})

Make = Callable[[str, tuple[Aggregation, ...]], GroupBy]
"""A group-by of that name, that looks at its groups with these aggregations."""


@dataclass(frozen=True, slots=True)
class FixedGroups:
    """What rows are grouped by, and what the groups are called; a search takes a few groups at a time."""

    name: str
    field: Field | None
    keys: tuple[Any, ...]
    makes: tuple[Make, ...]
    """One after the other they give all groups, in the order of ``keys``."""


def fixed_groups(
    key: Ranges | Mapping[str, Expression], layout: Layout, field_of: Callable[[str], Field]
) -> FixedGroups:
    """``field_of`` gives the field that aggregates see of a column. Raises ParameterInvalid."""
    count = len(key.bounds) + 1 if isinstance(key, Ranges) else len(key)
    if count > limits.GROUPS_MAX:
        raise ParameterInvalid(f"{count:,} groups are too many to be said beforehand: at most {limits.GROUPS_MAX:,}")
    if not isinstance(key, Ranges):
        return _of_conditions(key, layout)
    field = field_of(key.column)
    if key.origin is not None:
        return _of_distances(key, field)
    return _of_moments(key, field) if field.kind is Kind.DATETIME else _of_numbers(key, field)


def _of_conditions(conditions: Mapping[str, Expression], layout: Layout) -> FixedGroups:
    if not conditions or not all(isinstance(name, str) for name in conditions):
        raise ParameterInvalid("groups of conditions are a dict of their names and conditions, one at least")
    queries = [filters.to_query(condition, layout) for condition in conditions.values()]
    return FixedGroups(CONDITIONS_NAME, Field(CONDITIONS_NAME, Kind.STR), tuple(conditions), _filters(queries))


def _of_numbers(key: Ranges, field: Field) -> FixedGroups:
    if field.kind not in _NUMBERS:
        raise ParameterInvalid(f"field {field.name!r} is {field.kind.value}: ranges of numbers do not apply")
    bounds = _ascending(key, _exact)
    ranges = list(pairwise([-math.inf, *map(float, bounds), math.inf]))
    makes = tuple(_ranges(field.name, tuple(some)) for some in _chunks(ranges, limits.GROUP_BY_RANGES_MAX))
    return FixedGroups(key.column, None, _open_ended(bounds), makes)


def _of_moments(key: Ranges, field: Field) -> FixedGroups:
    bounds = _ascending(key, field.operand)
    keys = _open_ended(bounds)
    return FixedGroups(key.column, None, keys, _filters([_range(field.name, low, high) for low, high in keys]))


def _of_distances(key: Ranges, field: Field) -> FixedGroups:
    if field.kind is not Kind.GEO:
        raise ParameterInvalid(f"field {field.name!r} is {field.kind.value}: distances do not apply")
    bounds = _ascending(key, encode_float)
    if bounds[0] <= 0:
        raise ParameterInvalid(f"distances are above 0, not {bounds[0]!r}")
    ranges = list(pairwise([0.0, *bounds, math.inf]))
    origin = key.origin
    assert origin is not None

    def make_of(some: tuple[tuple[float, float], ...]) -> Make:
        return lambda name, aggregations: GroupByGeoDistance(name, field.name, origin, some, aggregations)

    makes = tuple(make_of(tuple(some)) for some in _chunks(ranges, limits.GROUP_BY_GEO_RANGES_MAX))
    return FixedGroups(key.column, None, ((0.0, bounds[0]), *_open_ended(bounds)[1:]), makes)


def _exact(bound: object) -> int | float:
    """A number that a float holds as it is, as ranges are floats. Raises TypeError, ValueError."""
    number = number_of(bound, "a number")
    if abs(number) > EXACT_BELOW and int(float(number)) != number:
        raise ValueError(f"{number} is too large to be told from others near it")
    return number


def _ranges(field: str, ranges: tuple[tuple[float, float], ...]) -> Make:
    return lambda name, aggregations: GroupByRange(name, field, ranges, aggregations)


def _filters(queries: Sequence[Query]) -> tuple[Make, ...]:
    def make_of(some: tuple[Query, ...]) -> Make:
        return lambda name, aggregations: GroupByFilter(name, some, aggregations)

    return tuple(make_of(tuple(some)) for some in _chunks(queries, limits.GROUP_BY_FILTERS_MAX))


def _range(field: str, low: Any, high: Any) -> Range:
    """From ``low`` on, up to ``high`` and without it; None: without end."""
    return Range(field, lower=low, upper=high, include_lower=True, include_upper=False)


def _ascending(key: Ranges, checked: Callable[[object], Any]) -> list[Any]:
    if not key.bounds:
        raise ParameterInvalid(f"ranges of {key.column!r} take a bound at least")
    try:
        bounds = [checked(bound) for bound in key.bounds]
    except (TypeError, ValueError) as error:
        raise ParameterInvalid(f"ranges of {key.column!r}: {error}") from None
    for low, high in pairwise(bounds):
        if not low < high:
            raise ParameterInvalid(
                f"ranges of {key.column!r} take ascending bounds: {shown(high)} follows {shown(low)}"
            )
    return bounds


def _open_ended(bounds: Sequence[Any]) -> tuple[tuple[Any, Any], ...]:
    """From each bound to the next, and before and after them; None: without end."""
    return tuple(pairwise([None, *bounds, None]))


def _chunks(of: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [of[first : first + most] for first in range(0, len(of), most)]
