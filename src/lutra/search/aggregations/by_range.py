"""Groups by ranges of a field of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import GroupByRange
from lutra.model.errors import ParameterInvalid
from lutra.model.values import INT64_MAX, INT64_MIN
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.fields import AggregatedField
from lutra.search.aggregations.grouping import Assigned, Buckets, Chosen, Grouping, SortValues
from lutra.search.aggregations.keys import RowKeys
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.rows import Rows

_WHAT: Final = "group_by_range"


class PlacesGrouping(Grouping):
    """Groups that were listed: they come in this order, those without rows too. Their keys are their places."""

    def __init__(self, name: str, level: Level, keys: Sequence[Any]) -> None:
        super().__init__(name, level)
        self._keys = keys

    def spread(self, rows: Rows) -> int:
        return len(self._keys)

    def choose(self, buckets: Buckets, mine: range, sort_values: SortValues) -> Sequence[Chosen]:
        found = {buckets.columns[0].key(bucket): bucket for bucket in mine}
        return [Chosen(key, found.get(place)) for place, key in enumerate(self._keys)]


def assigned_to_places(rows: Sequence[npt.NDArray[np.int64]], is_once: bool) -> Assigned:
    """``rows[place]`` are those in the group that was listed at ``place``."""
    together = np.concatenate(rows)
    codes = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    return Assigned(together, (RowKeys(codes, len(rows), lambda used: used),), is_once)


class RangeGrouping(PlacesGrouping):
    def __init__(self, name: str, level: Level, field: AggregatedField, ranges: Sequence[tuple[float, float]]) -> None:
        super().__init__(name, level, ranges)
        self._field = field
        self._ranges = ranges

    def spread(self, rows: Rows) -> int:
        return super().spread(rows) * self._field.spread(rows)

    def assign(self, rows: Rows) -> Assigned:
        found = self._field.read(rows)
        chosen = []
        for begin, end in self._ranges:
            rows.search.deadline.check()
            places = np.flatnonzero(_between(found.values, begin, end))
            chosen.append(places if found.rows is None else found.rows[places])
        return assigned_to_places(chosen, found.is_single)


def _between(values: npt.NDArray[Any], begin: float, end: float) -> npt.NDArray[np.bool_]:
    """Which are ``begin`` or more, and less than ``end``; whole numbers are compared as such, not as doubles."""
    if values.dtype.kind == "f":
        return (values >= begin) & (values < end)
    low, high = _whole(begin), _whole(end)
    if low > INT64_MAX:
        return np.zeros(len(values), bool)
    above = values >= max(low, INT64_MIN)
    return above if high > INT64_MAX else above & (values < max(high, INT64_MIN))


def _whole(bound: float) -> int:
    """The least whole number that is not below ``bound``."""
    return math.ceil(bound) if math.isfinite(bound) else INT64_MAX + 1 if bound > 0 else INT64_MIN


@binds_group_by(GroupByRange)
def bind_by_range(wanted: GroupByRange, binder: LevelBinder) -> RangeGrouping:
    field = binder.field(_WHAT, wanted.field, lambda kind: kind.is_number)
    ranges = sorted(checked_ranges(_WHAT, wanted.ranges, limits.GROUP_BY_RANGES_MAX))
    return RangeGrouping(wanted.name, binder.below(wanted), field, ranges)


def checked_ranges(what: str, ranges: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """As they were given. Raises ParameterInvalid for none, too many, and one that is none."""
    if not 1 <= len(ranges) <= most:
        raise ParameterInvalid(f"[{what}] has {len(ranges)} ranges, must have 1 to {most}")
    for begin, end in ranges:
        if not begin < end:
            raise ParameterInvalid(f"[{what}] range from {begin} to {end}: it ends before it begins")
    return [(float(begin), float(end)) for begin, end in ranges]
