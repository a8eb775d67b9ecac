"""Groups by ranges of a field."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lutra.model import limits
from lutra.model.aggregations import GroupByRange, GroupByResult
from lutra.model.errors import ParameterInvalid
from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter
from lutra.server.protocol.aggregations.registry import speaks_group_by
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.wire import aggregation_pb2 as wire


def ranges_of(ranges: Iterable[wire.Range]) -> tuple[tuple[float, float], ...]:
    """An end that was not sent is open."""
    return tuple(
        (one.begin if one.HasField("begin") else -math.inf, one.end if one.HasField("end") else math.inf)
        for one in ranges
    )


def _parse(name: str, data: bytes, reader: LevelReader) -> GroupByRange:
    body = body_of(wire.GroupByRange, data)
    if len(body.ranges) > limits.GROUP_BY_RANGES_MAX:
        raise ParameterInvalid(f"the count of [ranges] exceeds the max: {limits.GROUP_BY_RANGES_MAX}")
    return GroupByRange(name, field_of(body), ranges_of(body.ranges), *reader.below(body))


def _write(wanted: GroupByRange, result: GroupByResult, writer: LevelWriter) -> wire.GroupByRangeResult:
    items = []
    for group in result.groups:
        begin, end = group.key
        below = writer.below(wanted, group)
        items.append(wire.GroupByRangeResultItem(range_from=begin, range_to=end, row_count=group.rows, **below))
    return wire.GroupByRangeResult(group_by_range_result_items=items)


speaks_group_by(wire.GROUP_BY_RANGE, GroupByRange, _parse, _write)
