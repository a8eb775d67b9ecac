"""What becomes of partitions that others have taken the place of, and of what broken splits and dropped tables left.

A retired partition keeps what its heirs still read: of its objects what they have noted (`lutra.cluster.splits.loans`),
of its rows what SlateDB has pinned for them. They come to need less by themselves, as their segments and tables are
merged. What nobody needs is deleted, and in the end the partition is dropped: all below its own names goes, and then it
is no more in the map. Every step may be taken by several nodes at once, and be broken off anywhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from lutra.cluster import map_changes
from lutra.cluster.host import OwnedPartition, PartitionHost, place_of
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState
from lutra.cluster.map_log import MapLog
from lutra.cluster.partition_leases import PartitionLeases
from lutra.cluster.splits.loans import Loans, by_lender
from lutra.kv.slatedb.clone import delete_database, is_needed, parents_of
from lutra.model.clock import Clock
from lutra.model.errors import LutraError, OperationConflict
from lutra.objects.store import ObjectStore

GRACE_S: Final = 60.0
"""Calls that began before a partition was retired or dropped may read so long what it had."""
_HOUR_US: Final = 3_600_000_000
_HOLDERS: Final = (PartitionState.SERVING, PartitionState.PLANNED, PartitionState.RETIRED)

_log = logging.getLogger(__name__)


class Retirement:
    """Of one node: one thread takes its steps, now and then."""

    def __init__(
        self,
        maps: MapLog,
        host: PartitionHost,
        store: ObjectStore,
        leases: PartitionLeases,
        clock: Clock,
        *,
        is_sweeper: Callable[[], bool] = lambda: True,
        grace_s: float = GRACE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``is_sweeper``: whether this node is to delete what nobody needs: one is enough."""
        self._maps = maps
        self._host = host
        self._store = store
        self._leases = leases
        self._clock = clock
        self._is_sweeper = is_sweeper
        self._grace_s = grace_s
        self._monotonic = monotonic
        self._loans = Loans(store)
        self._rewritten: set[str] = set()
        """Partitions whose tables are being merged into their own."""
        self._since_s: dict[str, float] = {}
        """When a partition was first seen not to serve."""
        self._emptied: set[str] = set()
        """Dropped ones of which nothing is left but that they are in the map."""

    def step(self) -> None:
        """What is owned here needs less than before; and what nobody needs is deleted, where that is this node's task.

        What fails is told and tried again. Raises StorageFailure and Corruption where not even the map can be read.
        """
        borrowers = self._loans.all()
        for owned in self._host.owned():
            self._trying(owned.id, lambda owned=owned: self._need_less(owned, borrowers))  # type: ignore[misc]
        if not self._is_sweeper():
            return
        # After that list: who is noted in it, and is not in this map, was dropped and forgotten since.
        of = self._maps.newest()
        gone = [entry for entry in of.partitions if entry.state in (PartitionState.RETIRED, PartitionState.DROPPED)]
        self._since_s = {entry.id: self._since_s.get(entry.id, self._monotonic()) for entry in gone}
        self._emptied &= {entry.id for entry in gone}
        for entry in gone:
            if self._monotonic() - self._since_s[entry.id] < self._grace_s:
                continue
            if entry.state is PartitionState.RETIRED:
                self._trying(entry.id, lambda entry=entry: self._retire(of, entry, borrowers.get(entry.id, set())))  # type: ignore[misc]
            else:
                self._trying(entry.id, lambda entry=entry: self._delete(of, entry, borrowers))  # type: ignore[misc]

    def _trying(self, partition_id: str, act: Callable[[], None]) -> None:
        try:
            act()
        except OperationConflict:  # another node was faster
            pass
        except LutraError as error:
            _log.warning("what partition %s has and does not need stays for now: %s", partition_id, error)

    # --- what is owned here -----------------------------------------------------------------------------------------

    def _need_less(self, owned: OwnedPartition, borrowers: dict[str, set[str]]) -> None:
        lenders = [lender for lender, of in borrowers.items() if owned.id in of]
        feeds = owned.instance.index_feeds()
        if lenders and not owned.is_closed and all(feed.index.is_open for feed in feeds):
            needed = by_lender(name for feed in feeds for name in feed.index.borrowed())
            for lender in lenders:
                left = needed.get(lender, set())
                if left < self._loans.of(lender, owned.id):
                    self._loans.note(lender, owned.id, left)
        if owned.entry.parents and owned.id not in self._rewritten and owned.rows.is_swept:
            if parents_of(self._host.rows_address(owned.id)):
                owned.rows.rewrite()
            self._rewritten.add(owned.id)

    # --- what nobody needs ------------------------------------------------------------------------------------------

    def _retire(self, of: ClusterMap, entry: PartitionEntry, borrowers: Iterable[str]) -> None:
        """Deletes what its heirs do not need; drops it where they need nothing."""
        needed: set[str] = set()
        for borrower in borrowers:
            needed |= self._needed_by(of, entry.id, borrower)
        for name in self._store.list(place_of(entry.id)):
            if _is_lent(name) and name not in needed:
                self._store.delete(name)
        if not needed and not is_needed(self._host.rows_address(entry.id)):
            self._maps.change(lambda newest: map_changes.drop_partition(newest, entry.id))

    def _needed_by(self, of: ClusterMap, lender: str, borrower: str) -> set[str]:
        """What is noted of a borrower, which is forgotten where that is none any more.

        What a retired one needed its heirs have noted, before it was retired. They may be missing from the list that it
        is in, though: so what it has noted counts once more.
        """
        found = of.partition(borrower)
        state = None if found is None else found.state
        needed = self._loans.of(lender, borrower) if state in _HOLDERS else set()
        if state not in (PartitionState.SERVING, PartitionState.PLANNED):
            self._loans.note(lender, borrower, set())
        return needed

    def _delete(self, of: ClusterMap, entry: PartitionEntry, borrowers: dict[str, set[str]]) -> None:
        """All that a dropped partition has; and then it is no more, unless its stream's readers ask where it has gone.

        Its rows first: that fails as long as a clone needs them.
        """
        if entry.id not in self._emptied:
            delete_database(self._host.rows_address(entry.id))
            for name in self._store.list(place_of(entry.id)):
                self._store.delete(name)
            for lender, noted in borrowers.items():
                if entry.id in noted:
                    self._loans.note(lender, entry.id, set())
            self._leases.remove(entry.id)
            self._emptied.add(entry.id)
        if not self._may_be_asked_for(of, entry):
            self._maps.change(lambda newest: map_changes.forget_partition(newest, entry.id))
            _log.info("partition %s is no more", entry.id)

    def _may_be_asked_for(self, of: ClusterMap, entry: PartitionEntry) -> bool:
        """Whether records of its shard, which its heirs have, may not have expired yet."""
        table = of.table_of(entry)
        if table is None or table.schema.stream is None:
            return False
        ended_us = max((each.since_us for each in of.partitions if entry.id in each.parents), default=0)
        return self._clock.now_us() - ended_us < (table.schema.stream.expiration_h + 1) * _HOUR_US


def _is_lent(name: str) -> bool:
    """Whether an object is of those that others borrow; the rest say whose it all is, and go last."""
    return name.split("/")[-2] in ("segments", "deletions")
