"""Groups by intervals of a field: of numbers, and of clock and calendar."""

from __future__ import annotations

from lutra.kernels.plainbuffer import encode_variant
from lutra.model.aggregations import (
    DateTimeUnit,
    DateTimeValue,
    GroupByDateHistogram,
    GroupByHistogram,
    GroupByResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.values import Value
from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter
from lutra.server.protocol.aggregations.registry import speaks_group_by
from lutra.server.protocol.aggregations.sorts import parse_group_sort
from lutra.server.protocol.aggregations.values import missing_of
from lutra.server.protocol.parsing import enum_of, parse_value
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.wire import aggregation_pb2 as wire
from lutra.server.wire import times_pb2 as times


def _parse(name: str, data: bytes, reader: LevelReader) -> GroupByHistogram:
    body = body_of(wire.GroupByHistogram, data)
    field = field_of(body)
    return GroupByHistogram(
        name,
        field,
        _number(body.interval, f"the interval of field [{field}]"),
        _number(body.offset, f"the offset of field [{field}]") if body.offset else None,
        missing_of(body.missing_value, field),
        _field_range(body.field_range, field) if body.HasField("field_range") else None,
        body.min_doc_count if body.HasField("min_doc_count") else None,
        parse_group_sort(body.sort),
        *reader.below(body),
    )


def _number(data: bytes, noun: str) -> int | float:
    value = parse_value(data, noun) if data else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterInvalid(f"{noun} must be an integer or a double.")
    return value


def _field_range(message: wire.FieldRange, field: str) -> tuple[Value | None, Value | None]:
    lower, upper = (
        parse_value(data, f"the field_range of field [{field}]") if data else None
        for data in (message.min, message.max)
    )
    return lower, upper


def _write(wanted: GroupByHistogram, result: GroupByResult, writer: LevelWriter) -> wire.GroupByHistogramResult:
    items = [
        wire.GroupByHistogramItem(key=encode_variant(group.key), value=group.rows, **writer.below(wanted, group))
        for group in result.groups
    ]
    return wire.GroupByHistogramResult(group_by_histogra_items=items)


def _parse_dates(name: str, data: bytes, reader: LevelReader) -> GroupByDateHistogram:
    body = body_of(wire.GroupByDateHistogram, data)
    field = field_of(body)
    if not body.HasField("interval"):
        raise ParameterInvalid(f"the date histogram of field [{field}] has no [interval]")
    return GroupByDateHistogram(
        name,
        field,
        _length(body.interval, "interval"),
        body.time_zone or None,
        _length(body.offset, "offset") if body.HasField("offset") else None,
        missing_of(body.missing, field),
        _field_range(body.field_range, field) if body.HasField("field_range") else None,
        body.min_doc_count if body.HasField("min_doc_count") else None,
        parse_group_sort(body.sort),
        *reader.below(body),
    )


def _length(message: times.DateTimeValue, noun: str) -> DateTimeValue:
    return DateTimeValue(message.value, enum_of(DateTimeUnit, message.unit, f"unit of the {noun}"))


def _write_dates(
    wanted: GroupByDateHistogram, result: GroupByResult, writer: LevelWriter
) -> wire.GroupByDateHistogramResult:
    items = [
        wire.GroupByDateHistogramItem(timestamp=group.key, row_count=group.rows, **writer.below(wanted, group))
        for group in result.groups
    ]
    return wire.GroupByDateHistogramResult(group_by_date_histogram_items=items)


speaks_group_by(wire.GROUP_BY_HISTOGRAM, GroupByHistogram, _parse, _write)
speaks_group_by(wire.GROUP_BY_DATE_HISTOGRAM, GroupByDateHistogram, _parse_dates, _write_dates)
