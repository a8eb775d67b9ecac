"""What a search's aggregations came to, as pages show it: figures, and bars that lead to the rows they stand for."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from lutra.console.search.aggregating import Wanted
from lutra.console.search.fields import SearchField, SearchFields
from lutra.console.search.values import moment_text
from lutra.model.aggregations import (
    Aggregated,
    Aggregation,
    AggregationResult,
    Avg,
    Count,
    CountResult,
    DateTimeUnit,
    DistinctCount,
    Group,
    GroupBy,
    GroupByDateHistogram,
    GroupByField,
    GroupByGeoDistance,
    GroupByGeoGrid,
    GroupByHistogram,
    GroupByRange,
    GroupByResult,
    Max,
    Min,
    Percentiles,
    PercentilesResult,
    Sum,
    ValueResult,
)
from lutra.model.indexes import FieldType
from lutra.search.aggregations.calendars import Intervals, intervals_of
from lutra.search.aggregations.zones import zone_of

Text = Callable[..., str]
"""Gives a message in the language of a page: `lutra.console.request.ConsoleRequest.text`."""
Condition = dict[str, Any]
"""A part of a form's conditions."""

WIDTH: Final = 640
HEIGHT: Final = 120
"""Of the picture of a histogram."""
_BARS_MAX: Final = 300
"""Of a histogram; what comes later is told to be left out."""
_COLUMN_MIN: Final = 1.5
_GAP: Final = 0.15


@dataclass(frozen=True, slots=True)
class Figure:
    """One aggregation. ``values``: names and values as text; a single one has no name. Not ``is_exact``: estimated."""

    title: str
    values: tuple[tuple[str, str], ...]
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Bar:
    """One group. ``length``: of the longest, 0 to 1; ``share``: of the rows that match, 0 to 1.

    ``condition``: what leaves only its rows, where a form can say that. ``offset`` and ``width``: its place in the
    picture of a histogram, 0 to 1.
    """

    label: str
    rows: int
    length: float
    share: float
    condition: Condition | None
    below: tuple[Figure | Chart, ...] = ()
    offset: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One group-by. ``is_histogram``: its groups follow one another on a line."""

    title: str
    bars: tuple[Bar, ...]
    is_histogram: bool = False
    is_exact: bool = True
    left_out: int = 0

    @property
    def columns(self) -> tuple[tuple[float, float, float, float, str], ...]:
        """Of a histogram's picture: x, y, width and height of each, and what it says."""
        return tuple(
            (
                round(bar.offset * WIDTH, 2),
                round(HEIGHT * (1 - bar.length), 2),
                round(max(_COLUMN_MIN, bar.width * WIDTH * (1 - _GAP)), 2),
                round(HEIGHT * bar.length, 2),
                f"{bar.label}: {bar.rows:,}",
            )
            for bar in self.bars
        )


def charts_of(
    aggregated: Aggregated, wanted: Wanted, total: int, fields: SearchFields, text: Text
) -> tuple[Figure | Chart, ...]:
    """In the order in which they were asked for; ``total``: how many rows match."""
    return _Maker(fields, total, text).level(aggregated.aggregations, aggregated.group_bys, wanted.asked)


class _Maker:
    def __init__(self, fields: SearchFields, total: int, text: Text) -> None:
        self._fields = fields
        self._total = total
        self._text = text

    def level(
        self,
        metrics: dict[str, AggregationResult],
        group_bys: dict[str, GroupByResult],
        asked: Sequence[Aggregation | GroupBy],
    ) -> tuple[Figure | Chart, ...]:
        made: list[Figure | Chart] = []
        for one in asked:
            if one.name in group_bys:
                made.append(self._chart(one, group_bys[one.name]))
            elif one.name in metrics:
                made.append(self._figure(one, metrics[one.name]))
        return tuple(made)

    def _field(self, name: str) -> SearchField:
        found = self._fields.known(name)
        assert found is not None
        return found

    # --- figures ------------------------------------------------------------------------------------------------

    def _figure(self, asked: Any, result: AggregationResult) -> Figure:
        title = self._title_of_metric(asked)
        is_date = not isinstance(asked, Count | DistinctCount) and self._field(asked.field).kind.is_date
        if isinstance(result, CountResult):
            return Figure(title, (("", f"{result.value:,}"),), result.is_exact)
        if isinstance(result, PercentilesResult):
            values = tuple((f"{at:g} %", _value_text(value, is_date)) for at, value in result.items)
            return Figure(title, values, result.is_exact)
        assert isinstance(result, ValueResult)
        return Figure(title, (("", _value_text(result.value, is_date)),))

    def _title_of_metric(self, asked: Aggregation) -> str:
        text = self._text
        match asked:
            case Count(_, "*"):
                return text("Rows")
            case Count(_, field):
                return text("Values of {field}", field=field)
            case DistinctCount(_, field):
                return text("Different values of {field}", field=field)
            case Sum(_, field):
                return text("Sum of {field}", field=field)
            case Avg(_, field):
                return text("Average of {field}", field=field)
            case Min(_, field):
                return text("Least {field}", field=field)
            case Max(_, field):
                return text("Greatest {field}", field=field)
            case Percentiles(_, field):
                return text("Percentiles of {field}", field=field)
        raise AssertionError(asked)

    # --- groups -------------------------------------------------------------------------------------------------

    def _chart(self, asked: Any, result: GroupByResult) -> Chart:
        field = self._field(asked.field)
        groups = result.groups[:_BARS_MAX]
        most = max((group.rows for group in groups), default=0)
        of_group, is_line = _groups_of(asked, field, self._text)
        below = (*asked.aggregations, *asked.group_bys)
        bars = []
        for group in groups:
            told = of_group(group.key)
            condition = told.condition
            if condition is not None and field.space:
                condition = {"group": "all", "within": field.space, "parts": [condition]}
            inner = self.level(group.aggregations, group.group_bys, below)
            bars.append(_bar(group, told, most, self._total, condition, inner))
        if is_line:
            bars = _placed(bars, [of_group(group.key) for group in groups])
        title = self._text("Rows by {field}", field=asked.field)
        return Chart(title, tuple(bars), is_line, result.is_exact, len(result.groups) - len(groups))


@dataclass(frozen=True, slots=True)
class _Told:
    """What a group's key says. ``start`` and ``end``: on a line."""

    label: str
    condition: Condition | None
    start: float = 0.0
    end: float = 0.0


def _bar(
    group: Group,
    told: _Told,
    most: int,
    total: int,
    condition: Condition | None,
    below: tuple[Figure | Chart, ...],
) -> Bar:
    length = group.rows / most if most else 0.0
    share = min(1.0, group.rows / total) if total > 0 else 0.0
    return Bar(told.label, group.rows, length, share, condition, below)


def _placed(bars: list[Bar], told: list[_Told]) -> list[Bar]:
    """Along a line from the first to the last."""
    if not bars:
        return bars
    first, last = told[0].start, told[-1].end
    whole = last - first
    if not 0 < whole < math.inf:
        return bars
    return [
        Bar(
            bar.label,
            bar.rows,
            bar.length,
            bar.share,
            bar.condition,
            bar.below,
            (one.start - first) / whole,
            (one.end - one.start) / whole,
        )
        for bar, one in zip(bars, told, strict=True)
    ]


def _groups_of(asked: Any, field: SearchField, text: Text) -> tuple[Callable[[Any], _Told], bool]:
    """What keys of a group-by say, and whether groups follow one another on a line."""
    name = field.name
    match asked:
        case GroupByField():
            return lambda key: _by_value(key, field, text), False
        case GroupByRange():
            return lambda key: _by_range(name, *key), False
        case GroupByHistogram():
            return lambda key: _by_interval(name, key, asked.interval), True
        case GroupByDateHistogram():
            intervals = intervals_of("date", zone_of(asked.time_zone), asked.interval, None)
            return lambda key: _by_date(name, int(key), intervals, asked), True
        case GroupByGeoDistance():
            return lambda key: _by_distance(name, key, asked), False
        case GroupByGeoGrid():
            return lambda key: _by_cell(name, key), False
    raise AssertionError(asked)


def _by_value(key: str, field: SearchField, text: Text) -> _Told:
    value: Any = key
    if field.schema.type is FieldType.BOOLEAN:
        value = key == "true"
    elif field.kind.is_date:
        value = moment_text(int(float(key)))
        return _Told(value or key, None if value is None else _is(field.name, value))
    return _Told(key or text("(empty)"), _is(field.name, value) if value != "" else None)


def _is(name: str, value: Any) -> Condition:
    return {"field": name, "op": "is", "value": value}


def _between(name: str, low: Any, high: Any) -> Condition:
    """From the first on, below the second; None leaves a side open."""
    parts = [
        {"field": name, "op": op, "value": value} for op, value in (("from", low), ("below", high)) if value is not None
    ]
    return parts[0] if len(parts) == 1 else {"group": "all", "parts": parts}


def _by_range(name: str, low: float, high: float) -> _Told:
    if math.isinf(low):
        return _Told(f"< {_number(high)}", _between(name, None, _plain(high)))
    if math.isinf(high):
        return _Told(f"≥ {_number(low)}", _between(name, _plain(low), None))
    return _Told(f"{_number(low)} – {_number(high)}", _between(name, _plain(low), _plain(high)))


def _by_interval(name: str, key: float, interval: float) -> _Told:
    end = key + interval
    return _Told(f"{_number(key)} – {_number(end)}", _between(name, _plain(key), _plain(end)), float(key), float(end))


def _by_date(name: str, start_ms: int, intervals: Intervals, asked: GroupByDateHistogram) -> _Told:
    number = int(intervals.numbers(np.array([start_ms], np.int64))[0])
    end_ms = intervals.begin(intervals.after(number))
    low, high = moment_text(start_ms), moment_text(end_ms)
    condition = None if low is None or high is None else _between(name, low, high)
    return _Told(_date_label(start_ms, asked), condition, float(start_ms), float(end_ms))


def _date_label(start_ms: int, asked: GroupByDateHistogram) -> str:
    """As short as the unit lets it be, by the clocks of the zone."""
    try:
        local = dt.datetime.fromtimestamp(start_ms / 1_000, dt.UTC).astimezone(_zone(asked.time_zone))
    except (ValueError, OverflowError, OSError):
        return str(start_ms)
    unit = asked.interval.unit
    if unit is DateTimeUnit.QUARTER_YEAR:
        return f"{local:%Y} Q{(local.month + 2) // 3}"
    formats = {DateTimeUnit.YEAR: "%Y", DateTimeUnit.MONTH: "%Y-%m"}
    days = (DateTimeUnit.WEEK, DateTimeUnit.DAY)
    return local.strftime(formats.get(unit, "%Y-%m-%d" if unit in days else "%Y-%m-%d %H:%M"))


def _zone(text: str | None) -> dt.tzinfo:
    if text is None or text in ("Z", "UTC"):
        return dt.UTC
    if text[0] in "+-":
        minutes = int(text[1:3]) * 60 + int(text[4:6])
        return dt.timezone(dt.timedelta(minutes=-minutes if text[0] == "-" else minutes))
    return ZoneInfo(text)


def _by_distance(name: str, key: tuple[float, float], asked: GroupByGeoDistance) -> _Told:
    low, high = key
    point = f"{asked.origin.lat},{asked.origin.lon}"
    within: Condition = {"field": name, "op": "around", "value": {"point": point, "metres": high}}
    condition = within
    if low > 0:
        nearer = {"field": name, "op": "around", "value": {"point": point, "metres": low}}
        condition = {"group": "all", "parts": [within, {"group": "none", "parts": [nearer]}]}
    return _Told(f"{_number(low)} – {_number(high)} m", condition)


def _by_cell(name: str, cell: Any) -> _Told:
    corners = {
        "top_left": f"{cell.top_left.lat},{cell.top_left.lon}",
        "bottom_right": f"{cell.bottom_right.lat},{cell.bottom_right.lon}",
    }
    return _Told(cell.hash, {"field": name, "op": "box", "value": corners})


def _plain(value: float) -> int | float:
    """Whole numbers as such."""
    return int(value) if float(value).is_integer() and abs(value) < 1e15 else value


def _number(value: float) -> str:
    """As a bound: years have no commas."""
    return str(_plain(value)) if float(value).is_integer() else f"{value:.6g}"


def _value_text(value: float | None, is_date: bool) -> str:
    if value is None:
        return "–"
    if is_date:
        return moment_text(round(value)) or f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.6g}"
