"""Operations on rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lutra.instance.doors import InstanceDoor
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import KeyInput, ReadOptions, ReadResult
from lutra.server.lanes.reply import Reply
from lutra.server.protocol import row_messages as messages
from lutra.server.protocol.parsing import parse
from lutra.server.wire import row_pb2 as wire
from lutra.tables.refusals import too_many_rows


def get_row(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.GetRowRequest, body)
    options = messages.parse_read_options(request, request.token)
    result = instance.tables.read(
        request.table_name, messages.parse_key(request.primary_key), options, messages.transaction_of(request)
    )
    return Reply(messages.read_message(result).SerializeToString(), rows_read=1)


def put_row(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.PutRowRequest, body)
    result = instance.tables.write(request.table_name, messages.parse_put(request), messages.transaction_of(request))
    return Reply(messages.write_message(result).SerializeToString(), rows_written=1)


def update_row(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.UpdateRowRequest, body)
    result = instance.tables.write(request.table_name, messages.parse_update(request), messages.transaction_of(request))
    return Reply(messages.write_message(result).SerializeToString(), rows_written=1)


def delete_row(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.DeleteRowRequest, body)
    result = instance.tables.write(request.table_name, messages.parse_delete(request), messages.transaction_of(request))
    return Reply(messages.write_message(result).SerializeToString(), rows_written=1)


def get_range(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.GetRangeRequest, body)
    result = instance.tables.read_range(
        request.table_name, messages.parse_range(request), messages.transaction_of(request)
    )
    return Reply(messages.range_message(request, result).SerializeToString(), rows_read=len(result.rows))


def batch_write_row(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.BatchWriteRowRequest, body)
    tables = request.tables
    if not tables:
        raise ParameterInvalid("No row is specified in BatchWriteRow.")
    for table in tables:
        if not table.rows:
            raise ParameterInvalid(f"No operation is specified for table: '{table.table_name}'.")
    _check_tables(
        (table.table_name for table in tables), (len(table.rows) for table in tables), limits.BATCH_WRITE_ROWS_MAX
    )
    parse_change = messages.parse_batch_change
    changes = [(table.table_name, [parse_change(row) for row in table.rows]) for table in tables]
    results = instance.tables.write_batch(
        changes, transaction=messages.transaction_of(request), is_atomic=request.is_atomic
    )
    response = wire.BatchWriteRowResponse(
        tables=[
            messages.batch_write_table_message(name, of_table)
            for (name, _), of_table in zip(changes, results, strict=True)
        ]
    )
    failed = sum(isinstance(result, LutraError) for of_table in results for result in of_table)
    return Reply(response.SerializeToString(), rows_written=sum(map(len, results)) - failed)


def batch_get_row(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.BatchGetRowRequest, body)
    tables = request.tables
    if not tables:
        raise ParameterInvalid("No row specified in the request of BatchGetRow.")
    _check_tables(
        (table.table_name for table in tables),
        (len(table.primary_key) for table in tables),
        limits.BATCH_GET_ROWS_MAX,
    )
    reads = [_parse_reads(table) for table in tables]
    results = instance.tables.read_batch([read for of_table in reads for read in of_table])
    response = wire.BatchGetRowResponse()
    following = iter(results)
    rows_read = 0
    for table, of_table in zip(tables, reads, strict=True):
        rows: list[ReadResult | LutraError] = [row for _ in of_table for row in next(following)]
        rows_read += len(rows)
        response.tables.append(
            wire.TableInBatchGetRowResponse(
                table_name=table.table_name, rows=[messages.batch_read_row_message(row) for row in rows]
            )
        )
    return Reply(response.SerializeToString(), rows_read=rows_read)


def _parse_reads(table: wire.TableInBatchGetRowRequest) -> list[tuple[str, Sequence[KeyInput], ReadOptions]]:
    """The reads of one table: one for all its rows, or one a row where each goes on from a token of its own."""
    if not (table.HasField("max_versions") or table.HasField("time_range")):
        raise ParameterInvalid("No version condition is specified while querying row.")
    options = messages.parse_read_options(table)
    keys = [messages.parse_key(key) for key in table.primary_key]
    if not any(table.token):
        return [(table.table_name, keys, options)]
    if len(table.token) != len(keys):
        raise ParameterInvalid(f"The count of tokens differs from the count of rows in table: '{table.table_name}'.")
    return [
        (table.table_name, [key], replace(options, token=token or None))
        for key, token in zip(keys, table.token, strict=True)
    ]


def _check_tables(names: Iterable[str], counts: Iterable[int], rows_max: int) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ParameterInvalid(f"Duplicated table name: '{name}'.")
        seen.add(name)
    if sum(counts) > rows_max:
        raise too_many_rows(rows_max)
