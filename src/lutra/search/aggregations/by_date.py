"""Groups by intervals of clock and calendar."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import GroupByDateHistogram
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.calendars import Intervals, intervals_of
from lutra.search.aggregations.fields import NS_PER_MS
from lutra.search.aggregations.intervals import (
    IntervalGrouping,
    Numbers,
    bounds_of,
    check_count,
    rows_min_within,
)
from lutra.search.aggregations.zones import zone_of

_WHAT: Final = "group_by_date_histogram"


class DateHistogramGrouping(IntervalGrouping):
    def __init__(self, *common: Any, intervals: Intervals) -> None:
        super().__init__(*common)
        self._intervals = intervals

    def numbers(self, values: npt.NDArray[Any]) -> Numbers:
        return self._intervals.numbers(values // NS_PER_MS)

    def key(self, number: Any) -> int:
        return self._intervals.begin(int(number))

    def between(self, first: Any, last: Any) -> Numbers:
        numbers: list[int] = []
        number = int(first)
        while number <= last and len(numbers) <= limits.GROUPS_MAX:
            numbers.append(number)
            number = self._intervals.after(number)
        return np.array(numbers, np.int64)


@binds_group_by(GroupByDateHistogram)
def bind_by_date(wanted: GroupByDateHistogram, binder: LevelBinder) -> DateHistogramGrouping:
    field = binder.field(_WHAT, wanted.field, lambda kind: kind.is_date, wanted.missing)
    try:
        zone = zone_of(wanted.time_zone)
    except ParameterInvalid as error:
        raise ParameterInvalid(f"[{_WHAT}] {error}") from None
    intervals = intervals_of(_WHAT, zone, wanted.interval, wanted.offset)
    bounds = bounds_of(_WHAT, field, wanted.field_range)
    if bounds is not None and bounds.lower is not None and bounds.upper is not None:
        assert not isinstance(bounds.lower, str)
        assert not isinstance(bounds.upper, str)
        check_count(_WHAT, (bounds.upper - bounds.lower) / NS_PER_MS / intervals.length_ms)
    level = binder.below(wanted)
    binder.check_group_sort(_WHAT, wanted.sort, level)
    rows_min = rows_min_within(_WHAT, wanted.min_doc_count, bounds)
    common = (_WHAT, wanted.name, level, wanted.sort, field, bounds, rows_min)
    return DateHistogramGrouping(*common, intervals=intervals)
