"""Groups by combinations of the groups of several sources."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.aggregations import (
    CompositeSource,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByHistogram,
    GroupByResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter
from lutra.server.protocol.aggregations.registry import speaks_group_by
from lutra.server.protocol.queries.parts import body_of
from lutra.server.wire import aggregation_pb2 as wire


def _parse(name: str, data: bytes, reader: LevelReader) -> GroupByComposite:
    body = body_of(wire.GroupByComposite, data)
    if len(body.sources.group_bys) > limits.COMPOSITE_SOURCES_MAX:
        raise ParameterInvalid(f"the count of [sources] exceeds the max: {limits.COMPOSITE_SOURCES_MAX}")
    return GroupByComposite(
        name,
        tuple(_source(one) for one in body.sources.group_bys),
        body.size if body.HasField("size") else None,
        body.suggested_size if body.HasField("suggested_size") else None,
        body.next_token if body.next_token else None,
        *reader.below(body),
    )


def _source(message: wire.GroupBy) -> CompositeSource:
    if message.type not in (wire.GROUP_BY_FIELD, wire.GROUP_BY_HISTOGRAM, wire.GROUP_BY_DATE_HISTOGRAM):
        raise ParameterInvalid("sources of a composite group by field, by histogram or by date histogram")
    source = LevelReader().group_by(message)
    assert isinstance(source, GroupByField | GroupByHistogram | GroupByDateHistogram)
    return source


def _write(wanted: GroupByComposite, result: GroupByResult, writer: LevelWriter) -> wire.GroupByCompositeResult:
    items = [
        wire.GroupByCompositeResultItem(
            keys=[key or "" for key in group.key],
            is_null_keys=[key is None for key in group.key],
            row_count=group.rows,
            **writer.below(wanted, group),
        )
        for group in result.groups
    ]
    return wire.GroupByCompositeResult(
        group_by_composite_result_items=items,
        source_group_by_names=[source.name for source in wanted.sources],
        next_token=result.token,
    )


speaks_group_by(wire.GROUP_BY_COMPOSITE, GroupByComposite, _parse, _write)
