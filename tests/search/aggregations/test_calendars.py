"""Intervals of clock and calendar in zones, against the standard library's own clocks."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.model.aggregations import DateTimeUnit, DateTimeValue
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.calendars import intervals_of
from lutra.search.aggregations.zones import zone_of

HOUR_MS = 3_600_000
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # days that began at one o'clock
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",
    "Pacific/Apia",  # a day that was left out
    "Africa/Casablanca",  # several changes a year
    "+08:00",
    "-09:30",
]
UNITS = list(DateTimeUnit)


def tz(name: str) -> dt.tzinfo:
    if name[0] not in "+-":
        return ZoneInfo(name)
    hours, minutes = map(int, name[1:].split(":"))
    return dt.timezone((-1 if name[0] == "-" else 1) * dt.timedelta(hours=hours, minutes=minutes))


def clock(name: str, ms: int) -> dt.datetime:
    """What clocks show, without a zone."""
    shown = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms)
    return shown.astimezone(tz(name)).replace(tzinfo=None)


def label(shown: dt.datetime, unit: DateTimeUnit) -> Any:
    """What tells one interval of a unit from others, but for hours that clocks show twice."""
    match unit:
        case DateTimeUnit.YEAR:
            return shown.year
        case DateTimeUnit.QUARTER_YEAR:
            return shown.year, (shown.month - 1) // 3
        case DateTimeUnit.MONTH:
            return shown.year, shown.month
        case DateTimeUnit.WEEK:
            return shown.isocalendar()[:2]
        case DateTimeUnit.DAY:
            return shown.date()
        case DateTimeUnit.HOUR:
            return shown.date(), shown.hour
        case DateTimeUnit.MINUTE:
            return shown.date(), shown.hour, shown.minute
        case DateTimeUnit.SECOND:
            return shown.replace(microsecond=0)
        case DateTimeUnit.MILLISECOND:
            return shown


def number_of(zone: str, ms: int, interval: DateTimeValue, offset: DateTimeValue | None = None) -> int:
    intervals = intervals_of("x", zone_of(zone), interval, offset)
    return int(intervals.numbers(np.array([ms], np.int64))[0])


# The years in which zones of today change their clocks; and some before the epoch.
INSTANTS = st.integers(0, 60 * 365 * 24 * HOUR_MS) | st.integers(-100 * 365 * 24 * HOUR_MS, 0)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(UNITS), INSTANTS, st.integers(-3 * 24 * HOUR_MS, 3 * 24 * HOUR_MS))
def test_instants_share_an_interval_where_clocks_say_so(zone: str, unit: DateTimeUnit, ms: int, apart: int) -> None:
    intervals = intervals_of("x", zone_of(zone), DateTimeValue(1, unit), None)
    one, other = intervals.numbers(np.array([ms, ms + apart], np.int64)).tolist()
    labels = [label(clock(zone, at), unit) for at in (ms, ms + apart)]
    if unit <= DateTimeUnit.DAY:
        assert (one == other) == (labels[0] == labels[1])
    else:  # those that clocks show twice are two
        assert one != other or labels[0] == labels[1]
        if labels[0] == labels[1] and abs(apart) < HOUR_MS // 2 and zone != "Australia/Lord_Howe":
            assert one == other


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(UNITS), INSTANTS, st.integers(1, 3))
def test_intervals_begin_before_what_lies_in_them(zone: str, unit: DateTimeUnit, ms: int, value: int) -> None:
    intervals = intervals_of("x", zone_of(zone), DateTimeValue(value, unit), None)
    number = int(intervals.numbers(np.array([ms], np.int64))[0])
    begin, end = intervals.begin(number), intervals.begin(intervals.after(number))
    assert begin <= ms
    if zone != "Australia/Lord_Howe" or unit <= DateTimeUnit.DAY:
        assert ms < end
        assert int(intervals.numbers(np.array([begin], np.int64))[0]) == number
        assert int(intervals.numbers(np.array([end], np.int64))[0]) == intervals.after(number)


def test_a_day_of_25_hours_is_one() -> None:
    zone = tz("Europe/Berlin")
    begin = int(dt.datetime(2024, 10, 27, tzinfo=zone).timestamp() * 1_000)
    hours = begin + np.arange(0, 25) * HOUR_MS
    days = intervals_of("x", zone_of("Europe/Berlin"), DateTimeValue(1, DateTimeUnit.DAY), None)
    assert len(set(days.numbers(hours).tolist())) == 1
    assert days.begin(int(days.numbers(hours)[0])) == begin
    assert days.begin(int(days.numbers(hours)[0]) + 1) == begin + 25 * HOUR_MS
    each = intervals_of("x", zone_of("Europe/Berlin"), DateTimeValue(1, DateTimeUnit.HOUR), None)
    assert each.numbers(hours).tolist() == hours.tolist()
    twelve = intervals_of("x", zone_of("Europe/Berlin"), DateTimeValue(12, DateTimeUnit.HOUR), None)
    assert np.unique(twelve.numbers(hours), return_counts=True)[1].tolist() == [13, 12]


@pytest.mark.parametrize("monday", [dt.date(2024, 10, 21), dt.date(2024, 3, 25)])
def test_a_week_with_a_change_is_not_split(monday: dt.date) -> None:
    zone = tz("Europe/Berlin")
    ends = [dt.datetime.combine(monday + dt.timedelta(days=days), dt.time(), zone) for days in (0, 7)]
    first, last = (int(end.timestamp() * 1_000) for end in ends)
    weeks = intervals_of("x", zone_of("Europe/Berlin"), DateTimeValue(1, DateTimeUnit.WEEK), None)
    [number] = set(weeks.numbers(np.arange(first, last, HOUR_MS // 2)).tolist())
    assert (weeks.begin(number), weeks.begin(number + 1)) == (first, last)
    assert (last - first) // HOUR_MS in (167, 169)


def test_a_day_begins_when_it_first_is() -> None:
    # Clocks of São Paulo went from midnight to one o'clock on 4 November 2018.
    begin = int(dt.datetime(2018, 11, 4, 3, tzinfo=dt.UTC).timestamp() * 1_000)
    days = intervals_of("x", zone_of("America/Sao_Paulo"), DateTimeValue(1, DateTimeUnit.DAY), None)
    number = int(days.numbers(np.array([begin]))[0])
    assert days.begin(number) == begin
    assert int(days.numbers(np.array([begin - 1]))[0]) == number - 1


@pytest.mark.parametrize(
    ("interval", "offset", "begins"),
    [
        ((1, DateTimeUnit.DAY), (6, DateTimeUnit.HOUR), "2024-05-14T06:00"),
        ((1, DateTimeUnit.DAY), (-1, DateTimeUnit.HOUR), "2024-05-14T23:00"),
        ((1, DateTimeUnit.WEEK), (-1, DateTimeUnit.DAY), "2024-05-12T00:00"),
        ((1, DateTimeUnit.YEAR), (3, DateTimeUnit.MONTH), "2024-04-01T00:00"),
        ((1, DateTimeUnit.YEAR), (-8, DateTimeUnit.MONTH), "2024-05-01T00:00"),
        ((1, DateTimeUnit.MONTH), (14, DateTimeUnit.DAY), "2024-05-15T00:00"),
        ((2, DateTimeUnit.QUARTER_YEAR), None, "2024-01-01T00:00"),
        ((15, DateTimeUnit.MINUTE), (7, DateTimeUnit.MINUTE), "2024-05-15T01:22"),
        ((7, DateTimeUnit.HOUR), None, "2024-05-14T20:00"),
    ],
)
def test_offsets(interval: Any, offset: Any, begins: str) -> None:
    zone = "Europe/Berlin"
    ms = int(dt.datetime(2024, 5, 15, 1, 23, tzinfo=tz(zone)).timestamp() * 1_000)
    shift = None if offset is None else DateTimeValue(*offset)
    intervals = intervals_of("x", zone_of(zone), DateTimeValue(*interval), shift)
    begin = intervals.begin(int(intervals.numbers(np.array([ms]))[0]))
    assert clock(zone, begin).isoformat(timespec="minutes") == begins


@pytest.mark.parametrize(
    "text", ["+8", "+25:00", "+19:00", "+01:60", "Mars/Olympus", "../etc/passwd", "Europe", "x" * 65]
)
def test_zones_that_are_none(text: str) -> None:
    with pytest.raises(ParameterInvalid, match="time_zone"):
        zone_of(text)


@pytest.mark.parametrize(
    ("interval", "offset"),
    [
        ((0, DateTimeUnit.DAY), None),
        ((-1, DateTimeUnit.MONTH), None),
        ((1, DateTimeUnit.DAY), (1, DateTimeUnit.MONTH)),
        ((1, DateTimeUnit.DAY), (4_000, DateTimeUnit.DAY)),
    ],
)
def test_intervals_that_are_none(interval: Any, offset: Any) -> None:
    shift = None if offset is None else DateTimeValue(*offset)
    with pytest.raises(ParameterInvalid, match=r"^\[x\]"):
        intervals_of("x", zone_of(None), DateTimeValue(*interval), shift)
