"""How a cluster is: from its store, and from what its nodes say of themselves."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from lutra.cluster.errors import Moved, PeerUnreachable
from lutra.cluster.identity import Identity
from lutra.cluster.lease_records import NODES, NodeRecord
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState
from lutra.cluster.map_log import MapLog
from lutra.cluster.node_board import NodeBoard
from lutra.cluster.partition_leases import UNOWNED, PartitionLease, PartitionLeases
from lutra.cluster.partition_status import PartitionStatus, UnopenedPartition
from lutra.cluster.peers import Call, Peers
from lutra.cluster.splits.ranges import bounds_of
from lutra.cluster.wire import register
from lutra.model.errors import ServerBusy
from lutra.objects.store import ObjectStore
from lutra.tables.bounds import EVERYWHERE

STATUS_METHOD: Final = "node/status"
SPLIT_METHOD: Final = "node/split"
_ASK_S: Final = 3.0
_READS_AT_ONCE: Final = 16
_SHOWN: Final = (PartitionState.SERVING, PartitionState.RETIRED)
T = TypeVar("T")


@register
@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node says of itself. ``sure_for_s``: so long it may answer without renewing its lease."""

    name: str
    sure_for_s: float
    map_version: int
    partitions: tuple[PartitionStatus, ...]
    unopened: tuple[UnopenedPartition, ...]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """``report`` None: it does not answer. ``partitions``: how many it owns by their leases."""

    name: str
    record: NodeRecord
    partitions: int
    report: NodeReport | None


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """``owner`` None: nobody has it. ``told`` None: who has it does not answer for it, not yet say; ``unopened`` says
    why where it could not be opened."""

    entry: PartitionEntry
    table: str
    begin: object
    end: object
    owner: str | None
    epoch: int
    told: PartitionStatus | None
    unopened: UnopenedPartition | None

    @property
    def state(self) -> str:
        """``serving`` and ``retired`` are the map's; what serves and is not answered for is ``opening``, ``failed`` or
        ``unowned``."""
        if self.entry.state is not PartitionState.SERVING or self.told is not None:
            return self.entry.state.name.lower()
        if self.unopened is not None:
            return "failed"
        return "unowned" if self.owner is None else "opening"


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """Nodes that have not left by name; partitions that serve, or did, by table and range."""

    id: str
    map_version: int
    nodes: tuple[NodeStatus, ...]
    partitions: tuple[PartitionRow, ...]


def read_status(store: ObjectStore, identity: Identity) -> ClusterStatus:
    """Raises StorageFailure, Corruption. A node that does not answer within 3 s is told as one that does not."""
    known = MapLog(store).newest()
    records = node_records(store)
    shown = [entry for entry in known.partitions if entry.state in _SHOWN]
    owners = _read_owners(store, shown)
    reports = _ask(identity, records)
    told = {(report.name, each.id): each for report in reports.values() for each in report.partitions}
    unopened = {(report.name, each.id): each for report in reports.values() for each in report.unopened}
    rows = [_row(known, entry, owners[entry.id], records, told, unopened) for entry in shown]
    count = {name: sum(row.owner == name for row in rows) for name in records}
    nodes = [
        NodeStatus(name, record, count[name], reports.get(name))
        for name, record in sorted(records.items())
        if not record.state.is_over
    ]
    return ClusterStatus(
        identity.id,
        known.version,
        tuple(nodes),
        tuple(sorted(rows, key=lambda row: (row.table, row.entry.state, row.entry.begin))),
    )


def ask_owner(store: ObjectStore, identity: Identity, partition_id: str, method: str, payload: object) -> Any:
    """What the node says that has a partition. Raises ServerBusy where nobody has it, what the node raises, and as
    `read_status`."""
    lease = PartitionLeases(store, secrets.token_bytes).newest(partition_id)
    owner = _owner_of(lease, node_records(store))
    if owner is None:
        raise ServerBusy(f"no node has partition {partition_id} at this moment, try again")
    peers = Peers(bytes.fromhex(identity.peer_secret))
    try:
        return peers.call(owner[1].address, method, payload)
    except (Moved, PeerUnreachable) as error:
        raise ServerBusy(f"partition {partition_id} is being handed over, try again ({error})") from error
    finally:
        peers.close()


def node_records(store: ObjectStore) -> dict[str, NodeRecord]:
    """What all nodes there ever were say last, by name. A list and a get each."""
    board = NodeBoard(store, time.monotonic, secrets.token_bytes)
    board.look(store.list(NODES))
    board.read_new(_together)
    return {name: node.record for name, node in board.known.items() if node.record is not None}


def _read_owners(store: ObjectStore, entries: Sequence[PartitionEntry]) -> dict[str, PartitionLease]:
    """One list of all leases, and a get for each."""
    leases = PartitionLeases(store, secrets.token_bytes)
    epochs = leases.epochs()

    def read(entry: PartitionEntry) -> PartitionLease:
        epoch = epochs.get(entry.id, 0)
        return leases.read(entry.id, epoch) if epoch else UNOWNED

    found = _together([partial(read, entry) for entry in entries])
    return {entry.id: lease for entry, lease in zip(entries, found, strict=True)}


def _ask(identity: Identity, records: dict[str, NodeRecord]) -> dict[str, NodeReport]:
    alive = {name: record for name, record in records.items() if not record.state.is_over}
    peers = Peers(bytes.fromhex(identity.peer_secret))
    try:
        answers = peers.call_many([Call(record.address, STATUS_METHOD) for record in alive.values()], _ASK_S)
    finally:
        peers.close()
    return {
        name: answer
        for name, answer in zip(alive, answers, strict=True)
        # Another may have the address by now.
        if isinstance(answer, NodeReport) and answer.name == name
    }


def _row(
    known: ClusterMap,
    entry: PartitionEntry,
    lease: PartitionLease,
    records: dict[str, NodeRecord],
    told: dict[tuple[str, str], PartitionStatus],
    unopened: dict[tuple[str, str], UnopenedPartition],
) -> PartitionRow:
    table = known.table_of(entry)
    name = "" if table is None else f"{table.instance}/{table.name}"
    bounds = EVERYWHERE if table is None else bounds_of(entry, table.schema)
    owner = (_owner_of(lease, records) or (None,))[0]
    at = owner or "", entry.id
    return PartitionRow(entry, name, bounds.begin, bounds.end, owner, lease.epoch, told.get(at), unopened.get(at))


def _owner_of(lease: PartitionLease, records: dict[str, NodeRecord]) -> tuple[str, NodeRecord] | None:
    """The run of a node that a lease names, where that is not over."""
    if lease.record is None or lease.record.is_released:
        return None
    record = records.get(lease.record.node)
    if record is None or record.state.is_over or record.incarnation != lease.record.incarnation:
        return None
    return lease.record.node, record


def _together(calls: Sequence[Callable[[], T]]) -> list[T]:
    with ThreadPoolExecutor(_READS_AT_ONCE, "lutra-status") as readers:
        return list(readers.map(lambda call: call(), calls))
