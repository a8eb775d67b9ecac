"""Operations on secondary indexes. They are read as tables are."""

from __future__ import annotations

from lutra.instance.doors import InstanceDoor
from lutra.server.lanes.reply import Reply
from lutra.server.protocol.parsing import parse
from lutra.server.protocol.secondary_messages import parse_index
from lutra.server.wire import secondary_pb2 as wire


def create_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.CreateIndexRequest, body)
    index = parse_index(request.index_meta, request.include_base_data)
    instance.create_secondary_index(request.main_table_name, index)
    return Reply(b"")


def drop_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.DropIndexRequest, body)
    instance.drop_secondary_index(request.main_table_name, request.index_name)
    return Reply(b"")
