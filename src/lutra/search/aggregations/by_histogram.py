"""Groups by intervals of a field of numbers."""

from __future__ import annotations

import math
import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import GroupByHistogram
from lutra.model.errors import ParameterInvalid
from lutra.model.values import INT64_MAX, INT64_MIN
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.intervals import (
    IntervalGrouping,
    Numbers,
    bounds_of,
    check_count,
    rows_min_within,
)

_WHAT: Final = "group_by_histogram"
_MOST: Final = sys.float_info.max


class HistogramGrouping(IntervalGrouping):
    """Whole numbers stay whole where interval and offset are. Raises ParameterInvalid for a value that is more
    intervals away from 0 than a double holds."""

    def __init__(self, *common: Any, interval: int | float, offset: int | float) -> None:
        super().__init__(*common)
        self._interval = interval
        self._offset = offset
        self._is_whole = isinstance(interval, int) and isinstance(offset, int) and self._field.is_whole

    def numbers(self, values: npt.NDArray[Any]) -> Numbers:
        if not self._is_whole:
            with np.errstate(over="ignore"):
                number: Numbers = np.floor((values.astype(np.float64) - self._offset) / self._interval)
            if not np.isfinite(number).all():
                raise ParameterInvalid(
                    f"[{_WHAT}] interval is {self._interval}, too small for values of field: {self._field.schema.name}"
                )
            return number + 0.0  # -0.0 becomes 0.0
        # The offset is less than the interval. It is not subtracted: the least numbers would leave 64 bits.
        quotient = values // self._interval
        return quotient - (values - quotient * self._interval < self._offset)

    def key(self, number: Any) -> int | float:
        if self._is_whole:
            return max(INT64_MIN, min(INT64_MAX, int(number) * int(self._interval) + int(self._offset)))
        return max(-_MOST, min(_MOST, float(number * self._interval + self._offset)))

    def between(self, first: Any, last: Any) -> Numbers:
        end = min(last, first + limits.GROUPS_MAX)
        return np.arange(first, end + 1, dtype=np.int64 if self._is_whole else np.float64)


@binds_group_by(GroupByHistogram)
def bind_by_histogram(wanted: GroupByHistogram, binder: LevelBinder) -> HistogramGrouping:
    field = binder.field(_WHAT, wanted.field, lambda kind: kind.is_number, wanted.missing)
    interval = _number("interval", wanted.interval)
    if interval <= 0:
        raise ParameterInvalid(f"[{_WHAT}] interval is {interval}, must be greater than 0")
    offset = 0 if wanted.offset is None else _number("offset", wanted.offset) % interval
    bounds = bounds_of(_WHAT, field, wanted.field_range)
    if bounds is not None and bounds.lower is not None and bounds.upper is not None:
        assert not isinstance(bounds.lower, str)
        assert not isinstance(bounds.upper, str)
        check_count(_WHAT, (bounds.upper - bounds.lower) / interval)
    level = binder.below(wanted)
    binder.check_group_sort(_WHAT, wanted.sort, level)
    rows_min = rows_min_within(_WHAT, wanted.min_doc_count, bounds)
    common = (_WHAT, wanted.name, level, wanted.sort, field, bounds, rows_min)
    return HistogramGrouping(*common, interval=interval, offset=offset)


def _number(what: str, value: object) -> int | float:
    """Raises ParameterInvalid for what is none, or is infinite, or a whole number that no LONG holds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterInvalid(f"[{_WHAT}] {what} must be a finite number, not {value!r}")
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        raise ParameterInvalid(f"[{_WHAT}] {what} must be a number of 64 bits, not {value}")
    return value
