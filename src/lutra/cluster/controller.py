"""What a node does to own what it should: it renews its lease, looks who is alive, takes, opens, hands over, lets go.

All of it is steps, which whoever runs the node calls again and again: `Controller.beat` well within the time to live,
`Controller.step` in another thread, as that may wait for partitions to open. There is no thread and no timer in here,
time and chance are handed in: so every order of events can be tried out.

Whatever happens between two requests, and whenever a node dies: a partition is owned by whom its newest lease names, as
long as that run of the node is not over, and a node answers from it only as long as it is sure of its own lease.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from lutra.cluster.errors import Moved
from lutra.cluster.holdings import Holding, Holdings, HoldingState
from lutra.cluster.lease_records import CAPACITY_MAX, NODES, NodeRecord, NodeState, PartitionRecord
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState, TableEntry
from lutra.cluster.map_log import MapLog
from lutra.cluster.node_board import NodeBoard, SeenNode
from lutra.cluster.node_lease import MARGIN_S, TTL_S, Clock, NodeLease, boot_clock_s
from lutra.cluster.partition_leases import UNOWNED, PartitionLease, PartitionLeases
from lutra.cluster.placement import place
from lutra.cluster.process import Process
from lutra.model.errors import Corruption, ParameterInvalid, PartitionUnopened, StorageFailure
from lutra.objects.store import ObjectStore

_NAMES_A_LIST: Final = 1_000

_log = logging.getLogger(__name__)

Together = Callable[[Sequence[Callable[[], Any]]], list[Any]]
"""Does all of them, perhaps at the same time, and returns what they return in their order."""


class PartitionOpener(Protocol):
    """What serves partitions. Its methods are called for several partitions at once, for one by one thread."""

    def open(self, entry: PartitionEntry, table: TableEntry, epoch: int) -> object:
        """Opens a partition, which fences whoever has it open elsewhere; it is answered from when this returns."""

    def close(self, partition_id: str) -> None:
        """Nothing of it is acknowledged any more when this returns, and all that was is in the store.

        Does nothing where it is not open.
        """

    def broken(self) -> Iterable[str]:
        """Ids of partitions that are open and cannot go on as they are: fenced by one that came too late, say."""


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """``ttl_s``: others take a node for dead when they have not seen it renew its lease for so long, and ``margin_s``.

    ``settle_s``: nothing is handed over before the nodes, and who has it, have been the same for so long.
    ``patience_s``: so long a partition waits for the successor that was named, before another takes it. One that cannot
    be opened is tried again after ``retry_first_s``, then twice that and so on to ``retry_max_s``.
    """

    ttl_s: float = TTL_S
    margin_s: float = MARGIN_S
    settle_s: float = TTL_S
    patience_s: float = 3 * TTL_S
    opens_per_step: int = 16
    moves_per_step: int = 4
    retry_first_s: float = 1.0
    retry_max_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a partition. ``epoch`` 0: nobody has said so, it is who should have it."""

    node: str
    address: str
    epoch: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """A partition's lease that was read, and since when it is the newest that is known."""

    lease: PartitionLease
    since_s: float


@dataclass(frozen=True, slots=True)
class _Placed:
    """Which node should have each partition, and which of them are this node's. ``key``: of what that was told."""

    key: object
    nodes: dict[str, str]
    own: frozenset[str]


def one_by_one(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Does them in their order."""
    return [task() for task in tasks]


class Controller:
    """Of one node. `beat` and `step` are called by one thread each, all else by any.

    Both raise StorageFailure and Corruption where the store fails: they are called again as if nothing had been.
    """

    def __init__(
        self,
        store: ObjectStore,
        node: str,
        address: str,
        opener: PartitionOpener,
        maps: MapLog,
        *,
        settings: ControllerSettings | None = None,
        capacity: int = 1,
        process: Process | None = None,
        clock: Clock = boot_clock_s,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
        together: Together = one_by_one,
        beat_together: Together = one_by_one,
        nudge: Callable[[str, str], None] | None = None,
    ) -> None:
        """Reads nothing yet. Raises ParameterInvalid.

        :param address: where other nodes reach this one.
        :param capacity: how many shares of the partitions it takes.
        :param together: does what `step` does of several partitions.
        :param beat_together: reads for `beat`, which is never to wait for partitions that are being opened.
        :param nudge: tells the node at an address to look at a partition, or fails without harm: it saves time.
        """
        if not 1 <= capacity <= CAPACITY_MAX:
            raise ParameterInvalid(f"the capacity of a node is in [1, {CAPACITY_MAX}], not {capacity}")
        self.settings = settings or ControllerSettings()
        self.node = node
        self.capacity = capacity
        self._store = store
        self._opener = opener
        self._maps = maps
        self._clock = clock
        self._token_bytes = token_bytes
        self._together = together
        self._beat_together = beat_together
        self._nudge = nudge
        self._record = NodeRecord(0, address, self.settings.ttl_s, capacity, process)
        self._lease = self._new_lease()
        self._leases = PartitionLeases(store, token_bytes)
        self.board = NodeBoard(store, clock, token_bytes, self.settings.margin_s, self.settings.ttl_s)
        self.holdings = Holdings()
        self._seen: dict[str, _Seen] = {}
        """Leases of partitions that were read."""
        self._pruned = 0
        """The version of the map in which all of those were."""
        self._unsettled: dict[str, int] = {}
        """Partitions whose lease may have become this node's, or may yet: the epoch that it was to follow."""
        self._asked: set[str] = set()
        """Partitions that others say are this node's to take."""
        self._is_leaving = False
        self._is_empty = False
        """It is leaving, and has nothing any more."""
        self._alive: tuple[tuple[str, int], ...] = ()
        self._alive_since_s = clock()
        self._placed = _Placed(None, {}, frozenset())

    # --- what others ask --------------------------------------------------------------------------------------------

    def is_sure(self) -> bool:
        """Whether what this node holds is surely its own at this moment (`NodeLease.is_sure`)."""
        return self._lease.is_sure()

    def sureness(self) -> Callable[[], bool]:
        """`is_sure` of this run alone: where the node is taken for dead and goes on as another run, never true again.

        What was opened by one run is not another's: somebody else may have had it in between.
        """
        return self._lease.is_sure

    def sure_for_s(self) -> float:
        """So long it will be sure without another `beat`."""
        return self._lease.sure_for_s()

    @property
    def has_left(self) -> bool:
        """Whether it was told to leave, and has nothing any more."""
        return self._is_leaving and self._lease.is_over

    def look(self, partition_ids: Iterable[str] = ()) -> None:
        """Has the next step look at these partitions, which may be this node's to take."""
        self._asked |= set(partition_ids)

    def leave(self) -> None:
        """From now on all is handed over: `beat` and `step` are called until it `has_left`."""
        self._is_leaving = True

    def owner_of(self, partition_id: str) -> Owner | None:
        """Who has a partition as far as is known, or should have it: no request. None where nobody is alive."""
        held = self.holdings.get(partition_id)
        if held is not None and held.state is not HoldingState.CLOSED:
            return Owner(self.node, self._record.address, held.epoch)
        seen = self._seen.get(partition_id)
        named = None if seen is None else self._named(seen.lease)
        return named or self._should_have(partition_id)

    def read_owner(self, partition_id: str) -> Owner | None:
        """As `owner_of`, by the lease as it is now: a list and a get. Raises StorageFailure, Corruption."""
        return self._named(self._read_lease(partition_id)) or self._should_have(partition_id)

    def pinned(self, partition_id: str) -> AbstractContextManager[Holding]:
        """An open partition, which is not handed over within. Raises Moved where it is not open here."""
        return self.holdings.pinned(partition_id)

    def refusal_of(self, partition_id: str) -> PartitionUnopened | None:
        """What to raise of a partition that is surely this node's, and could not be opened again and again."""
        held = self.holdings.get(partition_id)
        return held.refusal if held is not None and self.is_sure() else None

    def claim(self, partition_id: str) -> int:
        """Has this node own a partition that is not in the map yet, and that the caller opens; returns its epoch.

        The caller ends with `adopt`, when it is in the map, or `give_up`. Raises Moved where another has it, or this
        node is not sure of itself; StorageFailure.
        """
        lease = self._lease
        if not lease.is_sure():
            raise Moved(f"partition {partition_id} cannot be made here: the node is not sure of itself")
        if not self._leases.put_next(partition_id, 0, PartitionRecord(self.node, lease.record.incarnation)):
            raise Moved(f"partition {partition_id} is another node's")
        self.holdings.add(Holding(partition_id, 1, self._clock(), HoldingState.OPEN, pins=1))
        if lease.is_over:  # perhaps it has let go of all that it had just before
            self.holdings.remove(partition_id)
            raise Moved(f"partition {partition_id} cannot be made here: the node was taken for dead")
        return 1

    def adopt(self, partition_id: str) -> None:
        """A partition that was claimed is open, and in the map."""
        self.holdings.unpin(partition_id, self._maps.known.version)

    def give_up(self, partition_id: str) -> None:
        """A partition that was claimed will not be in the map, and is not open. Raises StorageFailure."""
        self.holdings.remove(partition_id)
        self._leases.remove(partition_id)

    def _named(self, lease: PartitionLease) -> Owner | None:
        """Whom a lease names, where that node is alive."""
        record = lease.record
        if record is None:
            return None
        if not record.is_released:
            address = self.board.address(record.node, record.incarnation)
            return None if address is None else Owner(record.node, address, lease.epoch)
        successor = self.board.alive().get(record.successor or "")
        return None if successor is None else Owner(record.successor or "", successor.address, 0)

    def _should_have(self, partition_id: str) -> Owner | None:
        name = self._placement(self._maps.known).get(partition_id)
        record = None if name is None else self._candidates().get(name)
        return None if name is None or record is None else Owner(name, record.address, 0)

    # --- being alive ------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Renews this node's lease, or joins; sees who else does, and takes for dead who does not.

        A put, a list and a delete where nothing is new.
        """
        lease = self._lease
        if self._is_leaving and (self._is_empty or not lease.has_joined):
            lease.leave()
        elif self._is_leaving and lease.record.state is NodeState.ALIVE:
            lease.record = replace(lease.record, state=NodeState.LEAVING)
        if lease.has_joined and not lease.is_over:
            names = lease.renew()
        else:
            if not lease.is_over:
                lease.join()
            names = self._store.list(NODES)
        self.board.look(names)
        self.board.read_new(self._beat_together)
        if lease.is_sure():
            for node in self.board.late():
                self._declare_dead(node)
        self._note_alive()

    def _declare_dead(self, node: SeenNode) -> None:
        if node.name != self.node and self.board.declare_dead(node):
            _log.warning("took node %s for dead: it has not renewed its lease in time", node.name)

    def _candidates(self) -> Mapping[str, NodeRecord]:
        """The nodes that may be given partitions."""
        alive = self.board.alive()
        lease = self._lease
        if lease.has_joined and not lease.is_over and not self._is_leaving:
            return alive | {self.node: lease.record}
        alive.pop(self.node, None)
        return alive

    def _note_alive(self) -> None:
        alive = tuple(sorted((name, record.capacity) for name, record in self._candidates().items()))
        if alive != self._alive:
            self._alive, self._alive_since_s = alive, self._clock()

    def _new_lease(self) -> NodeLease:
        return NodeLease(self._store, self.node, self._record, self._clock, self._token_bytes, self.settings.margin_s)

    def _own_record(self) -> PartitionRecord:
        return PartitionRecord(self.node, self._lease.record.incarnation)

    # --- owning what it should --------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Does what is to be done, some of it; True where more is, at once.

        A list where nothing is. Those that cannot be opened are for later steps.
        """
        lease = self._lease
        if lease.is_over:
            self._drop_all()
            if not self._is_leaving:
                self._lease = self._new_lease()
            return False
        if not lease.is_sure():
            return False
        of = self._maps.newest()
        self._let_go_of_gone(of)
        self._settle(of)
        if self._is_leaving:
            moves = self._moves(of, self.holdings.all())
            self._hand_over(moves[: self.settings.opens_per_step])
            self._is_empty = not self.holdings.all() and not self._unsettled
            return len(moves) > self.settings.opens_per_step
        more = self._acquire(of)
        more |= self._reopen(of)
        self._hand_over(self._moves(of, self._misplaced(of))[: self.settings.moves_per_step])
        return more

    def _drop_all(self) -> None:
        """Others may own what it had: it lets go of everything, and whatever is not in the store yet is lost."""
        gone = self.holdings.clear()
        if gone:
            _log.warning("node %s was taken for dead: it lets go of %d partitions", self.node, len(gone))
        self._together([partial(self._opener.close, holding.partition_id) for holding in gone])
        self._seen, self._unsettled = {}, {}

    def _placement(self, of: ClusterMap) -> dict[str, str]:
        """The node that should have each partition."""
        return self._place(of).nodes

    def _place(self, of: ClusterMap) -> _Placed:
        nodes = {name: record.capacity for name, record in self._candidates().items()}
        key = (of.version, tuple(sorted(nodes.items())))
        found = self._placed
        if key != found.key:
            placed = place([each.id for each in of.partitions if each.state is PartitionState.SERVING], nodes)
            found = _Placed(key, placed, frozenset(each for each, node in placed.items() if node == self.node))
            self._placed = found
        return found

    # --- leases that are read ---------------------------------------------------------------------------------------

    def _read_lease(self, partition_id: str) -> PartitionLease:
        lease = self._leases.newest(partition_id)
        self._saw(partition_id, lease)
        return lease

    def _saw(self, partition_id: str, lease: PartitionLease) -> None:
        before = self._seen.get(partition_id)
        if before is None or before.lease.epoch < lease.epoch:
            self._seen[partition_id] = _Seen(lease, self._clock())

    def _learn(self, partition_ids: Sequence[str], known: int) -> dict[str, _Seen]:
        """The newest leases of these that can be read: as few lists as can be, and a get for each that is new."""
        if len(partition_ids) <= 1 + known // _NAMES_A_LIST:
            numbers = self._together([partial(self._leases.epoch, each) for each in partition_ids])
            epochs = dict(zip(partition_ids, numbers, strict=True))
        else:
            epochs = self._leases.epochs()
        new = []
        for each in partition_ids:
            seen = self._seen.get(each)
            epoch = epochs.get(each, 0)
            if epoch == 0:
                self._saw(each, UNOWNED)
            elif seen is None or seen.lease.epoch < epoch:
                new.append((each, epoch))
        self._together([partial(self._read, each, epoch) for each, epoch in new])
        return {each: seen for each in partition_ids if (seen := self._seen.get(each)) is not None}

    def _read(self, partition_id: str, epoch: int) -> None:
        """A lease that is damaged must not stop the others: nobody takes its partition."""
        try:
            self._saw(partition_id, self._leases.read(partition_id, epoch))
        except Corruption as error:
            _log.error("the lease of partition %s is damaged: %s", partition_id, error)

    # --- taking and opening -----------------------------------------------------------------------------------------

    def _settle(self, of: ClusterMap) -> None:
        """Finds out, of leases that may have become this node's, whether they did; or has them surely not."""
        for partition_id, epoch in sorted(self._unsettled.items()):
            try:
                lease = self._read_lease(partition_id)
            except Corruption as error:
                _log.error("the lease of partition %s is damaged: %s", partition_id, error)
                continue
            if lease.epoch > epoch:
                if lease.record == self._own_record() and partition_id not in self.holdings:
                    self.holdings.add(self._to_open(partition_id, lease.epoch, of))
                self._unsettled.pop(partition_id)
            elif self._is_leaving or self._placement(of).get(partition_id) != self.node:
                released = replace(
                    self._own_record(), is_released=True, successor=self._placement(of).get(partition_id)
                )
                if self._leases.put_next(partition_id, epoch, released):
                    self._unsettled.pop(partition_id)

    def _to_open(self, partition_id: str, epoch: int, of: ClusterMap) -> Holding:
        now_s = self._clock()
        return Holding(partition_id, epoch, now_s, HoldingState.FAILED, next_s=now_s, from_version=of.version)

    def _acquire(self, of: ClusterMap) -> bool:
        """Takes and opens partitions that it should have and nobody has; True where there are more."""
        wanted = self._place(of).own
        asked, self._asked = self._asked, set()
        looked = wanted | {each for each in asked if self._is_to_be_open(of, each)}
        ids = sorted(each for each in looked if each not in self.holdings)
        if not ids:
            return False
        seen = self._learn(ids, len(of.partitions))
        ready = [each for each in ids if each in seen and self._may_take(seen[each], is_wanted=each in wanted)]
        batch = ready[: self.settings.opens_per_step]
        self._together([partial(self._take, of, each, seen[each].lease) for each in batch])
        return len(ready) > len(batch)

    def _is_to_be_open(self, of: ClusterMap, partition_id: str) -> bool:
        entry = of.partition(partition_id)
        return entry is not None and entry.state is PartitionState.SERVING

    def _may_take(self, seen: _Seen, *, is_wanted: bool) -> bool:
        """Whether a partition is nobody's, and this node is whose it is to be."""
        record = seen.lease.record
        if record is None:
            return is_wanted
        if record.is_released and record.successor == self.node:
            return True
        if not is_wanted:
            return False
        if record.is_released:
            waited_s = self._clock() - seen.since_s
            return record.successor not in self._candidates() or waited_s > self.settings.patience_s
        return self.board.is_over(record.node, record.incarnation)

    def _take(self, of: ClusterMap, partition_id: str, lease: PartitionLease) -> None:
        own = self._own_record()
        self._unsettled[partition_id] = lease.epoch
        try:
            if not self._leases.put_next(partition_id, lease.epoch, own):
                return  # another was faster, or this node's own put of an earlier step was late
        except StorageFailure as error:
            _log.warning("partition %s cannot be taken yet: %s", partition_id, error)
            return
        self._unsettled.pop(partition_id)
        self._saw(partition_id, PartitionLease(lease.epoch + 1, own))
        holding = self._to_open(partition_id, lease.epoch + 1, of)
        self.holdings.add(holding)
        self._open(of, holding)

    def _open(self, of: ClusterMap, holding: Holding) -> None:
        """Never raises: of many partitions that one cannot be opened must not stop the others."""
        entry = of.partition(holding.partition_id)
        table = None if entry is None else of.table_of(entry)
        if entry is None or table is None or not self.is_sure():
            # Dropped just now; or perhaps another's, whom opening would fence. The next step knows better.
            return
        holding.state = HoldingState.OPENING
        try:
            self._opener.open(entry, table, holding.epoch)
        except Exception as error:
            wait_s = min(self.settings.retry_first_s * 2**holding.tries, self.settings.retry_max_s)
            holding.failed(error, self._clock(), wait_s)
            is_gone = isinstance(error, Moved)  # with its table, or split before: the next step knows better
            _log.warning("partition %s cannot be opened: %s", holding.partition_id, error, exc_info=not is_gone)
        else:
            holding.opened()

    def _reopen(self, of: ClusterMap) -> bool:
        """Opens again what could not be, when it is time, and what is broken; True where there are more."""
        for partition_id in sorted(self._opener.broken()):
            holding = self.holdings.get(partition_id)
            if holding is not None and holding.state is HoldingState.OPEN and self.holdings.close(holding):
                self._close(partition_id)
                holding.state, holding.next_s = HoldingState.FAILED, self._clock()
        now_s = self._clock()
        due = [each for each in self.holdings.all() if each.state is HoldingState.FAILED and each.next_s <= now_s]
        batch = due[: self.settings.opens_per_step]
        self._together([partial(self._open, of, holding) for holding in batch])
        return len(due) > len(batch)

    # --- letting go -------------------------------------------------------------------------------------------------

    def _let_go_of_gone(self, of: ClusterMap) -> None:
        """Closes partitions that the map has no more, or that serve no more."""
        for holding in self.holdings.all():
            entry = of.partition(holding.partition_id)
            is_needed = entry is not None and self._is_to_be_open(of, entry.id)
            if is_needed or holding.from_version > of.version or not self.holdings.close(holding):
                continue
            self._close(holding.partition_id)
            if entry is not None and entry.state is not PartitionState.DROPPED:
                self._release(holding, None)  # or it would still be told to have it
                continue
            # Another number, put after whoever sweeps has deleted all others, would stay for ever.
            self._leases.remove(holding.partition_id)
            self.holdings.remove(holding.partition_id)
        if of.version != self._pruned:
            self._pruned = of.version
            for partition_id in [each for each in list(self._seen) if of.partition(each) is None]:
                self._seen.pop(partition_id, None)

    def _misplaced(self, of: ClusterMap) -> list[Holding]:
        """Partitions that another node should have, for long enough; those first that are closed already."""
        now_s = self._clock()
        placed = self._placement(of)
        is_settled = now_s - self._alive_since_s >= self.settings.settle_s
        found = [
            each
            for each in self.holdings.all()
            if each.state is HoldingState.CLOSED
            or (
                is_settled
                and placed.get(each.partition_id, self.node) != self.node
                and now_s - each.since_s >= self.settings.settle_s
            )
        ]
        return sorted(found, key=lambda each: each.state is not HoldingState.CLOSED)

    def _moves(self, of: ClusterMap, holdings: Iterable[Holding]) -> list[tuple[Holding, str | None]]:
        """With the node that each is to go to."""
        placed = self._placement(of)
        return [(each, placed.get(each.partition_id)) for each in holdings if not each.pins]

    def _hand_over(self, moves: Sequence[tuple[Holding, str | None]]) -> None:
        self._together([partial(self._move, holding, successor) for holding, successor in moves])

    def _move(self, holding: Holding, successor: str | None) -> None:
        if holding.state is not HoldingState.CLOSED:
            if not self.holdings.close(holding):
                return
            self._close(holding.partition_id)
        self._release(holding, successor)

    def _close(self, partition_id: str) -> None:
        try:
            self._opener.close(partition_id)
        except Exception:
            # What was acknowledged is in the store, and nothing more is acknowledged.
            _log.warning("partition %s was not closed cleanly", partition_id, exc_info=True)

    def _release(self, holding: Holding, successor: str | None) -> None:
        """Gives a closed partition away. From the first try on it is this node's no more, whatever becomes of it."""
        partition_id = holding.partition_id
        record = replace(self._own_record(), is_released=True, successor=successor)
        try:
            took = self._leases.put_next(partition_id, holding.epoch, record)
        except StorageFailure as error:
            _log.warning("partition %s cannot be released yet: %s", partition_id, error)
            return
        if took:
            self._saw(partition_id, PartitionLease(holding.epoch + 1, record))
        self.holdings.remove(partition_id)
        address = self.board.alive().get(successor or "")
        if took and address is not None and self._nudge is not None:
            self._nudge(address.address, partition_id)
