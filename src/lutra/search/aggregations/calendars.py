"""Intervals of clock and calendar: which one an instant lies in, and when each begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.aggregations import DateTimeUnit, DateTimeValue
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.zones import FixedZone, Millis, Zone

Numbers = npt.NDArray[np.int64]
"""int64[n]: of intervals, in their order."""

DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_UNIT_MS: Final = {
    DateTimeUnit.WEEK: 7 * DAY_MS,
    DateTimeUnit.DAY: DAY_MS,
    DateTimeUnit.HOUR: _HOUR_MS,
    DateTimeUnit.MINUTE: 60_000,
    DateTimeUnit.SECOND: 1_000,
    DateTimeUnit.MILLISECOND: 1,
}
_MONTHS: Final = {DateTimeUnit.YEAR: 12, DateTimeUnit.QUARTER_YEAR: 3, DateTimeUnit.MONTH: 1}
_MONTH_MS: Final = 30.436875 * DAY_MS
_MONDAY: Final = 4 * DAY_MS
"""The first Monday after the epoch."""
_OFFSET_MS_MAX: Final = 3_660 * DAY_MS


class Intervals(ABC):
    """One after the other, without gaps."""

    length_ms: float
    """About what one takes."""

    @abstractmethod
    def numbers(self, instants: Millis) -> Numbers:
        """The interval of each."""

    @abstractmethod
    def begin(self, number: int) -> int:
        """When it begins, in ms since the epoch."""

    @abstractmethod
    def after(self, number: int) -> int:
        """The number of the next one."""


class _EvenIntervals(Intervals):
    """All as long, by the clocks of a zone."""

    length_ms: int

    def __init__(self, zone: Zone, length_ms: int, offset_ms: int) -> None:
        self.length_ms = length_ms
        self._zone = zone
        self._offset_ms = offset_ms

    def _shown(self, instants: Millis) -> Millis:
        """What clocks show, less the offset."""
        local = self._zone.local(instants)
        return local - self._offset_ms if self._offset_ms else local


class ClockIntervals(_EvenIntervals):
    """Parts of an hour. An hour that clocks show twice is two: their numbers are the instants at which they begin."""

    def numbers(self, instants: Millis) -> Numbers:
        shown = self._shown(instants)
        begin = shown // self.length_ms * self.length_ms
        begin += instants - shown
        return begin

    def begin(self, number: int) -> int:
        return number

    def after(self, number: int) -> int:
        after = number + self.length_ms
        if isinstance(self._zone, FixedZone):
            return after
        begin = int(self.numbers(np.array([after]))[0])
        return begin if begin > number else after


class LocalIntervals(_EvenIntervals):
    """So many hours, days or weeks of the clocks of a zone, whatever time they take: a day of 25 hours is one."""

    def numbers(self, instants: Millis) -> Numbers:
        return self._shown(instants) // self.length_ms

    def begin(self, number: int) -> int:
        return self._zone.instant(number * self.length_ms + self._offset_ms)

    def after(self, number: int) -> int:
        return number + 1


class MonthIntervals(Intervals):
    """So many months, counted from January 1970 on."""

    def __init__(self, zone: Zone, months: int, offset_months: int, offset_ms: int) -> None:
        self.length_ms = months * _MONTH_MS
        self._zone = zone
        self._months = months
        self._offset_months = offset_months
        self._offset_ms = offset_ms

    def numbers(self, instants: Millis) -> Numbers:
        days = (self._zone.local(instants) - self._offset_ms) // DAY_MS
        return (_months_of(days) - self._offset_months) // self._months

    def begin(self, number: int) -> int:
        month = number * self._months + self._offset_months
        day = int(np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64))
        return self._zone.instant(day * DAY_MS + self._offset_ms)

    def after(self, number: int) -> int:
        return number + 1


def _months_of(days: Numbers) -> Numbers:
    """From days since the epoch to months since then; by a table where there are more of the former than it has."""
    if not len(days):
        return days
    first, last = int(days.min()), int(days.max())
    if last - first >= len(days):
        return _plain_months_of(days)
    months: Numbers = _plain_months_of(np.arange(first, last + 1))[days - first]
    return months


def _plain_months_of(days: Numbers) -> Numbers:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def intervals_of(what: str, zone: Zone, interval: DateTimeValue, offset: DateTimeValue | None) -> Intervals:
    """Raises ParameterInvalid."""
    if interval.value < 1:
        raise ParameterInvalid(f"[{what}] interval is {interval.value}, must be 1 or more")
    months = _MONTHS.get(interval.unit)
    offset_ms = 0 if offset is None else offset.value * _UNIT_MS.get(offset.unit, 0)
    if abs(offset_ms) > _OFFSET_MS_MAX:
        raise ParameterInvalid(f"[{what}] offset must not exceed ten years")
    if months is not None:
        offset_months = 0 if offset is None else offset.value * _MONTHS.get(offset.unit, 0)
        length = interval.value * months
        return MonthIntervals(zone, length, offset_months % length, offset_ms)
    if offset is not None and offset.unit in _MONTHS:
        raise ParameterInvalid(f"[{what}] an offset of months goes with intervals of months only")
    length_ms = interval.value * _UNIT_MS[interval.unit]
    if interval.unit is DateTimeUnit.WEEK:
        offset_ms += _MONDAY
    kind: Any = LocalIntervals if _HOUR_MS % length_ms else ClockIntervals
    result: Intervals = kind(zone, length_ms, offset_ms % length_ms)
    return result
