"""All that a node is asked of its partitions: by the names of methods, on the lanes that these say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from lutra.cluster.host import PartitionHost
from lutra.cluster.methods import Methods, PeerLane
from lutra.cluster.partition import indexes, rows, search, streams, tables
from lutra.cluster.partition.method import PartitionMethod
from lutra.model.errors import ParameterInvalid

PARTITION_METHODS: Final[dict[str, PartitionMethod]] = {
    **rows.METHODS,
    **tables.METHODS,
    **indexes.METHODS,
    **streams.METHODS,
    **search.METHODS,
}
"""By name. Modules below `lutra.cluster.partition` have one kind each."""


def peer_method(lane: PeerLane) -> str:
    """Under which name other nodes call those of a lane."""
    return f"partition/{lane.value.removeprefix('peer-')}"


def add_partition_methods(methods: Methods, host: PartitionHost) -> None:
    """Has a node answer for the partitions of ``host``."""
    for lane in PeerLane:
        methods.add(peer_method(lane), lane, partial(_answer, host, lane))


def perform(host: PartitionHost, partition_id: str, name: str, arguments: Sequence[Any]) -> Any:
    """Makes a call at the partition's owner, which is this node. Raises Moved where it is not, and nothing was done."""
    method = PARTITION_METHODS[name]
    owned = host.get(partition_id)
    with owned.writing() if method.writes else owned.reading():
        return method.call(owned, *arguments)


def _answer(host: PartitionHost, lane: PeerLane, payload: Sequence[Any]) -> Any:
    partition_id, name, sent = payload
    method = PARTITION_METHODS.get(name)
    if method is None or method.lane is not lane:
        raise ParameterInvalid(f"a partition has no method {name} on lane {lane.value}")
    return method.result.pack(perform(host, partition_id, name, method.arguments.unpack(sent)))
