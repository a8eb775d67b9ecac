"""Operations on tables."""

from __future__ import annotations

from hashlib import sha256

from lutra.instance.doors import InstanceDoor
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.schema import CapacityUnits
from lutra.server.lanes.reply import Reply
from lutra.server.protocol import table_messages as messages
from lutra.server.protocol.capacity_messages import consumed_message
from lutra.server.protocol.parsing import parse
from lutra.server.wire import table_pb2 as wire

SPLIT_UNIT_BYTES = 100 * 1024 * 1024
SPLIT_UNIT_BYTES_MIN = 1024 * 1024
SPLIT_BYTES_MAX = 2**62
LOCATION_LENGTH = 32
_SCHEMA_READ = CapacityUnits(read=1)


def create_table(instance: InstanceDoor, body: bytes) -> Reply:
    instance.create_table(messages.parse_schema(parse(wire.CreateTableRequest, body)))
    return Reply(b"")


def list_table(instance: InstanceDoor, body: bytes) -> Reply:
    parse(wire.ListTableRequest, body)
    return Reply(wire.ListTableResponse(table_names=instance.tables.names()).SerializeToString())


def describe_table(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.DescribeTableRequest, body)
    description = instance.tables.described(request.table_name)
    return Reply(messages.describe_message(description, instance.tables.is_index_filled).SerializeToString())


def update_table(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.UpdateTableRequest, body)
    if not any(map(request.HasField, ("reserved_throughput", "table_options", "stream_spec"))):
        raise ParameterInvalid("No parameter is specified in UpdateTable.")
    update = messages.parse_update(request)
    return Reply(messages.update_message(instance.update_table(request.table_name, update)).SerializeToString())


def delete_table(instance: InstanceDoor, body: bytes) -> Reply:
    instance.delete_table(parse(wire.DeleteTableRequest, body).table_name)
    return Reply(b"")


def add_defined_column(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.AddDefinedColumnRequest, body)
    if not request.columns:
        raise ParameterInvalid("No column is specified in AddDefinedColumn.")
    instance.tables.add_defined_columns(request.table_name, list(messages.parse_defined(request.columns)))
    return Reply(b"")


def delete_defined_column(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.DeleteDefinedColumnRequest, body)
    if not request.columns:
        raise ParameterInvalid("No column is specified in DeleteDefinedColumn.")
    instance.tables.delete_defined_columns(request.table_name, list(request.columns))
    return Reply(b"")


def compute_split_points_by_size(instance: InstanceDoor, body: bytes) -> Reply:
    """Keys that cut a table into pieces of about a size; the places of the pieces are all this one server."""
    request = parse(wire.ComputeSplitPointsBySizeRequest, body)
    unit_bytes = request.split_size_unit_in_byte if request.HasField("split_size_unit_in_byte") else SPLIT_UNIT_BYTES
    if request.split_size <= 0:
        raise ParameterInvalid("The split_size should be greater than 0.")
    if unit_bytes < SPLIT_UNIT_BYTES_MIN:
        raise ParameterInvalid(f"The split_size_unit_in_byte should be greater equal than: {SPLIT_UNIT_BYTES_MIN}")
    size_bytes = request.split_size * unit_bytes
    if size_bytes > SPLIT_BYTES_MAX:
        raise ParameterInvalid(f"The split size must not exceed {SPLIT_BYTES_MAX} bytes.")
    if request.split_point_limit < 0:
        raise ParameterInvalid(f"Invalid split point limit: {request.split_point_limit}.")
    description = instance.tables.describe(request.table_name)
    most = min(request.split_point_limit or limits.SPLIT_POINTS_MAX, limits.SPLIT_POINTS_MAX)
    points = instance.tables.split_points(request.table_name, size_bytes)[:most]
    response = wire.ComputeSplitPointsBySizeResponse(
        consumed=consumed_message(_SCHEMA_READ),
        schema=[messages.key_column_message(column) for column in description.schema.key],
        split_points=[messages.split_point_bytes(point) for point in points],
        locations=[
            wire.ComputeSplitPointsBySizeResponse.SplitLocation(location=_location(instance), repeat=len(points) + 1)
        ],
    )
    return Reply(response.SerializeToString())


def _location(instance: InstanceDoor) -> str:
    """Where an instance's data lies: an opaque word of the length that clients know, for readers to be placed by."""
    return sha256(instance.name.encode()).hexdigest()[:LOCATION_LENGTH]


def list_timeseries_table(_: InstanceDoor, body: bytes) -> Reply:
    """There are no timeseries tables here, and asking for their list is no error: tools do before they clean up."""
    parse(wire.ListTimeseriesTableRequest, body)
    return Reply(wire.ListTimeseriesTableResponse().SerializeToString())
