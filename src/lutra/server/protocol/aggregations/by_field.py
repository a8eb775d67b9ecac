"""Groups by the values of a field."""

from __future__ import annotations

from lutra.model.aggregations import GroupByField, GroupByResult
from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter
from lutra.server.protocol.aggregations.registry import speaks_group_by
from lutra.server.protocol.aggregations.sorts import parse_group_sort
from lutra.server.protocol.queries.parts import body_of, field_of
from lutra.server.wire import aggregation_pb2 as wire


def _parse(name: str, data: bytes, reader: LevelReader) -> GroupByField:
    body = body_of(wire.GroupByField, data)
    return GroupByField(
        name,
        field_of(body),
        body.size if body.HasField("size") else None,
        parse_group_sort(body.sort),
        body.min_doc_count if body.HasField("min_doc_count") else None,
        *reader.below(body),
    )


def _write(wanted: GroupByField, result: GroupByResult, writer: LevelWriter) -> wire.GroupByFieldResult:
    items = [
        wire.GroupByFieldResultItem(key=group.key, row_count=group.rows, **writer.below(wanted, group))
        for group in result.groups
    ]
    return wire.GroupByFieldResult(group_by_field_result_items=items)


speaks_group_by(wire.GROUP_BY_FIELD, GroupByField, _parse, _write)
