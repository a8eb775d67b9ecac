"""What group-bys of intervals have in common: numbers of intervals as keys, and intervals without rows."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import GroupSorter
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Operand, Range
from lutra.scalars.meaning import Interval, interval_of
from lutra.search.aggregations.by_field import row_keys, rows_min_of
from lutra.search.aggregations.fields import AggregatedField
from lutra.search.aggregations.grouping import Assigned, Buckets, Chosen, Grouping, SortValues, ordered
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.rows import Rows

Numbers = npt.NDArray[Any]
"""int64[n] or float64[n]: numbers of intervals, ascending as these are."""
FieldRange = tuple[Operand | None, Operand | None]


class IntervalGrouping(Grouping):
    """Values of a field, within bounds, by the interval that each lies in."""

    def __init__(
        self,
        what: str,
        name: str,
        level: Level,
        sort: Sequence[GroupSorter],
        field: AggregatedField,
        bounds: Interval | None,
        rows_min: int,
    ) -> None:
        super().__init__(name, level, sort)
        self._what = what
        self._field = field
        self._bounds = bounds
        self._rows_min = rows_min

    @abstractmethod
    def numbers(self, values: npt.NDArray[Any]) -> Numbers:
        """The interval of each value, none of which is infinite."""

    @abstractmethod
    def key(self, number: Any) -> int | float:
        """Where an interval begins, as results show it."""

    @abstractmethod
    def between(self, first: Any, last: Any) -> Numbers:
        """All intervals from one to another; some GROUPS_MAX of them are enough, where there are more."""

    def key_text(self, key: Any) -> str:
        return repr(self.key(key))

    def spread(self, rows: Rows) -> int:
        return self._field.spread(rows)

    def assign(self, rows: Rows) -> Assigned:
        found = self._field.read(rows)
        if found.values.dtype.kind == "f":
            found = found.kept(np.isfinite(found.values))
        if self._bounds is not None:
            found = found.kept(_within(found.values, self._bounds))
        return Assigned(found.rows, (row_keys(self.numbers(found.values)),), found.is_single)

    def choose(self, buckets: Buckets, mine: range, sort_values: SortValues) -> Sequence[Chosen]:
        column, rows = buckets.columns[0], buckets.rows[mine.start : mine.stop]
        assert not isinstance(column.table, list)
        numbers = column.table[column.codes[mine.start : mine.stop]]
        if not self._rows_min:
            empty = np.setdiff1d(self._all(numbers), numbers)
            numbers, rows = np.concatenate([numbers, empty]), np.concatenate([rows, np.zeros(len(empty), np.int64)])
        order = ordered(self.sort, numbers, rows, sort_values)
        order = order[rows[order] >= self._rows_min]
        if len(order) > limits.GROUPS_MAX:
            raise ParameterInvalid(
                f"[{self._what}] name: {self.name} has more than {limits.GROUPS_MAX} groups: give a field_range, "
                "a greater interval, or a min_doc_count"
            )
        return [
            Chosen(self.key(numbers[at].item()), mine.start + at if at < len(mine) else None) for at in order.tolist()
        ]

    def _all(self, numbers: Numbers) -> Numbers:
        """Intervals within the bounds, or where there are none, between those that have rows."""
        ends = []
        for bound, own in zip(self._ends(), (numbers[:1], numbers[-1:]), strict=True):
            if bound is not None:
                ends.append(self.numbers(np.array([bound]))[0].item())
            elif len(own):
                ends.append(own[0].item())
        return self.between(*ends) if len(ends) == 2 else numbers

    def _ends(self) -> tuple[Any, Any]:
        """The values that the bounds let pass first and last; None where they are open."""
        if self._bounds is None:
            return None, None
        lower: Any = self._bounds.lower
        if lower is not None and not self._bounds.include_lower and isinstance(lower, int):
            lower += 1
        return lower, self._bounds.upper


def _within(values: npt.NDArray[Any], bounds: Interval) -> npt.NDArray[np.bool_]:
    passes = np.ones(len(values), bool)
    if bounds.lower is not None:
        passes &= values >= bounds.lower if bounds.include_lower else values > bounds.lower
    if bounds.upper is not None:
        passes &= values <= bounds.upper
    return passes


def bounds_of(what: str, field: AggregatedField, field_range: FieldRange | None) -> Interval | None:
    """The values that a ``field_range`` lets pass; None where there is none. Raises ParameterInvalid."""
    if field_range is None or field_range == (None, None):
        return None
    lower, upper = field_range
    bounds = interval_of(field.reader, Range(field.schema.name, lower, upper))
    if bounds is None or (bounds.lower is not None and bounds.upper is not None and bounds.lower > bounds.upper):  # type: ignore[operator]
        raise ParameterInvalid(f"[{what}] field_range of field: {field.schema.name} is empty: {lower!r} to {upper!r}")
    lower_end, upper_end = (None if isinstance(end, float) and math.isinf(end) else end for end in _ends_of(bounds))
    return Interval(lower_end, upper_end, bounds.include_lower, bounds.include_upper)


def _ends_of(bounds: Interval) -> tuple[Any, Any]:
    return bounds.lower, bounds.upper


def check_count(what: str, count: float) -> None:
    """Raises ParameterInvalid where a field_range has more intervals than an answer may."""
    if count > limits.GROUPS_MAX:
        raise ParameterInvalid(
            f"[{what}] (field_range.max - field_range.min) / interval must not exceed {limits.GROUPS_MAX}"
        )


def rows_min_within(what: str, count: int | None, bounds: Interval | None) -> int:
    """Of groups with fewer rows nothing is said. Raises ParameterInvalid."""
    is_bounded = bounds is not None and bounds.lower is not None and bounds.upper is not None
    return rows_min_of(what, count, 0 if is_bounded else 1)
