"""Searches and scans of the rows of one partition. Which index is meant its uid says: of two that exchange names, one
partition may not have heard yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack

from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition
from lutra.cluster.methods import PeerLane
from lutra.cluster.partition import packing
from lutra.cluster.partition.method import Codec, PartitionMethod
from lutra.model.errors import ServerBusy
from lutra.model.indexes import IndexDescription, IndexSchema
from lutra.model.queries import ColumnsToGet
from lutra.model.rows import KeyInput, PrimaryKey, Row
from lutra.model.scans import ScanRequest, ScanResult
from lutra.model.shards import ShardCall, ShardReply


def search_shard(owned: OwnedPartition, uid: int, call: ShardCall, routing: Sequence[KeyInput]) -> ShardReply:
    """As `Instance.search_shard`. Raises Moved where the index is not open yet: it is asked again soon, and nothing
    waits here for that meanwhile."""
    return owned.instance.search_shard(owned.table.name, _open_index(owned, uid), call, routing)


def hit_rows(owned: OwnedPartition, uid: int, keys: Sequence[PrimaryKey], columns: ColumnsToGet) -> list[Row | None]:
    """As `Instance.hit_rows`."""
    return owned.instance.hit_rows(owned.table.name, _index(owned, uid), keys, columns)


def describe_index(owned: OwnedPartition, uid: int) -> IndexDescription:
    """As `Instance.describe_search_index`."""
    return owned.instance.describe_search_index(owned.table.name, _index(owned, uid))


def answering_schema(owned: OwnedPartition, uid: int) -> IndexSchema:
    """As `Instance.answering_schema`."""
    return owned.instance.answering_schema(owned.table.name, _index(owned, uid))


def begin_scan(owned: OwnedPartition, uid: int) -> bytes:
    """As `Instance.begin_scan`."""
    return owned.instance.begin_scan(owned.table.name, _open_index(owned, uid))


def keep_scan(owned: OwnedPartition, uid: int, session: bytes, alive_s: int) -> None:
    """As `Instance.keep_scan`."""
    owned.instance.keep_scan(owned.table.name, _index(owned, uid), session, alive_s)


def scan(owned: OwnedPartition, uid: int, request: ScanRequest) -> ScanResult:
    """As `Instance.scan`."""
    return owned.instance.scan(owned.table.name, _open_index(owned, uid), request)


def _index(owned: OwnedPartition, uid: int) -> str:
    """The name of an index. Raises Moved where the partition does not know it, or not yet: the map says which it is."""
    for definition in owned.partition.indexes.all():
        if definition.uid == uid:
            return definition.name
    raise Moved(f"partition {owned.id} has no search index {uid}")


def _open_index(owned: OwnedPartition, uid: int) -> str:
    """As `_index`, of one that is open. Raises IndexDamaged where that is why it is not."""
    name = _index(owned, uid)
    try:
        owned.instance.check_opened(owned.table.name, name)
    except ServerBusy as error:
        raise Moved(f"partition {owned.id}: {error}") from None
    return name


# --- how they are sent ------------------------------------------------------------------------------------------------


def _pack_rows(rows: Sequence[Row | None]) -> bytes:
    packed: bytes = msgpack.packb([None if row is None else (row.key, row.cells) for row in rows], use_bin_type=True)
    return packed


def _unpack_rows(packed: bytes) -> list[Row | None]:
    found = msgpack.unpackb(packed, use_list=False, raw=False)
    return [None if row is None else Row(row[0], list(row[1])) for row in found]


def _pack_reply(reply: ShardReply) -> list[Any]:
    return [
        reply.session,
        reply.is_behind,
        reply.gathered,
        reply.hits,
        reply.total,
        reply.aggregated,
        reply.aggregating_us,
        None if reply.rows is None else _pack_rows(reply.rows),
        reply.highlights,
        reply.inner_hits,
        reply.stats,
        reply.is_complete,
        reply.other_schema,
    ]


def _unpack_reply(packed: list[Any]) -> ShardReply:
    reply = ShardReply(*packed)
    rows: Any = reply.rows
    reply.rows = None if rows is None else _unpack_rows(rows)
    return reply


METHODS: Final[dict[str, PartitionMethod]] = {
    "search_shard": PartitionMethod(PeerLane.SEARCH, search_shard, result=Codec(_pack_reply, _unpack_reply)),
    "hit_rows": PartitionMethod(PeerLane.SCAN, hit_rows, result=Codec(_pack_rows, _unpack_rows)),
    "describe_index": PartitionMethod(PeerLane.SCAN, describe_index),
    "answering_schema": PartitionMethod(PeerLane.SCAN, answering_schema),
    "begin_scan": PartitionMethod(PeerLane.SEARCH, begin_scan),
    "keep_scan": PartitionMethod(PeerLane.POINT, keep_scan),
    "scan": PartitionMethod(
        PeerLane.SEARCH,
        scan,
        result=Codec(
            lambda page: [packing.pack_rows(page.rows), page.next_token],
            lambda sent: ScanResult(packing.unpack_rows(sent[0]), sent[1]),
        ),
    ),
}
