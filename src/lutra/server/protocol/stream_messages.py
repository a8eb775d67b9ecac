"""Streams on the wire: iterators as text, records as PlainBuffer with an extension that says when they were made."""

from __future__ import annotations

import re
import struct
from typing import Final

from lutra.kernels.plainbuffer import encode_change, encode_row
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.rows import ChangeKind
from lutra.model.schema import CapacityUnits
from lutra.model.streams import StreamDescription, StreamIterator, StreamPage, StreamPlace, StreamRecord, StreamShard
from lutra.server.protocol.capacity_messages import consumed_message
from lutra.server.wire import stream_pb2 as wire
from lutra.tables.capacity import UNIT_BYTES

_ITERATOR: Final = re.compile(r"([0-9a-f]{1,16})\.([0-9a-f]{1,16})\.([0-9a-f]{1,16})\.([0-9a-f]{1,8})")
_ACTIONS: Final = {
    ChangeKind.PUT: wire.ACTION_TYPE_PUT_ROW,
    ChangeKind.UPDATE: wire.ACTION_TYPE_UPDATE_ROW,
    ChangeKind.DELETE: wire.ACTION_TYPE_DELETE_ROW,
}
_EXTENSION: Final = struct.Struct("<BIBIBIBqBI")
"""Tag and length of the extension, and of what is in it, the sequence info: epoch, time in us, index of the row."""
_SEQUENCE_BYTES: Final = struct.calcsize("<BIBqBI")
_SHARDS_MAX: Final = 1_000
"""In one answer."""
_CHECKSUM_BYTES: Final = 2
"""Tag and checksum of a row, before which the extension stands; the checksum leaves it out."""


def parse_iterator(text: str) -> StreamIterator:
    """Raises ParameterInvalid for what no GetShardIterator or GetStreamRecord gave."""
    found = _ITERATOR.fullmatch(text) if len(text) <= limits.STREAM_ITERATOR_CHARS_MAX else None
    if found is None:
        raise ParameterInvalid("Invalid shard iterator.")
    table_id, created_us, time_us, index = (int(part, 16) for part in found.groups())
    return StreamIterator(table_id, created_us, StreamPlace(time_us, index))


def iterator_text(at: StreamIterator) -> str:
    """One text for one place: who reads to the end gets the same again."""
    return f"{at.table_id:x}.{at.created_us:x}.{at.place.time_us:x}.{at.place.index:x}"


def parse_limit(request: wire.GetStreamRecordRequest) -> int:
    """How many records are wanted at most. Raises ParameterInvalid."""
    if not request.HasField("limit"):
        return limits.STREAM_RECORDS_MAX
    if request.limit <= 0:
        raise ParameterInvalid(f"The limit must be greater than 0, not {request.limit}.")
    return min(request.limit, limits.STREAM_RECORDS_MAX)


def list_message(streams: list[StreamDescription]) -> wire.ListStreamResponse:
    """ListStream's answer."""
    return wire.ListStreamResponse(
        streams=[
            wire.Stream(stream_id=one.stream_id, table_name=one.table, creation_time=one.created_us) for one in streams
        ]
    )


def describe_message(request: wire.DescribeStreamRequest, stream: StreamDescription) -> wire.DescribeStreamResponse:
    """DescribeStream's answer: so many of its shards, from one on. Raises ParameterInvalid."""
    if request.HasField("shard_limit") and request.shard_limit <= 0:
        raise ParameterInvalid(f"The shard_limit must be greater than 0, not {request.shard_limit}.")
    first = 0
    if request.HasField("inclusive_start_shard_id"):
        ids = [shard.id for shard in stream.shards]
        if request.inclusive_start_shard_id not in ids:
            raise ParameterInvalid(f"Invalid shard id: '{request.inclusive_start_shard_id[:64]}'.")
        first = ids.index(request.inclusive_start_shard_id)
    most = min(request.shard_limit, _SHARDS_MAX) if request.HasField("shard_limit") else _SHARDS_MAX
    shown, following = stream.shards[first : first + most], stream.shards[first + most : first + most + 1]
    return wire.DescribeStreamResponse(
        stream_id=stream.stream_id,
        expiration_time=stream.spec.expiration_h,
        table_name=stream.table,
        creation_time=stream.created_us,
        stream_status=wire.STREAM_STATUS_ACTIVE,
        shards=[_shard_message(shard) for shard in shown],
        next_shard_id=following[0].id if following else None,
        is_timeseries_data_table=False,
    )


def _shard_message(shard: StreamShard) -> wire.StreamShard:
    """A shard has one parent where that was split, two where they became one."""
    parent, sibling = (*shard.parents, None, None)[:2]
    return wire.StreamShard(shard_id=shard.id, parent_id=parent, parent_sibling_id=sibling)


def page_message(page: StreamPage) -> wire.GetStreamRecordResponse:
    """GetStreamRecord's answer. There is no next iterator where the shard has ended: go on with its children."""
    return wire.GetStreamRecordResponse(
        stream_records=[_record_message(record) for record in page.records],
        next_shard_iterator=None if page.next is None else iterator_text(page.next),
        consumed=consumed_message(CapacityUnits(read=-(-page.size_bytes // UNIT_BYTES))),
        may_more_record=page.has_more,
    )


def _record_message(record: StreamRecord) -> wire.GetStreamRecordResponse.StreamRecord:
    row = encode_change(record.key, record.cells, record.kind is ChangeKind.DELETE)
    place = record.place
    extension = _EXTENSION.pack(
        0x0B, _SEQUENCE_BYTES + 5, 0x0C, _SEQUENCE_BYTES, 0x0D, 0, 0x0E, place.time_us, 0x0F, place.index
    )
    return wire.GetStreamRecordResponse.StreamRecord(
        action_type=_ACTIONS[record.kind],
        record=row[:-_CHECKSUM_BYTES] + extension + row[-_CHECKSUM_BYTES:],
        origin_record=None if record.original is None else encode_row(record.key, record.original),
    )
