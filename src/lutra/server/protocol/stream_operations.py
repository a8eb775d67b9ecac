"""Operations on streams."""

from __future__ import annotations

from lutra.instance.doors import InstanceDoor
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.server.lanes.reply import Reply
from lutra.server.protocol import stream_messages as messages
from lutra.server.protocol.parsing import parse
from lutra.server.wire import stream_pb2 as wire


def list_stream(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.ListStreamRequest, body)
    streams = instance.list_streams(request.table_name if request.HasField("table_name") else None)
    return Reply(messages.list_message(streams).SerializeToString())


def describe_stream(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.DescribeStreamRequest, body)
    stream = instance.describe_stream(request.stream_id)
    return Reply(messages.describe_message(request, stream).SerializeToString())


def get_shard_iterator(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.GetShardIteratorRequest, body)
    if request.HasField("token"):
        raise ParameterInvalid("Invalid token: this server gives none, for it finds any time at once.")
    since_us = request.timestamp if request.HasField("timestamp") else None
    at = instance.stream_iterator(request.stream_id, request.shard_id, since_us)
    return Reply(wire.GetShardIteratorResponse(shard_iterator=messages.iterator_text(at)).SerializeToString())


def get_stream_record(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.GetStreamRecordRequest, body)
    at, limit = messages.parse_iterator(request.shard_iterator), messages.parse_limit(request)
    page = instance.read_stream(at, limit, limits.STREAM_BYTES_MAX)
    return Reply(messages.page_message(page).SerializeToString(), rows_read=len(page.records))
