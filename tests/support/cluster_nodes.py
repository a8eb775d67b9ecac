"""Nodes of a cluster as controllers without threads, over one store in memory and one time; whoever opens pretends to.

A node can be stalled at any of its requests: others go on, and time passes, in the midst of its step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from support.cluster_maps import map_of
from support.memory_store import LostAnswer, LostRequest, MemoryStore

from lutra.cluster.controller import Controller, ControllerSettings
from lutra.cluster.map import PartitionEntry, PartitionState, TableEntry
from lutra.cluster.map_log import MapLog
from lutra.cluster.placement import place
from lutra.model.errors import StorageFailure


class PretendingOpener:
    """Remembers what is open, as a storage that is fenced by who opens last does: all openers share ``fences``."""

    def __init__(self, fences: dict[str, object]) -> None:
        self._fences = fences
        self.epochs: dict[str, int] = {}
        self.events: list[tuple[str, str]] = []
        self.fails: dict[str, Exception] = {}
        """What opening a partition raises, by id."""

    def open(self, entry: PartitionEntry, table: TableEntry, epoch: int) -> None:
        assert entry.table == table.uid
        assert entry.id not in self.epochs
        self.events.append(("open", entry.id))
        if entry.id in self.fails:
            raise self.fails[entry.id]
        self._fences[entry.id] = self
        self.epochs[entry.id] = epoch

    def close(self, partition_id: str) -> None:
        if self.epochs.pop(partition_id, None) is not None:
            self.events.append(("close", partition_id))

    def broken(self) -> Iterable[str]:
        return [each for each in self.epochs if self._fences[each] is not self]


@dataclass
class Node:
    """One run of a node, known by ``run`` and called ``name``. ``rate``: how fast its clock runs."""

    run: str
    name: str
    controller: Controller
    opener: PretendingOpener
    rate: float

    def owns(self) -> dict[str, int]:
        """The partitions that it answers from at this moment, with their epochs."""
        return dict(self.opener.epochs) if self.controller.is_sure() else {}


class Cluster:
    """All there is; checks at every request that nobody answers from what another does."""

    def __init__(self, rng: random.Random, *, faults: float = 0.0, stalls: float = 0.0) -> None:
        self.rng = rng
        self.now_s = 1_000.0
        self.objects: dict[str, bytes] = {}
        self.nodes: dict[str, Node] = {}
        """By run."""
        self._runs = 0
        self.stores: dict[str, MemoryStore] = {}
        """Of the newest run of each node."""
        self.faults, self.stalls = faults, stalls
        self.cut_off: set[str] = set()
        """Names of nodes that do not reach the store."""
        self.at_request: Callable[[str, str, str], None] | None = None
        """Called before each request of a node, with its kind and the name: it may raise what the store is to do."""
        self.settings = ControllerSettings(opens_per_step=8, moves_per_step=2)
        self._fences: dict[str, object] = {}
        self._epochs: dict[str, int] = {}
        self._running: list[str] = []
        self.maps = MapLog(MemoryStore(self.objects), self.token_bytes)

    def token_bytes(self, length: int) -> bytes:
        return self.rng.getrandbits(8 * length).to_bytes(length, "big")

    def store(self, run: str) -> MemoryStore:
        return MemoryStore(self.objects, lambda kind, object_name: self._before(run, kind, object_name))

    def _before(self, run: str, kind: str, object_name: str) -> None:
        """At each request of a node: it may stall there, while others go on."""
        name = run.partition(".")[0]
        if name in self.cut_off:
            raise LostRequest
        if self.at_request is not None:
            self.at_request(name, kind, object_name)
        if self.stalls and len(self._running) < 3 and self.rng.random() < self.stalls:
            for _ in range(self.rng.randrange(1, 8)):
                self.now_s += self.rng.choice((0.0, 0.3, 1.0, 3.0))
                self.run_any()
        self.check()
        if self.faults and self.rng.random() < self.faults:
            raise self.rng.choice((LostAnswer, LostRequest))

    def start(self, name: str, capacity: int = 1, *, beside: bool = False) -> Node:
        """A new run of a node; those that were running are as if killed, unless it is ``beside`` them."""
        if not beside:
            self.kill(name)
        self._runs += 1
        run = f"{name}.{self._runs}"
        rate = self.rng.choice((0.97, 1.0, 1.03))
        began_s = self.now_s
        opener = PretendingOpener(self._fences)
        store = self.store(run)
        self.stores[name] = store
        controller = Controller(
            store,
            name,
            f"{name}:80",
            opener,
            MapLog(store, self.token_bytes),
            settings=self.settings,
            capacity=capacity,
            clock=lambda: 7.0 + (self.now_s - began_s) * rate,
            token_bytes=self.token_bytes,
            nudge=lambda address, partition_id: self.nudge(address, partition_id),
        )
        self.nodes[run] = Node(run, name, controller, opener, rate)
        return self.nodes[run]

    def kill(self, name: str) -> None:
        """All runs of a node end at once."""
        self.nodes = {run: node for run, node in self.nodes.items() if node.name != name}

    def nudge(self, address: str, partition_id: str) -> None:
        for node in self.nodes.values():
            if address == f"{node.name}:80":
                node.controller.look([partition_id])

    def run_any(self) -> None:
        """One beat or one step of some node, that is not in the midst of one."""
        idle = [run for run in sorted(self.nodes) if run not in self._running]
        if idle:
            node = self.nodes[self.rng.choice(idle)]
            self.run(node, self.rng.choice((node.controller.beat, node.controller.step)))

    def run(self, node: Node, what: Callable[[], object]) -> None:
        """The store may fail at any request: that is for later beats and steps to mend."""
        self._running.append(node.run)
        try:
            what()
        except StorageFailure:
            assert self.faults or self.cut_off or self.at_request
        finally:
            self._running.remove(node.run)
        self.check()

    def run_all(self, rounds: int, second_s: float = 1.0) -> None:
        """All nodes beat and step in turn, once a second."""
        for _ in range(rounds):
            self.now_s += second_s
            for _, node in sorted(self.nodes.items()):
                self.run(node, node.controller.beat)
                self.run(node, node.controller.step)

    def check(self) -> None:
        """No partition is answered from by two, nor by one with a smaller epoch than one before had."""
        owners: dict[str, str] = {}
        for node in self.nodes.values():
            for partition_id, epoch in node.owns().items():
                assert partition_id not in owners, f"{partition_id} is {owners[partition_id]}'s and {node.run}'s"
                owners[partition_id] = node.run
                assert epoch >= self._epochs.get(partition_id, 0)
                self._epochs[partition_id] = epoch

    def end_doubles(self) -> None:
        """Of several runs of a node all but one end."""
        for name in {node.name for node in self.nodes.values()}:
            runs = sorted(run for run, node in self.nodes.items() if node.name == name)
            kept = self.rng.choice(runs)
            self.nodes = {run: node for run, node in self.nodes.items() if node.name != name or run == kept}

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes.values() if node.name == name)

    def owners(self) -> dict[str, str]:
        """The node of each partition that is answered from, and is not fenced."""
        return {
            each: node.name for node in self.nodes.values() for each in node.owns() if self._fences[each] is node.opener
        }

    def placed(self) -> dict[str, str]:
        """Where all partitions are to be in the end."""
        of = self.maps.newest()
        ids = [each.id for each in of.partitions if each.state is PartitionState.SERVING]
        shares = {node.name: node.controller.capacity for node in self.nodes.values()}
        return place(ids, shares)

    def fence(self, partition_id: str) -> None:
        """Somebody opens a partition in the store, as one would who stalled before that."""
        self._fences[partition_id] = object()

    def events(self) -> list[tuple[str, str, str]]:
        return [(node.run, *event) for node in self.nodes.values() for event in node.opener.events]

    def rounds_until_placed(self, rounds_max: int) -> int:
        """How many rounds it takes until everybody has what it should; AssertionError where that is too many."""
        for rounds in range(rounds_max):
            if self.owners() == self.placed() and all(node.controller.is_sure() for node in self.nodes.values()):
                return rounds
            self.run_all(1)
        raise AssertionError(f"{self.owners()} is not {self.placed()} after {rounds_max} rounds")

    def rounds_until_served(self, rounds_max: int) -> int:
        """How many rounds it takes until every partition is answered from, by whoever."""
        for rounds in range(rounds_max):
            if self.owners().keys() == self.placed().keys():
                return rounds
            self.run_all(1)
        raise AssertionError(f"{self.placed().keys() - self.owners().keys()} is nobody's after {rounds_max} rounds")


def cluster_of(names: Iterable[str], partitions: int, seed: int = 0) -> Cluster:
    """A cluster of these nodes where all is placed."""
    cluster = Cluster(random.Random(seed))
    cluster.maps.change(lambda of: map_of(partitions))
    for name in names:
        cluster.start(name)
    cluster.rounds_until_placed(80)
    return cluster
