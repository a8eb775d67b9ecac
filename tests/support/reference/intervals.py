"""Intervals of numbers, and of clock and calendar: which one a value lies in, and where each begins."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any
from zoneinfo import ZoneInfo

from support.reference.values import LEAST

from lutra.model.aggregations import DateTimeUnit, DateTimeValue, GroupByDateHistogram, GroupByHistogram

Histogram = GroupByHistogram | GroupByDateHistogram
UNIT_MS = {
    DateTimeUnit.MILLISECOND: 1,
    DateTimeUnit.SECOND: 1_000,
    DateTimeUnit.MINUTE: 60_000,
    DateTimeUnit.HOUR: 3_600_000,
}
"""What is the same on every clock."""
MONTHS = {DateTimeUnit.MONTH: 1, DateTimeUnit.QUARTER_YEAR: 3, DateTimeUnit.YEAR: 12}
EPOCH, MONDAY = dt.date(1970, 1, 1), dt.date(1970, 1, 5)


def number_of(value: Any, wanted: Histogram) -> int:
    """Intervals follow each other without gaps."""
    if isinstance(wanted, GroupByHistogram):
        offset = (wanted.offset or 0) % wanted.interval
        if all(type(one) is int for one in (value, wanted.interval, offset)):
            return int((value - offset) // wanted.interval)
        return math.floor((float(value) - offset) / wanted.interval)  # as doubles are: great ones are rounded
    interval, offset_ms = wanted.interval, milliseconds(wanted.offset)
    if interval.unit in UNIT_MS:
        shown_ms = value + utc_offset_ms(wanted.time_zone) - offset_ms
        return int(shown_ms // milliseconds(interval))
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(value - offset_ms))
    day = moment.astimezone(zone_of(wanted.time_zone)).date()
    if interval.unit is DateTimeUnit.DAY:
        return (day - EPOCH).days // interval.value
    if interval.unit is DateTimeUnit.WEEK:
        return (day - MONDAY).days // (7 * interval.value)
    return ((day.year - 1970) * 12 + day.month - 1) // (MONTHS[interval.unit] * interval.value)


def begin_of(number: int, wanted: Histogram, is_whole: bool) -> Any:
    """Of dates in ms since the epoch. ``is_whole``: the values are whole numbers, and so of 64 bits."""
    if isinstance(wanted, GroupByHistogram):
        begin = number * wanted.interval + (wanted.offset or 0) % wanted.interval
        if not is_whole or isinstance(begin, float):
            return float(begin)
        return max(LEAST, begin)
    interval, offset_ms = wanted.interval, milliseconds(wanted.offset)
    if interval.unit in UNIT_MS:
        return number * milliseconds(interval) + offset_ms - utc_offset_ms(wanted.time_zone)
    if interval.unit is DateTimeUnit.DAY:
        day = EPOCH + dt.timedelta(number * interval.value)
    elif interval.unit is DateTimeUnit.WEEK:
        day = MONDAY + dt.timedelta(7 * number * interval.value)
    else:
        months = number * MONTHS[interval.unit] * interval.value
        day = dt.date(1970 + months // 12, months % 12 + 1, 1)
    midnight = dt.datetime.combine(day, dt.time(), zone_of(wanted.time_zone))
    return int(midnight.timestamp()) * 1_000 + offset_ms


def milliseconds(length: DateTimeValue | None) -> int:
    return 0 if length is None else length.value * UNIT_MS[length.unit]


def zone_of(name: str | None) -> dt.tzinfo:
    """``+08:00``, a name, or UTC."""
    if name is None:
        return dt.UTC
    return dt.datetime.strptime(name, "%z").tzinfo or dt.UTC if name[0] in "+-" else ZoneInfo(name)


def utc_offset_ms(name: str | None) -> int:
    """Of a zone whose clocks do not change."""
    offset = zone_of(name).utcoffset(dt.datetime(1970, 1, 1))
    assert offset is not None
    return offset // dt.timedelta(milliseconds=1)
