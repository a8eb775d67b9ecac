"""Several nodes' partitions in one process, each node with its own host, router and gateway; calls go from node to node
as bytes, without a network. Placement is by the partition's id, and there are no leases: `move` says who has what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lutra.cluster.errors import PeerLost, PeerUnreachable
from lutra.cluster.gateway.engine import GatewayEngine
from lutra.cluster.gateway.instance import GatewayInstance
from lutra.cluster.gateway.router import Router
from lutra.cluster.gateway.views import MapView, OwnerView
from lutra.cluster.host import PartitionHost
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState
from lutra.cluster.map_log import MapLog
from lutra.cluster.methods import Methods
from lutra.cluster.partition_methods import add_partition_methods
from lutra.cluster.peers import Peers
from lutra.cluster.signing import DIGEST_HEADER, SIGNATURE_HEADER, TIME_HEADER, digest_of, signature_of
from lutra.cluster.splits.splitting import Split, Splitter
from lutra.cluster.wire import decode, encode
from lutra.index.lsm.resources import Resources
from lutra.model.clock import Clock, SystemClock
from lutra.model.deadline import current_deadline
from lutra.model.errors import LutraError
from lutra.objects.opening import open_store

INSTANCE = "main"
_MEMORY_BYTES = 32 * 1024 * 1024
_SECRET = b"s" * 32


class LocalPeers(Peers):
    """Calls the methods of nodes of this process. ``faults``: by address, what is raised of a call in its place.

    A fault that is a function gets the call and makes it, or not.
    """

    def __init__(self, nodes: dict[str, Methods]) -> None:
        super().__init__(_SECRET)
        self._nodes = nodes
        self.calls: list[tuple[str, Any]] = []
        self.faults: dict[str, Callable[[Callable[[], Any]], Any]] = {}

    def call(self, address: str, method: str, payload: object = None, *, timeout_s: float | None = None) -> Any:
        current_deadline().check()
        self.calls.append((address, payload))
        fault = self.faults.get(address)

        def answer() -> Any:
            return self._answer(address, method, payload)

        return answer() if fault is None else fault(answer)

    def _answer(self, address: str, method: str, payload: object) -> Any:
        methods = self._nodes.get(address)
        if methods is None:
            raise PeerUnreachable(address)
        body = encode(payload)
        now, digest = str(int(time.time())), digest_of(body)
        headers = [
            (TIME_HEADER.encode(), now.encode()),
            (DIGEST_HEADER.encode(), digest.encode()),
            (SIGNATURE_HEADER.encode(), signature_of(_SECRET, method, now, digest).encode()),
        ]
        assert methods.admit(method, headers) is not None
        status, data = methods.answer(method, headers, body)
        if status == 200:
            return decode(data)
        error = decode(data) if status == 409 else None
        raise error if isinstance(error, LutraError) else PeerLost(f"{address} failed in {method} ({status})")


class _Leases:
    """What a split asks of a node's leases: here they only say who has what."""

    def __init__(self, owners: dict[str, str], node: str) -> None:
        self._owners = owners
        self._node = node

    def pinned(self, partition_id: str) -> AbstractContextManager[object]:
        return nullcontext()

    def claim(self, partition_id: str) -> int:
        return 1

    def adopt(self, partition_id: str) -> None:
        self._owners[partition_id] = self._node

    def give_up(self, partition_id: str) -> None:
        pass


class LocalNode:
    """One of several. ``engine`` is its gateway."""

    def __init__(self, cluster: LocalCluster, name: str, root: Path, nodes: dict[str, Methods], clock: Clock) -> None:
        self.name = name
        self.resources = Resources.open(str(root), root / f"scratch-{name}", _MEMORY_BYTES)
        self.host = PartitionHost(str(root), self.resources, lambda: lambda: True, clock)
        self.methods = nodes[name] = Methods(_SECRET)
        add_partition_methods(self.methods, self.host)
        self.peers = LocalPeers(nodes)
        store = open_store(str(root))
        self.maps = MapLog(store)
        self.router = Router(MapView(self.maps), OwnerView(cluster.owner_of), self.peers, self.host)
        self.engine = GatewayEngine(self.router, cluster.look, clock)
        self.splitter = Splitter(self.maps, self.host, _Leases(cluster.owners, name), store)

    @property
    def instance(self) -> GatewayInstance:
        return self.engine.instance(INSTANCE)

    def close(self) -> None:
        self.host.close_all()
        self.peers.close()
        self.resources.close()


class LocalCluster:
    """``nodes``: so many, each of which may be asked."""

    def __init__(self, root: Path, nodes: int, clock: Clock) -> None:
        self.owners: dict[str, str] = {}
        """Which node has which partition."""
        self._lock = threading.Lock()
        by_name: dict[str, Methods] = {}
        self.nodes = [LocalNode(self, f"n{number}", root, by_name, clock) for number in range(nodes)]
        self._by_name = {node.name: node for node in self.nodes}
        self.nodes[0].engine.create_instance(INSTANCE)

    def owner_of(self, partition_id: str) -> str | None:
        return self.owners.get(partition_id)

    def owner(self, partition_id: str) -> LocalNode:
        return self._by_name[self.owners[partition_id]]

    def partitions(self, table: str) -> list[PartitionEntry]:
        known = self.nodes[0].router.maps.read()
        return known.partitions_of(known.table(INSTANCE, table).uid)

    def look(self, known: ClusterMap, entries: Sequence[PartitionEntry]) -> None:
        """Opens what serves and nobody has, the next node each time, and closes what does not."""
        with self._lock:
            for entry in entries:
                now = known.partition(entry.id)
                if now is not None and now.state is PartitionState.SERVING:
                    if entry.id not in self.owners:
                        self._open(known, now, self.nodes[len(self.owners) % len(self.nodes)])
                elif entry.id in self.owners:
                    self._by_name[self.owners.pop(entry.id)].host.close(entry.id)

    def move(self, partition_id: str, to: LocalNode | None = None) -> LocalNode:
        """Another node takes a partition over from its owner, who closes it. Gives the new owner."""
        with self._lock:
            known = self.nodes[0].router.maps.read()
            entry = known.partition(partition_id)
            assert entry is not None
            owner = self._by_name[self.owners.pop(partition_id)]
            owner.host.close(partition_id)
            to = to or self.nodes[(self.nodes.index(owner) + 1) % len(self.nodes)]
            self._open(known, entry, to)
            return to

    def split(self, partition_id: str, at: bytes | None = None) -> Split:
        """Two partitions take the place of one, on the same node."""
        with self._lock:
            split = self.owner(partition_id).splitter.split(partition_id, at)
            del self.owners[partition_id]
            return split

    def _open(self, known: ClusterMap, entry: PartitionEntry, node: LocalNode) -> None:
        table = known.table_of(entry)
        assert table is not None
        node.host.open(entry, table, 1)
        self.owners[entry.id] = node.name

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@contextmanager
def local_cluster(root: Path, nodes: int = 3, clock: Clock | None = None) -> Iterator[LocalCluster]:
    cluster = LocalCluster(root, nodes, clock or SystemClock())
    try:
        yield cluster
    finally:
        cluster.close()
