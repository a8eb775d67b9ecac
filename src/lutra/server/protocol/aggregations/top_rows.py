"""The first rows of a group."""

from __future__ import annotations

from lutra.kernels.plainbuffer import encode_row
from lutra.model.aggregations import RowsResult, TopRows
from lutra.server.protocol.aggregations.registry import speaks_aggregation
from lutra.server.protocol.queries.parts import body_of
from lutra.server.protocol.sorts import parse_sort
from lutra.server.wire import aggregation_pb2 as wire

_LIMIT_DEFAULT = 10


def _parse(name: str, data: bytes) -> TopRows:
    body = body_of(wire.TopRowsAggregation, data)
    return TopRows(name, body.limit if body.HasField("limit") else _LIMIT_DEFAULT, parse_sort(body.sort))


def _write(result: RowsResult) -> wire.TopRowsAggregationResult:
    return wire.TopRowsAggregationResult(rows=[encode_row(row.key, row.cells) for row in result.rows])


speaks_aggregation(wire.AGG_TOP_ROWS, TopRows, _parse, _write)
