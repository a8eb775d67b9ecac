"""Bulk import and export on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.kernels.plainbuffer import encode_key, encode_rows
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import RangeRequest, RangeResult, ReadOptions, RowChange, WriteResult
from lutra.server.protocol.capacity_messages import consumed_message
from lutra.server.protocol.filter_messages import parse_filter
from lutra.server.protocol.row_messages import error_message, matrix_block, parse_key, parse_unconditional
from lutra.server.wire import bulk_pb2 as wire
from lutra.server.wire import row_pb2


def parse_import(request: wire.BulkImportRequest) -> list[RowChange | LutraError]:
    """The changes a BulkImport makes; what is wrong with one stands in its place."""
    return [_parse_row(row) for row in request.rows]


def _parse_row(row: wire.RowInBulkImportRequest) -> RowChange | LutraError:
    try:
        return parse_unconditional(row.type, row.row_change)
    except ParameterInvalid as error:
        return error


def import_message(table: str, results: Sequence[WriteResult | LutraError]) -> wire.BulkImportResponse:
    """BulkImport's answer, its rows in the order of the request."""
    return wire.BulkImportResponse(table_name=table, rows=[_imported_message(result) for result in results])


def _imported_message(result: WriteResult | LutraError) -> wire.RowInBulkImportResponse:
    if isinstance(result, LutraError):
        return wire.RowInBulkImportResponse(is_ok=False, error=error_message(result))
    return wire.RowInBulkImportResponse(is_ok=True, consumed=consumed_message(result.consumed))


def parse_export(request: wire.BulkExportRequest) -> RangeRequest:
    """What a BulkExport reads: the newest version of each cell, by key ascending. Raises ParameterInvalid."""
    return RangeRequest(
        start=parse_key(request.inclusive_start_primary_key),
        end=parse_key(request.exclusive_end_primary_key),
        options=ReadOptions(
            columns=tuple(request.columns_to_get),
            filter=parse_filter(request.filter) if request.HasField("filter") else None,
        ),
    )


def export_message(request: wire.BulkExportRequest, result: RangeResult) -> tuple[wire.BulkExportResponse, int]:
    """BulkExport's answer and how many rows it has; ``next_start_primary_key`` is absent at the end.

    As a matrix there is a block also where it has no row: Java reads one in any case.
    """
    block_type = row_pb2.DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX
    if request.data_block_type_hint == row_pb2.DATA_BLOCK_TYPE_PLAIN_BUFFER:
        block_type = row_pb2.DATA_BLOCK_TYPE_PLAIN_BUFFER
        block, count = encode_rows([(row.key, row.cells) for row in result.rows]), len(result.rows)
        next_start = result.next_start
    else:
        block, count, next_start = matrix_block(request, result)
    response = wire.BulkExportResponse(
        consumed=consumed_message(result.consumed),
        rows=block,
        next_start_primary_key=None if next_start is None else encode_key(next_start),
        data_block_type=block_type,
    )
    return response, count
