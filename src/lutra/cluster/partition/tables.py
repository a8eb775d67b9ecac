"""The table of one partition: whether it is served, and made what the map says."""

from __future__ import annotations

from typing import Final

from lutra.cluster.host import OwnedPartition
from lutra.cluster.map import IndexEntry, TableEntry
from lutra.cluster.methods import PeerLane
from lutra.cluster.partition.method import PartitionMethod
from lutra.cluster.wire import register

register(TableEntry)
register(IndexEntry)


def ready(_: OwnedPartition) -> None:
    """Returns where the partition is served."""


def let_go(owned: OwnedPartition) -> None:
    """The map has it no more: nothing is answered from it from now on. Its node closes it soon."""
    owned.calls.close()


def reconcile(owned: OwnedPartition, table: TableEntry) -> None:
    """As `OwnedPartition.reconcile`."""
    owned.reconcile(table)


def is_index_filled(owned: OwnedPartition, name: str) -> bool:
    """Whether a secondary index has all rows of the partition."""
    is_filled = owned.outgoing.is_filled(name)
    if is_filled is not None:
        return is_filled
    tables = owned.instance.tables
    indexes = tables.describe(owned.table.name).schema.indexes
    return any(index.name == name and tables.is_index_filled(index) for index in indexes)


METHODS: Final[dict[str, PartitionMethod]] = {
    "ready": PartitionMethod(PeerLane.CONTROL, ready),
    "let_go": PartitionMethod(PeerLane.SCHEMA, let_go, writes=True, repeats=True),
    "reconcile": PartitionMethod(PeerLane.SCHEMA, reconcile, writes=True, repeats=True),
    "is_index_filled": PartitionMethod(PeerLane.SCAN, is_index_filled),
}
