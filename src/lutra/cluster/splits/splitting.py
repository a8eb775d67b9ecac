"""Two partitions in the place of one: made beside it, in milliseconds, and then told of in the map.

What is done, in this order, and what is found where it breaks off:

1. The map says what is planned. Whoever opens the parent from now on has that dropped first (`settle`).
2. Writes to the parent pause, and one goes to its store: who may not write to it any more, as another has opened it
   since, fails here, and who opens it later finds the plan.
3. Its key-value store and its indexes are cloned for each child, and it is noted what these borrow.
4. The children get leases, and are opened.
5. The map says that they serve, and the parent is retired: in one step, which fails where the plan is dropped.

So at every instant either the parent serves or its children do. What was made for children that are dropped is deleted
(`lutra.cluster.splits.retirement`). Nothing of the parent's rows or segments is copied: children hide what is not their
own, and little by little do without the rest.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from lutra.cluster import map_changes
from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition, PartitionHost, place_of
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState, TableEntry, new_partition_id
from lutra.cluster.map_log import MapLog
from lutra.cluster.partition.streams import split_time_us
from lutra.cluster.splits.loans import Loans, by_lender
from lutra.cluster.splits.ranges import middle_of
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.cloning import KeyRange, clone_index
from lutra.index.lsm.segment_set import SegmentSet
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.kv.batch import WriteBatch
from lutra.model.errors import LutraError, OperationConflict, ServerBusy, StorageFailure
from lutra.objects.store import ObjectStore
from lutra.tables import keyspace

_PAUSE_S: Final = 5.0
"""Writes that are under way are given so long to end."""
_LOOK_PAUSE_S: Final = 0.2

_log = logging.getLogger(__name__)


class Leases(Protocol):
    """What a split asks of a node's `lutra.cluster.controller.Controller`."""

    def pinned(self, partition_id: str) -> AbstractContextManager[object]: ...

    def claim(self, partition_id: str) -> int: ...

    def adopt(self, partition_id: str) -> None: ...

    def give_up(self, partition_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Split:
    """What came of one."""

    children: tuple[str, ...]
    at: bytes
    paused_s: float
    """So long no write to the partition was answered."""


class _Still(NamedTuple):
    """An index that is held still."""

    storage: IndexStorage
    segments: SegmentSet
    feed: IndexFeed


def settle(maps: MapLog, partition_id: str) -> None:
    """Drops what a split of a partition left, which was broken off: for who has just opened it.

    Raises Moved where it serves no more; StorageFailure.
    """
    of = maps.newest()
    if of.planned_of(partition_id):
        of = maps.change(lambda newest: map_changes.cancel_split(newest, partition_id))
    entry = of.partition(partition_id)
    if entry is None or entry.state is not PartitionState.SERVING:
        raise Moved(f"partition {partition_id} serves no more")


class Splitter:
    """Splits partitions that a node owns. Thread-safe."""

    def __init__(
        self,
        maps: MapLog,
        host: PartitionHost,
        leases: Leases,
        store: ObjectStore,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """``store``: the cluster's."""
        self._maps = maps
        self._host = host
        self._leases = leases
        self.loans = Loans(store)
        self._token_bytes = token_bytes
        self._lock = threading.Lock()
        self._under_way: set[str] = set()

    def split(self, partition_id: str, at: bytes | None = None) -> Split:
        """Splits a partition at an encoded partition key, as bounds in the map have it; None: into about equal halves.

        Rows and searches are answered meanwhile, writes wait for milliseconds.

        Raises ParameterInvalid where it cannot be cut there, or its rows are of one partition key; OperationConflict
        where it is being split; ServerBusy where it is being opened or changed; Moved where it is not this node's;
        StorageFailure, Fenced. Then the parent goes on as it was, unless it is another node's by now.
        """
        owned = self._host.get(partition_id)
        with self._alone(partition_id):
            if at is None:
                at = middle_of(owned.rows, owned.entry, owned.instance.tables.describe(owned.table.name))
            split = self._split(owned, at)
        _log.info(
            "partition %s of table %s is split into %s; writes paused for %.0f ms",
            partition_id,
            owned.table.name,
            " and ".join(split.children),
            1_000 * split.paused_s,
        )
        return split

    @contextmanager
    def _alone(self, partition_id: str) -> Iterator[None]:
        """Raises OperationConflict where it is being split here: what else the map has of a plan is of a broken one."""
        with self._lock:
            if partition_id in self._under_way:
                raise OperationConflict(f"partition {partition_id} is being split")
            self._under_way.add(partition_id)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(partition_id)

    def _split(self, owned: OwnedPartition, at: bytes) -> Split:
        ids = [new_partition_id(self._token_bytes) for _ in range(2)]

        def planned(of: ClusterMap) -> ClusterMap:
            return map_changes.plan_split(map_changes.cancel_split(of, owned.id), owned.id, [at], ids)

        self._maps.change(planned)
        try:
            with self._leases.pinned(owned.id):
                return self._made(owned, at, ids)
        except BaseException:
            self._cancel(owned.id)
            raise

    def _cancel(self, partition_id: str) -> None:
        try:
            self._maps.change(lambda of: map_changes.cancel_split(of, partition_id))
        except LutraError as error:  # the next split of it, or who opens it next, does it
            _log.warning("what was planned for partition %s could not be dropped: %s", partition_id, error)

    def _made(self, owned: OwnedPartition, at: bytes, ids: Sequence[str]) -> Split:
        prepared: list[OwnedPartition] = []
        # Those first, as they may be waiting for other nodes.
        with owned.unchanging(), owned.outgoing.still() as outgoing, ExitStack() as undoing:
            table = owned.table
            planned = self._maps.newest().planned_of(owned.id)
            owned.rows.flush()  # so that little is left for the pause
            began_s = time.monotonic()
            with owned.calls.paused(_PAUSE_S):
                owned.check()
                _prove_writer(owned)
                with _held_still(owned) as indexes:
                    self._clone(owned, planned, indexes)
                    for child in planned:
                        prepared.append(self._prepare(child, table, owned, undoing))
                    if not self._complete(owned, ids):
                        raise ServerBusy(f"the split of partition {owned.id} was cancelled meanwhile, try again")
                    undoing.pop_all()
                    for consumer in outgoing:
                        consumer.end_still()
                    for _, _, feed in indexes:
                        feed.end()  # nothing it has is to change any more
                for child_id in ids:
                    self._leases.adopt(child_id)
                self._host.exchange(owned, prepared)
                paused_s = time.monotonic() - began_s
        return Split(tuple(ids), at, paused_s)

    def _clone(self, owned: OwnedPartition, children: Sequence[PartitionEntry], indexes: Sequence[_Still]) -> None:
        """Rows first: what the indexes' manifests have of changes, the clones' changelogs then have, too."""
        for child in children:
            owned.rows.clone_to(self._host.rows_address(child.id))
        borrowed: dict[str, set[str]] = {child.id: set() for child in children}
        for storage, segments, feed in indexes:
            prefix = prefix_of(feed.definition)
            ranges = {place_of(child.id) + prefix: KeyRange(child.begin, child.end) for child in children}
            clones = clone_index(storage, segments, ranges)
            for child in children:
                clone = clones.get(place_of(child.id) + prefix)
                if clone is not None:
                    borrowed[child.id] |= clone.borrowed
        for child_id, objects in borrowed.items():
            for lender, names in by_lender(objects).items():
                self.loans.note(lender, child_id, names)

    def _prepare(
        self, child: PartitionEntry, table: TableEntry, parent: OwnedPartition, undoing: ExitStack
    ) -> OwnedPartition:
        epoch = self._leases.claim(child.id)
        undoing.callback(self._give_up, child.id)
        parent.check()  # so the lease by which that is owned is the one by which the child was claimed
        prepared = self._host.prepare(replace(child, state=PartitionState.SERVING), table, epoch, parent.is_sure)
        undoing.callback(prepared.close, 0.0)
        return prepared

    def _give_up(self, child_id: str) -> None:
        try:
            self._leases.give_up(child_id)
        except LutraError as error:  # it goes with all else that was made for the child
            _log.warning("the lease of partition %s, which is not made, could not be deleted: %s", child_id, error)

    def _complete(self, owned: OwnedPartition, ids: Sequence[str]) -> bool:
        """Whether the children serve now. Where that is not known, looks as long as the partition is surely here."""
        since_us = split_time_us(owned)
        try:
            self._maps.change(lambda of: map_changes.complete_split(of, owned.id, ids, since_us))
            return True
        except StorageFailure as error:
            _log.warning("whether partition %s is split is not known yet: %s", owned.id, error)
        while True:
            owned.check()
            try:
                # One that cancels it decides, where the change has not been made, and may yet be.
                of = self._maps.change(lambda newest: map_changes.cancel_split(newest, owned.id))
            except StorageFailure:
                time.sleep(_LOOK_PAUSE_S)
            else:
                return _serves(of, ids)


def _serves(of: ClusterMap, ids: Sequence[str]) -> bool:
    entries = [of.partition(partition_id) for partition_id in ids]
    return all(entry is not None and entry.state is PartitionState.SERVING for entry in entries)


def _prove_writer(owned: OwnedPartition) -> None:
    """Raises Fenced where another has opened the store since; StorageFailure."""
    batch = WriteBatch()
    batch.put(keyspace.FORMAT_KEY, keyspace.FORMAT)
    owned.rows.commit(batch)


@contextmanager
def _held_still(owned: OwnedPartition) -> Iterator[list[_Still]]:
    """No index writes a manifest or deletes an object within. Raises ServerBusy where one is not open."""
    with ExitStack() as held:
        yield [_Still(*held.enter_context(feed.index.still()), feed) for feed in owned.instance.index_feeds()]
