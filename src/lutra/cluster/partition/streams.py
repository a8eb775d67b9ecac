"""The stream of one partition: a shard of its table's, and those of its parents, whose store it continues.

A partition that was cloned from another has all records of that as well, under the same times, and writes later ones.
So a shard that has ended is read from any partition that descends from it, up to the time of the split; and nothing of
it is in its children's shards, which begin after that.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, Final

from lutra.cluster.host import OwnedPartition
from lutra.cluster.methods import PeerLane
from lutra.cluster.partition.method import Codec, PartitionMethod
from lutra.model.errors import ObjectNotExist
from lutra.model.streams import StreamIterator, StreamPage, StreamPlace
from lutra.tables import stream_record


def split_time_us(owned: OwnedPartition) -> int:
    """Where the stream's shard ends, of a partition that takes no writes any more: what its children are ``since``."""
    stream_created_us = owned.table.description.stream_created_us
    return max(owned.partition.space.streams.last_time_us, stream_created_us)


def begin_stream(owned: OwnedPartition, created_us: int, since_us: int | None, after_us: int) -> StreamPlace:
    """The place where reading begins, of records later than ``after_us``, as `Instance.stream_iterator` says.

    ``created_us``: of the stream that is meant. Raises ObjectNotExist where it is another by now.
    """
    instance = owned.instance
    streams = [one for one in instance.list_streams(owned.table.name) if one.created_us == created_us]
    if not streams:
        raise ObjectNotExist("Requested stream does not exist.")
    place = instance.stream_iterator(streams[0].stream_id, streams[0].shards[0].id, since_us).place
    return max(place, StreamPlace(after_us + 1, 0))


def read_stream(
    owned: OwnedPartition,
    created_us: int,
    place: StreamPlace,
    limit: int,
    bytes_max: int,
    until_us: int | None,
) -> StreamPage:
    """As `StreamLog.read`; its iterators are the partition's own."""
    table_id = owned.instance.tables.describe(owned.table.name).table_id
    at = StreamIterator(table_id, created_us, place)
    return owned.partition.space.streams.read(owned.table.instance, at, limit, bytes_max, until_us)


def _pack_page(page: StreamPage) -> list[Any]:
    records = [
        [one.place.time_us, one.place.index, stream_record.encode(one.kind, one.key, one.cells, one.original)]
        for one in page.records
    ]
    following = None if page.next is None else [page.next.table_id, page.next.created_us, *astuple(page.next.place)]
    return [records, following, page.has_more, page.size_bytes]


def _unpack_page(packed: list[Any]) -> StreamPage:
    records, following, has_more, size_bytes = packed
    decoded = [stream_record.decode(StreamPlace(time_us, index), data) for time_us, index, data in records]
    if following is None:
        return StreamPage(decoded, None, has_more, size_bytes)
    table_id, created_us, time_us, index = following
    at = StreamIterator(table_id, created_us, StreamPlace(time_us, index))
    return StreamPage(decoded, at, has_more, size_bytes)


METHODS: Final[dict[str, PartitionMethod]] = {
    "begin_stream": PartitionMethod(PeerLane.SCAN, begin_stream),
    "read_stream": PartitionMethod(PeerLane.SCAN, read_stream, result=Codec(_pack_page, _unpack_page)),
}
