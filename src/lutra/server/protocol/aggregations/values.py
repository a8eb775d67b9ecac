"""Aggregations of a field's values."""

from __future__ import annotations

import math
from typing import TypeVar

from lutra.kernels.plainbuffer import encode_variant
from lutra.model import limits
from lutra.model.aggregations import (
    Avg,
    Count,
    CountResult,
    DistinctCount,
    Max,
    Min,
    Percentiles,
    PercentilesResult,
    Sum,
    ValueResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.values import INT64_MAX, INT64_MIN, Value
from lutra.server.protocol.aggregations.registry import ParseAggregation, WriteAggregation, speaks_aggregation
from lutra.server.protocol.parsing import parse_value
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.wire import aggregation_pb2 as wire

Kind = TypeVar("Kind", type[Avg], type[Max], type[Min], type[Sum], type[DistinctCount])


def missing_of(data: bytes, field: str) -> Value | None:
    """What rows without the field count with. Raises ParameterInvalid."""
    return parse_value(data, f"the missing value of field [{field}]") if data else None


def _parse(kind: Kind) -> ParseAggregation:
    def parse(name: str, data: bytes) -> Avg | Max | Min | Sum | DistinctCount:
        body = body_of(wire.FieldAggregation, data)
        return kind(name, field_of(body), missing_of(body.missing, body.field_name))

    return parse


def _write(nothing: float) -> WriteAggregation:
    """``nothing``: what there is where there was no value."""

    def write(result: ValueResult) -> wire.ValueAggregationResult:
        return wire.ValueAggregationResult(value=nothing if result.value is None else _double(result.value))

    return write


def _double(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # of a sum that no double holds
        return math.inf if value > 0 else -math.inf


def _parse_count(name: str, data: bytes) -> Count:
    return Count(name, field_of(body_of(wire.FieldAggregation, data)))


def _write_count(result: CountResult) -> wire.CountAggregationResult:
    return wire.CountAggregationResult(value=result.value)


def _parse_percentiles(name: str, data: bytes) -> Percentiles:
    body = body_of(wire.PercentilesAggregation, data)
    if len(body.percentiles) > limits.PERCENTILES_MAX:
        raise ParameterInvalid(f"the count of [percentiles] exceeds the max: {limits.PERCENTILES_MAX}")
    return Percentiles(name, field_of(body), tuple(body.percentiles), missing_of(body.missing, body.field_name))


def _write_percentiles(result: PercentilesResult) -> wire.PercentilesAggregationResult:
    """As Tablestore has them: by percentile, and of whole numbers and dates without what is behind the point."""
    items = [
        wire.PercentilesAggregationItem(key=key, value=encode_variant(_percentile(value, result.is_whole)))
        for key, value in sorted(result.items, key=lambda item: item[0])
    ]
    return wire.PercentilesAggregationResult(percentiles_aggregation_items=items)


def _percentile(value: float | None, is_whole: bool) -> int | float:
    if value is None:
        return math.nan
    return max(INT64_MIN, min(INT64_MAX, int(value))) if is_whole else float(value)


speaks_aggregation(wire.AGG_AVG, Avg, _parse(Avg), _write(math.nan))
speaks_aggregation(wire.AGG_MAX, Max, _parse(Max), _write(-math.inf))
speaks_aggregation(wire.AGG_MIN, Min, _parse(Min), _write(math.inf))
speaks_aggregation(wire.AGG_SUM, Sum, _parse(Sum), _write(0.0))
speaks_aggregation(wire.AGG_COUNT, Count, _parse_count, _write_count)
speaks_aggregation(wire.AGG_DISTINCT_COUNT, DistinctCount, _parse(DistinctCount), _write_count)
speaks_aggregation(wire.AGG_PERCENTILES, Percentiles, _parse_percentiles, _write_percentiles)
