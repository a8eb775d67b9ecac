"""What a node knows of all nodes: who is alive, told from how long ago each was seen to renew its lease.

That is seen from one list of names; what a lease says is read only where it says something new. Times are this node's
own: since when it has seen the newest number of each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from lutra.cluster.lease_records import NODES, NodeRecord, NodeState
from lutra.cluster.node_lease import CHANGED, MARGIN_S, Clock, mark_name
from lutra.model.errors import Corruption, ObjectMissing
from lutra.objects.manifest_log import Manifest, ManifestLog
from lutra.objects.store import ObjectStore

T = TypeVar("T")
Together = Callable[[Sequence[Callable[[], T]]], list[T]]

_CLAIMANT_BYTES: Final = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node by the newest number of its lease, seen first at ``since_s`` by this node's clock.

    ``record`` is what the number ``read`` says, 0 where none was read yet; ``marked``: there is something new from that
    number on.
    """

    name: str
    number: int
    since_s: float
    marked: int = 0
    read: int = 0
    record: NodeRecord | None = None


class NodeBoard:
    """Of one node. What is `known` may be looked at by any thread; the other methods are called by one at a time."""

    def __init__(
        self,
        store: ObjectStore,
        clock: Clock,
        token_bytes: Callable[[int], bytes],
        margin_s: float = MARGIN_S,
        ttl_s: float = 5.0,
    ) -> None:
        """Reads nothing yet.

        :param ttl_s: who has not looked for so long gives all others as long again before it takes them for dead.
        """
        self._store = store
        self._clock = clock
        self._token_bytes = token_bytes
        self._margin_s = margin_s
        self._ttl_s = ttl_s
        self._looked_s: float | None = None
        self.known: dict[str, SeenNode] = {}
        """By name. Never changed, but replaced."""

    def look(self, names: Sequence[str]) -> None:
        """Takes note of a list of the names of all nodes' objects that was just made: no request."""
        now_s = self._clock()
        was_away = self._looked_s is None or now_s - self._looked_s > self._ttl_s
        self._looked_s = now_s
        newest: dict[str, list[int]] = {}
        for name in names:
            node, _, ending = name[len(NODES) + 1 :].partition("/")
            found = newest.setdefault(node, [0, 0])
            digits = ending.removeprefix(CHANGED)
            if digits.isdecimal():
                which = int(ending.startswith(CHANGED))
                found[which] = max(found[which], int(digits))
        known = {}
        for node, (number, marked) in newest.items():
            if number:
                known[node] = self._seen(node, number, marked, now_s, was_away)
        self.known = known

    def _seen(self, node: str, number: int, marked: int, now_s: float, was_away: bool) -> SeenNode:
        before = self.known.get(node)
        if before is None:
            return SeenNode(node, number, now_s, marked)
        is_same = number <= before.number and not was_away
        return replace(
            before,
            number=max(number, before.number),
            since_s=before.since_s if is_same else now_s,
            marked=max(marked, before.marked),
        )

    def read_new(self, together: Together[SeenNode]) -> None:
        """Reads the leases that say something new, or may: those that were not renewed for long. Raises StorageFailure.

        One get each; none where all is as before.
        """
        now_s = self._clock()
        wanted = [node for node in self.known.values() if self._is_to_be_read(node, now_s)]
        found = together([lambda node=node: self._read(node) for node in wanted])  # type: ignore[misc]
        self.known = self.known | {node.name: node for node in found}

    def _is_to_be_read(self, node: SeenNode, now_s: float) -> bool:
        if node.record is None or node.marked > node.read:
            return True
        # Who put the mark may have died before, and what it said may be that the node is dead.
        is_late = now_s - node.since_s > node.record.ttl_s / 2
        return is_late and node.read < node.number

    def _read(self, node: SeenNode) -> SeenNode:
        log = ManifestLog(self._store, f"{NODES}/{node.name}")
        try:
            found = _newest(log, node.number)
            record = NodeRecord.from_json(found.payload)
        except Corruption as error:
            _log.error("the lease of node %s is damaged: %s", node.name, error)
            return node  # which must not hide the others
        since_s = node.since_s if found.number == node.number else self._clock()
        return replace(node, number=found.number, since_s=since_s, read=found.number, record=record)

    def late(self) -> list[SeenNode]:
        """Nodes that can be taken for dead: none of them can be sure of itself any more."""
        now_s = self._clock()
        return [
            node
            for node in self.known.values()
            if node.record is not None
            and node.read == node.number
            and not node.record.state.is_over
            and now_s - node.since_s > node.record.ttl_s + self._margin_s
        ]

    def declare_dead(self, node: SeenNode) -> bool:
        """Takes a node of `late` for dead; False where it, or another, was faster. Raises StorageFailure.

        Two puts and a list.
        """
        assert node.record is not None
        log = ManifestLog(self._store, f"{NODES}/{node.name}")
        number = node.number + 1
        record = replace(node.record, state=NodeState.DEAD)
        if not log.put(number, record.to_json(), self._token_bytes(_CLAIMANT_BYTES)):
            return False
        if max(log.numbers(), default=0) != number:
            return False
        dead = replace(node, number=number, since_s=self._clock(), read=number, record=record)
        self.known = self.known | {node.name: dead}
        self._store.put(mark_name(node.name, number), b"")
        return True

    def alive(self) -> dict[str, NodeRecord]:
        """Nodes that may be given partitions, by name."""
        return {
            node.name: node.record
            for node in self.known.values()
            if node.record is not None and node.record.state is NodeState.ALIVE
        }

    def is_over(self, name: str, incarnation: int) -> bool:
        """Whether that run of a node is surely over. False where this node has not heard of it yet."""
        node = self.known.get(name)
        if node is None or node.record is None or node.record.incarnation < incarnation:
            return False
        return node.record.incarnation > incarnation or node.record.state.is_over

    def address(self, name: str, incarnation: int) -> str | None:
        """Where that run of a node is reached; None where it is over, or not known."""
        node = self.known.get(name)
        if node is None or node.record is None or node.record.incarnation != incarnation:
            return None
        return None if node.record.state.is_over else node.record.address


def _newest(log: ManifestLog, number: int) -> Manifest:
    """That of a number, or the newest where it is gone."""
    try:
        return log.read(number)
    except ObjectMissing:
        latest = log.latest()
        assert latest is not None  # the newest is never deleted
        return latest
