"""Tables on the wire: requests of the official SDK, and what it reads in the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tablestore as ots
from tablestore.decoder import OTSProtoBufferDecoder
from tablestore.encoder import OTSProtoBufferEncoder

from lutra.kernels.plainbuffer import decode_row
from lutra.model.errors import LutraError, ParameterInvalid, UnsupportedOperation
from lutra.model.schema import (
    CapacityUnits,
    DefinedColumn,
    KeyColumn,
    StreamSpec,
    TableDescription,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import INF_MIN, ColumnType
from lutra.server.protocol import table_messages as messages
from lutra.server.wire import table_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")
DECODER = OTSProtoBufferDecoder("utf8")
KEY = [("a", "STRING"), ("b", "INTEGER", ots.PK_AUTO_INCR), ("c", "BINARY")]
SCHEMA = TableSchema(
    name="t",
    key=(
        KeyColumn("a", ColumnType.STRING),
        KeyColumn("b", ColumnType.INTEGER, auto_increment=True),
        KeyColumn("c", ColumnType.BINARY),
    ),
    defined=tuple(DefinedColumn(kind.name.lower(), kind) for kind in ColumnType),
    options=TableOptions(ttl_s=86_400, max_versions=3, max_deviation_s=5, allow_update=False),
    reserved=CapacityUnits(1, 2),
)
DESCRIPTION = TableDescription(
    SCHEMA, table_id=7, created_us=1_700_000_000_000_001, reserved_changed_us=1_700_000_123_000_000
)


def create(**changes: Any) -> wire.CreateTableRequest:
    arguments = {
        "table_meta": ots.TableMeta("t", KEY, [(kind.name.lower(), kind.name) for kind in ColumnType]),
        "table_options": ots.TableOptions(86_400, 3, 5, False),
        "reserved_throughput": ots.ReservedThroughput(ots.CapacityUnit(1, 2)),
        "sse_spec": None,
        "secondary_indexes": [],
    } | changes
    return wire.CreateTableRequest.FromString(ENCODER.encode_request("CreateTable", **arguments).SerializeToString())


def test_a_table_as_the_sdk_creates_it() -> None:
    assert messages.parse_schema(create()) == SCHEMA


def test_defaults_of_options() -> None:
    request = create()
    request.ClearField("table_options")
    assert messages.parse_schema(request).options == TableOptions()
    request.table_options.max_versions = 9
    assert messages.parse_schema(request).options == TableOptions(max_versions=9)


@pytest.mark.parametrize(
    ("key", "points"),
    [("STRING", ["b", "m"]), ("INTEGER", [-5, 7]), ("BINARY", [bytearray(b"\x00"), bytearray(b"\xff")])],
)
def test_split_points_are_read_and_told_again(key: str, points: list[Any]) -> None:
    request = create(table_meta=ots.TableMeta("t", [("a", key)]), split_points=points)
    assert len(request.partitions) == 3
    schema = messages.parse_schema(request)
    assert schema.splits == tuple(points)
    message = messages.describe_message(TableDescription(schema, 1, 1, 1))
    assert [decode_row(split)[0] for split in message.shard_splits] == [(("a", point),) for point in points]


def test_partition_ranges_that_leave_keys_out() -> None:
    request = create(split_points=["b", "m"])
    whole = list(request.partitions)
    for wrong in (whole[:2], whole[1:], [whole[0], whole[2]], whole[::-1], [*whole, whole[2]]):
        request.ClearField("partitions")
        request.partitions.extend(wrong)
        with pytest.raises(ParameterInvalid, match="partition ranges must follow one another"):
            messages.parse_schema(request)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sse_spec": ots.SSESpecification(True, ots.SSEKeyType.SSE_KMS_SERVICE)}, UnsupportedOperation),
        ({"table_meta": ots.TableMeta("t", [("a", "BOOLEAN")])}, ParameterInvalid),
    ],
)
def test_what_is_not_served_is_refused(changes: dict[str, Any], error: type[LutraError]) -> None:
    with pytest.raises(error):
        messages.parse_schema(create(**changes))


def test_parts_of_other_sdks() -> None:
    request = create()
    assert messages.parse_schema(request).has_transactions
    request.enable_local_txn = True
    with pytest.raises(ParameterInvalid, match="Local transactions do not go with"):
        messages.parse_schema(request)
    request = create(table_meta=ots.TableMeta("t", [("a", "STRING")]))
    for is_enabled in (False, True):
        request.enable_local_txn = is_enabled
        assert messages.parse_schema(request).has_transactions == is_enabled
    request = create()
    request.table_options.update_full_row = True
    assert messages.parse_schema(request).options == replace(SCHEMA.options, update_full_row=True)


def test_streams_and_encryption_that_are_off_are_fine() -> None:
    request = create(sse_spec=ots.SSESpecification(False))
    request.stream_spec.enable_stream = False
    assert messages.parse_schema(request) == SCHEMA


def test_a_stream_is_read_and_told_again() -> None:
    request = create()
    spec = wire.StreamSpecification(enable_stream=True, expiration_time=5, columns_to_get=["b"])
    request.MergeFrom(wire.CreateTableRequest(stream_spec=spec))
    schema = messages.parse_schema(request)
    assert schema == replace(SCHEMA, stream=StreamSpec(5, ("b",)))
    told = messages.describe_message(TableDescription(schema, 1, 1, 1, 77)).stream_details
    assert (told.enable_stream, told.stream_id, told.expiration_time, told.last_enable_time) == (True, "t_77", 5, 77)
    update = wire.UpdateTableRequest(table_name="t", stream_spec=wire.StreamSpecification(enable_stream=False))
    assert messages.parse_update(update).stream is False


def test_both_capacity_units_are_needed() -> None:
    request = create()
    request.reserved_throughput.capacity_unit.ClearField("write")
    with pytest.raises(ParameterInvalid, match="Both read and write capacity unit are required to create table"):
        messages.parse_schema(request)


def test_describe_as_the_sdk_reads_it() -> None:
    message = messages.describe_message(DESCRIPTION)
    assert message.table_status == wire.TABLE_STATUS_ACTIVE
    assert message.creation_time == DESCRIPTION.created_us
    described, _ = DECODER.decode_response("DescribeTable", message.SerializeToString(), "id")
    assert described.table_meta.schema_of_primary_key == KEY
    assert described.table_meta.defined_columns == [(kind.name.lower(), kind.name) for kind in ColumnType]
    options = described.table_options
    assert (options.time_to_live, options.max_version, options.max_time_deviation, options.allow_update) == (
        86_400,
        3,
        5,
        False,
    )
    details = described.reserved_throughput_details
    assert (details.capacity_unit.read, details.capacity_unit.write, details.last_increase_time) == (
        1,
        2,
        1_700_000_123,
    )
    assert described.sse_details.enable is False


def update(options: ots.TableOptions | None, reserved: ots.ReservedThroughput | None) -> TableUpdate:
    data = ENCODER.encode_request("UpdateTable", "t", options, reserved).SerializeToString()
    return messages.parse_update(wire.UpdateTableRequest.FromString(data))


def test_update_changes_what_it_names() -> None:
    assert update(ots.TableOptions(None, 5, None), None) == TableUpdate(max_versions=5)
    assert update(ots.TableOptions(90_000, None, 6, True), None) == TableUpdate(
        ttl_s=90_000, max_deviation_s=6, allow_update=True
    )
    reserved = ots.ReservedThroughput(ots.CapacityUnit(read=9, write=None))
    assert update(None, reserved) == TableUpdate(reserved_read=9)


def test_java_reads_update_full_row_unasked() -> None:
    for message in (messages.describe_message(DESCRIPTION), messages.update_message(DESCRIPTION)):
        assert message.table_options.HasField("update_full_row")
        assert message.table_options.update_full_row is False


def test_update_as_the_sdk_reads_it() -> None:
    answer, _ = DECODER.decode_response("UpdateTable", messages.update_message(DESCRIPTION).SerializeToString(), "id")
    assert answer.table_options.max_version == 3
    assert answer.reserved_throughput_details.capacity_unit.write == 2


def test_split_points_lack_trailing_infinities() -> None:
    key, cells, _ = decode_row(messages.split_point_bytes((("a", "m"), ("b", INF_MIN), ("c", INF_MIN))))
    assert (key, cells) == ((("a", "m"),), [])
