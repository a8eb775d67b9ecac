"""Tables on the wire: their schemas and options to and from `lutra.model.schema`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal, cast

from lutra.kernels.plainbuffer import decode_variant, encode_key
from lutra.model.errors import ParameterInvalid, UnsupportedOperation
from lutra.model.rows import KeyInput
from lutra.model.schema import (
    CapacityUnits,
    DefinedColumn,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableDescription,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import INF_MAX, INF_MIN, ColumnType, KeyValue
from lutra.server.protocol.secondary_messages import index_message, parse_index
from lutra.server.wire import capacity_pb2
from lutra.server.wire import table_pb2 as wire

_KEY_TYPES = {
    wire.PRIMARY_KEY_TYPE_INTEGER: ColumnType.INTEGER,
    wire.PRIMARY_KEY_TYPE_STRING: ColumnType.STRING,
    wire.PRIMARY_KEY_TYPE_BINARY: ColumnType.BINARY,
}
_KEY_TYPE_NUMBERS = {kind: number for number, kind in _KEY_TYPES.items()}
_DEFINED_TYPES = {
    wire.DEFINED_COLUMN_TYPE_INTEGER: ColumnType.INTEGER,
    wire.DEFINED_COLUMN_TYPE_DOUBLE: ColumnType.DOUBLE,
    wire.DEFINED_COLUMN_TYPE_BOOLEAN: ColumnType.BOOLEAN,
    wire.DEFINED_COLUMN_TYPE_STRING: ColumnType.STRING,
    wire.DEFINED_COLUMN_TYPE_BLOB: ColumnType.BINARY,
}
_DEFINED_TYPE_NUMBERS = {kind: number for number, kind in _DEFINED_TYPES.items()}

US_PER_S = 1_000_000


# Requests


def parse_schema(request: wire.CreateTableRequest) -> TableSchema:
    """The table a CreateTable asks for. Raises ParameterInvalid, and UnsupportedOperation for what is not served."""
    if request.sse_spec.enable:
        raise UnsupportedOperation("server-side encryption is not supported; encrypt the disk of the data directory")
    meta = request.table_meta
    key = tuple(_parse_key_column(column) for column in meta.primary_key)
    if request.enable_local_txn and any(column.auto_increment for column in key):
        raise ParameterInvalid("Local transactions do not go with an auto-increment primary key column.")
    return TableSchema(
        name=meta.table_name,
        key=key,
        defined=parse_defined(meta.defined_column),
        options=_parse_options(request),
        reserved=_parse_reserved(request.reserved_throughput),
        splits=_parse_splits(request.partitions),
        # Python and Node cannot ask for them: who has said nothing may use them.
        has_transactions=request.enable_local_txn or not request.HasField("enable_local_txn"),
        stream=(_parse_stream(request.stream_spec) or None) if request.HasField("stream_spec") else None,
        indexes=tuple(parse_index(meta) for meta in request.index_metas),
    )


def _parse_key_column(column: wire.PrimaryKeySchema) -> KeyColumn:
    kind = _KEY_TYPES.get(column.type)
    if kind is None:
        raise ParameterInvalid("Invalid column type, only STRING,INTEGER,BINARY is allowed.")
    if column.option not in (wire.PRIMARY_KEY_OPTION_UNSPECIFIED, wire.PRIMARY_KEY_OPTION_AUTO_INCREMENT):
        raise ParameterInvalid(f"Invalid primary key option: {column.option}.")
    return KeyColumn(column.name, kind, auto_increment=column.option == wire.PRIMARY_KEY_OPTION_AUTO_INCREMENT)


def parse_defined(columns: Iterable[wire.DefinedColumnSchema]) -> tuple[DefinedColumn, ...]:
    """Defined columns of a CreateTable or AddDefinedColumn. Raises ParameterInvalid for a type there is not."""
    parsed = []
    for column in columns:
        kind = _DEFINED_TYPES.get(column.type)
        if kind is None:
            raise ParameterInvalid(f"Invalid column type: {column.type}.")
        parsed.append(DefinedColumn(column.name, kind))
    return tuple(parsed)


def _parse_options(request: wire.CreateTableRequest) -> TableOptions:
    if not request.HasField("table_options"):
        return TableOptions()
    options = request.table_options
    defaults = TableOptions()
    return TableOptions(
        ttl_s=options.time_to_live if options.HasField("time_to_live") else defaults.ttl_s,
        max_versions=options.max_versions if options.HasField("max_versions") else defaults.max_versions,
        max_deviation_s=options.deviation_cell_version_in_sec
        if options.HasField("deviation_cell_version_in_sec")
        else defaults.max_deviation_s,
        allow_update=options.allow_update if options.HasField("allow_update") else defaults.allow_update,
        update_full_row=options.update_full_row,
    )


def _parse_reserved(reserved: capacity_pb2.ReservedThroughput) -> CapacityUnits:
    unit = reserved.capacity_unit
    if not (unit.HasField("read") and unit.HasField("write")):
        raise ParameterInvalid("Both read and write capacity unit are required to create table.")
    return CapacityUnits(read=unit.read, write=unit.write)


def _parse_splits(partitions: Sequence[wire.PartitionRange]) -> tuple[KeyValue, ...]:
    """Where partition ranges meet. What stands there may be of any type: `lutra.tables.schemas` looks at the values.

    Raises ParameterInvalid where the ranges leave keys out, or have some twice.
    """
    if not partitions:
        return ()
    first, last = decode_variant(partitions[0].begin), decode_variant(partitions[-1].end)
    is_whole = first is INF_MIN and last is INF_MAX
    if not is_whole or any(before.end != after.begin for before, after in pairwise(partitions)):
        raise ParameterInvalid("The partition ranges must follow one another from INF_MIN to INF_MAX.")
    return cast(tuple[KeyValue, ...], tuple(decode_variant(partition.end) for partition in partitions[:-1]))


def parse_update(request: wire.UpdateTableRequest) -> TableUpdate:
    """What an UpdateTable changes. Raises UnsupportedOperation for what is not served."""
    options = request.table_options
    unit = request.reserved_throughput.capacity_unit
    return TableUpdate(
        ttl_s=options.time_to_live if options.HasField("time_to_live") else None,
        max_versions=options.max_versions if options.HasField("max_versions") else None,
        max_deviation_s=options.deviation_cell_version_in_sec
        if options.HasField("deviation_cell_version_in_sec")
        else None,
        allow_update=options.allow_update if options.HasField("allow_update") else None,
        update_full_row=options.update_full_row if options.HasField("update_full_row") else None,
        reserved_read=unit.read if unit.HasField("read") else None,
        reserved_write=unit.write if unit.HasField("write") else None,
        stream=_parse_stream(request.stream_spec) if request.HasField("stream_spec") else None,
    )


def _parse_stream(message: wire.StreamSpecification) -> StreamSpec | Literal[False]:
    """What a stream is to be; False where there is to be none."""
    if message.enable_stream:
        if not message.HasField("expiration_time"):
            raise ParameterInvalid("Expiration time is required when enable_stream is true.")
        return StreamSpec(message.expiration_time, tuple(message.columns_to_get))
    if message.HasField("expiration_time") or message.columns_to_get:
        raise ParameterInvalid("Expiration time and columns cannot be set when enable_stream is false.")
    return False


# Responses


def describe_message(
    description: TableDescription, filled: Callable[[SecondaryIndex], bool] = lambda index: True
) -> wire.DescribeTableResponse:
    """DescribeTable's answer. Times in it are seconds, but the creation time microseconds, since the epoch.

    ``filled`` says of each secondary index whether it has all of the table.
    """
    schema = description.schema
    return wire.DescribeTableResponse(
        table_meta=wire.TableMeta(
            table_name=schema.name,
            primary_key=[key_column_message(column) for column in schema.key],
            defined_column=[
                wire.DefinedColumnSchema(name=column.name, type=_DEFINED_TYPE_NUMBERS[column.type])
                for column in schema.defined
            ],
        ),
        reserved_throughput_details=_reserved_message(description),
        table_options=_options_message(schema.options),
        table_status=wire.TABLE_STATUS_ACTIVE,
        stream_details=_stream_message(description),
        shard_splits=[split_point_bytes(((schema.key[0].name, value),)) for value in schema.splits],
        sse_details=wire.SSEDetails(enable=False),
        index_metas=[index_message(index, filled(index)) for index in schema.indexes],
        creation_time=description.created_us,
    )


def update_message(description: TableDescription) -> wire.UpdateTableResponse:
    """UpdateTable's answer: the table as it now is."""
    return wire.UpdateTableResponse(
        reserved_throughput_details=_reserved_message(description),
        table_options=_options_message(description.schema.options),
        stream_details=_stream_message(description),
    )


def _stream_message(description: TableDescription) -> wire.StreamDetails:
    spec = description.schema.stream
    if spec is None:
        return wire.StreamDetails(enable_stream=False)
    return wire.StreamDetails(
        enable_stream=True,
        stream_id=description.stream_id,
        expiration_time=spec.expiration_h,
        last_enable_time=description.stream_created_us,
        column_to_get=spec.original_columns,
    )


def key_column_message(column: KeyColumn) -> wire.PrimaryKeySchema:
    """One key column; ``option`` is absent unless it auto-increments."""
    return wire.PrimaryKeySchema(
        name=column.name,
        type=_KEY_TYPE_NUMBERS[column.type],
        option=wire.PRIMARY_KEY_OPTION_AUTO_INCREMENT if column.auto_increment else None,
    )


def _options_message(options: TableOptions) -> wire.TableOptions:
    return wire.TableOptions(
        time_to_live=options.ttl_s,
        max_versions=options.max_versions,
        deviation_cell_version_in_sec=options.max_deviation_s,
        allow_update=options.allow_update,
        update_full_row=options.update_full_row,  # Java reads it without asking whether it is there
    )


def _reserved_message(description: TableDescription) -> capacity_pb2.ReservedThroughputDetails:
    reserved = description.schema.reserved
    changed_s = description.reserved_changed_us // US_PER_S
    return capacity_pb2.ReservedThroughputDetails(
        capacity_unit=capacity_pb2.CapacityUnit(read=reserved.read, write=reserved.write),
        last_increase_time=changed_s,
        last_decrease_time=changed_s,
    )


def split_point_bytes(key: KeyInput) -> bytes:
    """A split point: the key without its trailing minus-infinities, which SDKs add again."""
    columns = list(key)
    while columns and columns[-1][1] is INF_MIN:
        columns.pop()
    return encode_key(columns)
