"""Rows on the wire: what to read, what to change, and the answers. Millions pass through, so what repeats is cached."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from lutra.kernels.plainbuffer import decode_row, encode_key, encode_row, encode_rows
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import (
    NO_CONDITION,
    ChangeKind,
    Condition,
    KeyInput,
    PrimaryKey,
    RangeRequest,
    RangeResult,
    ReadOptions,
    ReadResult,
    ReturnType,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.schema import CapacityUnits
from lutra.server.protocol.capacity_messages import consumed_message
from lutra.server.protocol.errors import INTERNAL_CODE, told
from lutra.server.protocol.filter_messages import parse_filter
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.row_matrix import encode_matrix, rows_that_fit
from lutra.server.wire import error_pb2
from lutra.server.wire import row_pb2 as wire

logger = logging.getLogger(__name__)

_DEFAULT_READ = ReadOptions()
_EXISTENCE_ONLY = {existence.value: Condition(existence=existence) for existence in RowExistence}
_EXISTENCE_ONLY[RowExistence.IGNORE.value] = NO_CONDITION
_NO_CONDITION = wire.Condition(row_existence=wire.ROW_EXISTENCE_EXPECTATION_IGNORE)
_KINDS = {kind.value: kind for kind in ChangeKind}


class _ReadRequest(Protocol):
    """What GetRow, GetRange and one table of BatchGetRow have in common."""

    @property
    def columns_to_get(self) -> Sequence[str]: ...
    @property
    def time_range(self) -> wire.TimeRange: ...
    @property
    def max_versions(self) -> int: ...
    @property
    def filter(self) -> bytes: ...
    @property
    def start_column(self) -> str: ...
    @property
    def end_column(self) -> str: ...
    def HasField(self, field_name: str) -> bool: ...  # noqa: N802 (protobuf's name)


class _MayBeInTransaction(Protocol):
    """A request that reads or writes rows, in a local transaction or not."""

    @property
    def transaction_id(self) -> str: ...
    def HasField(self, field_name: str) -> bool: ...  # noqa: N802 (protobuf's name)


class _BlockRequest(Protocol):
    """What GetRange and BulkExport have in common."""

    @property
    def columns_to_get(self) -> Sequence[str]: ...
    @property
    def inclusive_start_primary_key(self) -> bytes: ...


# Reading


def parse_key(data: bytes) -> KeyInput:
    """The key of a row to read. Raises ParameterInvalid where it carries more than a key."""
    key, cells, is_delete = decode_row(data)
    if cells:
        raise ParameterInvalid("Attribute column cannot be given while reading data.")
    if is_delete:
        raise ParameterInvalid("Delete marker cannot be given.")
    return key


def parse_read_options(request: _ReadRequest, token: bytes | None = None) -> ReadOptions:
    """Which part of a row a request reads. Raises ParameterInvalid for what contradicts itself."""
    has = request.HasField
    columns = request.columns_to_get
    is_plain = not (columns or token or has("time_range") or has("filter") or has("start_column") or has("end_column"))
    if is_plain and request.max_versions == 1:
        return _DEFAULT_READ
    if has("time_range") and request.time_range.HasField("specific_time") and has("max_versions"):
        raise ParameterInvalid("Specific timestamp and max versions cannot be given at the same time.")
    return ReadOptions(
        columns=tuple(columns),
        max_versions=request.max_versions if has("max_versions") else None,
        time_range_ms=_parse_time_range(request.time_range) if has("time_range") else None,
        filter=parse_filter(request.filter) if has("filter") else None,
        start_column=request.start_column if has("start_column") else None,
        end_column=request.end_column if has("end_column") else None,
        token=token or None,
    )


def _parse_time_range(message: wire.TimeRange) -> tuple[int, int]:
    if message.HasField("specific_time"):
        if message.HasField("start_time") or message.HasField("end_time"):
            raise ParameterInvalid("Specific timestamp and time range cannot be given at the same time.")
        if message.specific_time < 0:
            raise ParameterInvalid("Specific timestamp cannot be less than 0.")
        return message.specific_time, message.specific_time + 1
    if not (message.HasField("start_time") and message.HasField("end_time")):
        raise ParameterInvalid("Start and end time must be given at the same time.")
    return message.start_time, message.end_time


def parse_range(request: wire.GetRangeRequest) -> RangeRequest:
    """What a GetRange reads. Raises ParameterInvalid where it is malformed."""
    if request.direction not in (wire.DIRECTION_FORWARD, wire.DIRECTION_BACKWARD):
        raise ParameterInvalid(f"Invalid direction: {request.direction}.")
    return RangeRequest(
        start=parse_key(request.inclusive_start_primary_key),
        end=parse_key(request.exclusive_end_primary_key),
        backward=request.direction == wire.DIRECTION_BACKWARD,
        limit=request.limit if request.HasField("limit") else None,
        options=parse_read_options(request, request.token),
    )


def read_message(result: ReadResult) -> wire.GetRowResponse:
    """GetRow's answer; ``row`` is empty, but present, where there is no row."""
    row = result.row
    return wire.GetRowResponse(
        consumed=consumed_message(result.consumed),
        row=b"" if row is None else encode_row(row.key, row.cells),
        next_token=result.next_token,
    )


def range_message(request: wire.GetRangeRequest, result: RangeResult) -> wire.GetRangeResponse:
    """GetRange's answer; ``next_start_primary_key`` is absent at the end. Who names a format is told which it is."""
    is_matrix = request.data_block_type_hint == wire.DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX
    if is_matrix:
        block, _, next_start = matrix_block(request, result)
    else:
        block, next_start = encode_rows([(row.key, row.cells) for row in result.rows]), result.next_start
    response = wire.GetRangeResponse(
        consumed=consumed_message(result.consumed),
        rows=block,
        next_start_primary_key=None if next_start is None else encode_key(next_start),
    )
    if request.HasField("data_block_type_hint"):
        response.data_block_type = (
            wire.DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX if is_matrix else wire.DATA_BLOCK_TYPE_PLAIN_BUFFER
        )
        response.compress_type = wire.COMPRESS_TYPE_NONE
    return response


def matrix_block(request: _BlockRequest, result: RangeResult) -> tuple[bytes, int, PrimaryKey | None]:
    """Rows as a SimpleRowMatrix, how many of them it has, and the key to go on from: the first of those that do not
    fit, where there are some."""
    rows, next_start = result.rows, result.next_start
    count = rows_that_fit(rows, request.columns_to_get)
    if count < len(rows):
        rows, next_start = rows[:count], rows[count].key
    names = [name for name, _ in parse_key(request.inclusive_start_primary_key)]
    return encode_matrix(names, rows, request.columns_to_get), count, next_start


def batch_read_row_message(result: ReadResult | LutraError) -> wire.RowInBatchGetRowResponse:
    """One row of BatchGetRow's answer."""
    if isinstance(result, LutraError):
        return wire.RowInBatchGetRowResponse(is_ok=False, error=error_message(result))
    row = result.row
    return wire.RowInBatchGetRowResponse(
        is_ok=True,
        consumed=consumed_message(result.consumed),
        row=b"" if row is None else encode_row(row.key, row.cells),
        next_token=result.next_token,
    )


# Writing


def parse_put(request: wire.PutRowRequest) -> RowChange:
    """The change a PutRow makes."""
    return_content = request.return_content if request.HasField("return_content") else None
    return _parse_change(ChangeKind.PUT, request.row, request.condition, return_content)


def parse_update(request: wire.UpdateRowRequest) -> RowChange:
    """The change an UpdateRow makes."""
    return_content = request.return_content if request.HasField("return_content") else None
    return _parse_change(ChangeKind.UPDATE, request.row_change, request.condition, return_content)


def parse_delete(request: wire.DeleteRowRequest) -> RowChange:
    """The change a DeleteRow makes."""
    return_content = request.return_content if request.HasField("return_content") else None
    return _parse_change(ChangeKind.DELETE, request.primary_key, request.condition, return_content)


def parse_unconditional(kind: int, data: bytes) -> RowChange:
    """A change that asks nothing of the row. Raises ParameterInvalid."""
    known = _KINDS.get(kind)
    if known is None:
        raise ParameterInvalid("The type of row is invalid.")
    return _parse_change(known, data, _NO_CONDITION, None)


def parse_batch_change(row: wire.RowInBatchWriteRowRequest) -> RowChange:
    """One change of a BatchWriteRow."""
    kind = _KINDS.get(row.type)
    if kind is None:
        raise ParameterInvalid("The type of row in batch write operation is invalid.")
    return_content = row.return_content if row.HasField("return_content") else None
    return _parse_change(kind, row.row_change, row.condition, return_content)


def _parse_change(
    kind: ChangeKind, data: bytes, condition: wire.Condition, return_content: wire.ReturnContent | None
) -> RowChange:
    key, cells, is_delete = decode_row(data)
    if kind is ChangeKind.DELETE:
        if not is_delete:
            raise ParameterInvalid("Invalid request of delete row: missing RowDeleteMarker in request.")
        if cells:
            raise ParameterInvalid("Invalid delete row request: unexpected cells in request.")
    elif is_delete:
        raise ParameterInvalid("Invalid request of put/update row: unexpected RowDeleteMarker in request.")
    if return_content is None:
        return RowChange(kind, key, cells, _parse_condition(condition))
    return RowChange(
        kind,
        key,
        cells,
        _parse_condition(condition),
        enum_of(ReturnType, return_content.return_type, "return type"),
        tuple(return_content.return_column_names),
    )


def _parse_condition(message: wire.Condition) -> Condition:
    if not message.column_condition:
        try:
            return _EXISTENCE_ONLY[message.row_existence]
        except KeyError:
            raise ParameterInvalid(f"Invalid row-existence expectation: {message.row_existence}.") from None
    existence = enum_of(RowExistence, message.row_existence, "row-existence expectation")
    return Condition(existence, parse_filter(message.column_condition))


def write_message(result: WriteResult) -> wire.WriteRowResponse:
    """The answer to PutRow, UpdateRow or DeleteRow; ``row`` where the change asked for one."""
    row = result.row
    return wire.WriteRowResponse(
        consumed=consumed_message(result.consumed),
        row=None if row is None else encode_row(row.key, row.cells),
    )


def batch_write_table_message(
    name: str, results: Sequence[WriteResult | LutraError]
) -> wire.TableInBatchWriteRowResponse:
    """One table of BatchWriteRow's answer, its rows in the order of the request."""
    return wire.TableInBatchWriteRowResponse(table_name=name, rows=[_batch_write_row_message(r) for r in results])


def _batch_write_row_message(result: WriteResult | LutraError) -> wire.RowInBatchWriteRowResponse:
    if isinstance(result, LutraError):
        return wire.RowInBatchWriteRowResponse(is_ok=False, error=error_message(result))
    if result.row is None:
        return _written(result.consumed.read, result.consumed.write)
    return wire.RowInBatchWriteRowResponse(
        is_ok=True, consumed=consumed_message(result.consumed), row=encode_row(result.row.key, result.row.cells)
    )


@lru_cache(maxsize=1024)
def _written(read: int, write: int) -> wire.RowInBatchWriteRowResponse:
    """The answer of a row that was written and asked for nothing back: shared, and copied into each response."""
    consumed = consumed_message(CapacityUnits(read, write))
    return wire.RowInBatchWriteRowResponse(is_ok=True, consumed=consumed)


# Shared


def error_message(error: LutraError) -> error_pb2.Error:
    """An error of one row as the wire has it."""
    if error.code == INTERNAL_CODE:
        logger.error("a row of a batch failed: %s", error)
    code, message = told(error)
    return error_pb2.Error(code=code, message=message)


def transaction_of(request: _MayBeInTransaction) -> str | None:
    """The id of the local transaction that a request belongs to, if any."""
    return request.transaction_id if request.HasField("transaction_id") else None
