"""What is said of many rows at once: aggregates of columns, and columns' values sorted into groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from lutra.instance.encoding import encode_float, moment_at
from lutra.instance.field import Field, Kind
from lutra.model.aggregations import (
    Aggregation,
    AggregationResult,
    Avg,
    CompositeSource,
    Count,
    CountResult,
    DateTimeUnit,
    DateTimeValue,
    DistinctCount,
    GroupByDateHistogram,
    GroupByField,
    GroupByHistogram,
    GroupKeySort,
    Max,
    Min,
    Percentiles,
    PercentilesResult,
    Sum,
    ValueResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.suggestions import suggestion

Unit = Literal["year", "quarter", "month", "week", "day", "hour", "minute", "second"]
AggregateKind = Literal["count", "avg", "sum", "min", "max", "distinct", "percentiles"]

_UNITS: Final[dict[str, DateTimeUnit]] = {
    "year": DateTimeUnit.YEAR,
    "quarter": DateTimeUnit.QUARTER_YEAR,
    "month": DateTimeUnit.MONTH,
    "week": DateTimeUnit.WEEK,
    "day": DateTimeUnit.DAY,
    "hour": DateTimeUnit.HOUR,
    "minute": DateTimeUnit.MINUTE,
    "second": DateTimeUnit.SECOND,
}
_NUMBERS: Final = frozenset({Kind.INT, Kind.FLOAT})
_SCALARS: Final = _NUMBERS | {Kind.STR, Kind.BOOL, Kind.DATETIME}
_TAKES: Final[dict[AggregateKind, frozenset[Kind]]] = {
    "count": _SCALARS | {Kind.GEO},
    "avg": _NUMBERS,
    "sum": _NUMBERS,
    "min": _NUMBERS | {Kind.DATETIME},
    "max": _NUMBERS | {Kind.DATETIME},
    "distinct": _SCALARS,
    "percentiles": _NUMBERS | {Kind.DATETIME},
}
_SIMPLE: Final[dict[str, type[Avg | Sum | Min | Max | DistinctCount]]] = {
    "avg": Avg,
    "sum": Sum,
    "min": Min,
    "max": Max,
    "distinct": DistinctCount,
}


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number, or a few, about the values of a column; made by :class:`Column`, as in ``col("price").avg()``."""

    kind: AggregateKind
    column: str
    percentiles: tuple[float, ...] = ()

    def bound(self, name: str, field: Field) -> Aggregation:
        """As a search takes it. Raises ParameterInvalid where ``field`` does not go with it."""
        if field.kind not in _TAKES[self.kind]:
            raise ParameterInvalid(f"{self.kind}() does not apply to field {field.name!r}, which is {field.kind.value}")
        if self.kind == "count":
            return Count(name, field.name)
        if self.kind == "percentiles":
            return Percentiles(name, field.name, self.percentiles)
        return _SIMPLE[self.kind](name, field.name)

    def column_of(self, field: Field, name: str) -> Field | None:
        """What is known of its values; None: that they are of no one kind."""
        if self.kind == "percentiles":
            return None
        kind = {"count": Kind.INT, "distinct": Kind.INT, "avg": Kind.FLOAT}.get(self.kind, field.kind)
        return Field(name, kind)

    def value(self, result: AggregationResult, field: Field) -> Any:
        """What came of it, in Python's terms; None where there was no value."""
        match result:
            case ValueResult(_, value):
                return _value(value, field, is_whole=self.kind != "avg")
            case CountResult(_, value):
                return value
            case PercentilesResult(_, items):
                return {percentile: _value(value, field, is_whole=False) for percentile, value in items}
        raise AssertionError(result)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Intervals of a column's values; made by :meth:`Column.every`."""

    column: str
    interval: float | Unit
    count: int = 1
    time_zone: str | None = None


def interval_of(column: str, interval: object, count: int, time_zone: str | None) -> Bucket:
    """Raises ParameterInvalid, TypeError where it makes no sense of any column."""
    if isinstance(interval, str):
        if interval not in _UNITS:
            known = ", ".join(get_args(Unit))
            likely = suggestion(interval, _UNITS)
            raise ParameterInvalid(
                f"col({column!r}).every() takes a number or one of {known}, not {interval!r}{likely}"
            )
        if type(count) is not int or count < 1:
            raise ParameterInvalid(f"col({column!r}).every(): count is an int of at least 1, not {count!r}")
        return Bucket(column, interval, count, time_zone)  # type: ignore[arg-type]
    if count != 1 or time_zone is not None:
        raise ParameterInvalid(f"col({column!r}).every(): count and time_zone go with units of time")
    size = interval if type(interval) is int else encode_float(interval)
    if not size > 0:
        raise ParameterInvalid(f"col({column!r}).every() takes a number above 0, not {interval!r}")
    return Bucket(column, size)


def key_field(key: Bucket | str, field: Field) -> Field:
    """What is known of the keys of groups: intervals of whole numbers need not begin at whole numbers."""
    if isinstance(key, Bucket) and isinstance(key.interval, float) and not key.interval.is_integer():
        return replace(field, kind=Kind.FLOAT) if field.kind is Kind.INT else field
    return field


def group_source(key: Bucket | str, name: str, field: Field) -> CompositeSource:
    """What rows are grouped by, as a search takes it. Raises ParameterInvalid where ``field`` does not go with it."""
    kind, order = field.kind, (GroupKeySort(),)
    if isinstance(key, Bucket) and isinstance(key.interval, str):
        if kind is not Kind.DATETIME:
            raise ParameterInvalid(f"field {field.name!r} is {kind.value}, so there is no {key.interval} of it")
        interval = DateTimeValue(key.count, _UNITS[key.interval])
        return GroupByDateHistogram(name, field.name, interval, key.time_zone, sort=order)
    if isinstance(key, Bucket):
        assert not isinstance(key.interval, str)
        if kind not in _NUMBERS:
            raise ParameterInvalid(f"field {field.name!r} is {kind.value}: intervals of numbers do not apply")
        is_whole = kind is Kind.INT and key.interval == int(key.interval)
        return GroupByHistogram(name, field.name, int(key.interval) if is_whole else key.interval, sort=order)
    if kind not in _SCALARS:
        raise ParameterInvalid(f"rows cannot be grouped by field {field.name!r}, which is {kind.value}")
    return GroupByField(name, field.name, sort=order)


def group_key(key: str | None, field: Field) -> Any:
    """What a group has in common, in Python's terms; None of rows without the field."""
    if key is None:
        return None
    match field.kind:
        case Kind.BOOL:
            return key == "true"
        case Kind.INT:
            return int(key)
        case Kind.FLOAT:
            return float(key)
        case Kind.DATETIME:
            return moment_at(round(float(key) * 1_000))
    return key


def _value(value: float | None, field: Field, *, is_whole: bool) -> Any:
    if value is None:
        return None
    if field.kind is Kind.DATETIME:
        return moment_at(round(value * 1_000))
    return int(value) if is_whole and field.kind is Kind.INT else float(value)
