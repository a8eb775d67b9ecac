"""Groups by queries."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.aggregations import GroupByFilter, GroupByResult
from lutra.model.errors import ParameterInvalid
from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter
from lutra.server.protocol.aggregations.registry import speaks_group_by
from lutra.server.protocol.queries import parse_query
from lutra.server.protocol.queries.parts import body_of
from lutra.server.wire import aggregation_pb2 as wire


def _parse(name: str, data: bytes, reader: LevelReader) -> GroupByFilter:
    body = body_of(wire.GroupByFilter, data)
    if len(body.filters) > limits.GROUP_BY_FILTERS_MAX:
        raise ParameterInvalid(f"the count of [filters] exceeds the max: {limits.GROUP_BY_FILTERS_MAX}")
    return GroupByFilter(name, tuple(map(parse_query, body.filters)), *reader.below(body))


def _write(wanted: GroupByFilter, result: GroupByResult, writer: LevelWriter) -> wire.GroupByFilterResult:
    items = [
        wire.GroupByFilterResultItem(row_count=group.rows, **writer.below(wanted, group)) for group in result.groups
    ]
    return wire.GroupByFilterResult(group_by_filter_result_items=items)


speaks_group_by(wire.GROUP_BY_FILTER, GroupByFilter, _parse, _write)
