"""Who owns which partition: numbered leases below ``leases/PARTITION/``, of which the newest counts.

The number is the epoch of who owns it. A lease is not renewed: it holds as long as that of its node does. It is taken
by putting the next number, when the newest is released or its node's run is over; of several who try, one wins.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from lutra.cluster.lease_records import LEASES, PartitionRecord
from lutra.model.errors import ObjectMissing, StorageFailure
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

KEPT: Final = 2
"""So many of the newest numbers of a lease are there."""

_CLAIMANT_BYTES: Final = 16


class PartitionLease(NamedTuple):
    """The newest of a partition. ``record`` None, with epoch 0: nobody ever had it."""

    epoch: int
    record: PartitionRecord | None


UNOWNED: Final = PartitionLease(0, None)


class PartitionLeases:
    """The leases in a cluster's store; remembers nothing. Thread-safe. All raise StorageFailure."""

    def __init__(self, store: ObjectStore, token_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._token_bytes = token_bytes

    def newest(self, partition_id: str) -> PartitionLease:
        """A list and a get. Raises Corruption where it is not what was written."""
        latest = self._log(partition_id).latest()
        return UNOWNED if latest is None else PartitionLease(latest.number, PartitionRecord.from_json(latest.payload))

    def epochs(self) -> dict[str, int]:
        """The newest number of every partition that ever had an owner: a list, of a thousand names a request."""
        found: dict[str, int] = {}
        for name in self._store.list(LEASES):
            partition_id, _, ending = name[len(LEASES) + 1 :].partition("/")
            if ending.isdecimal():
                found[partition_id] = max(found.get(partition_id, 0), int(ending))
        return found

    def epoch(self, partition_id: str) -> int:
        """The newest number of one, 0 where there is none: a list."""
        return max(self._log(partition_id).numbers(), default=0)

    def read(self, partition_id: str, epoch: int) -> PartitionLease:
        """The lease of that number, or the newest where it is gone by now. Raises Corruption."""
        try:
            found = self._log(partition_id).read(epoch)
        except ObjectMissing:
            return self.newest(partition_id)
        return PartitionLease(epoch, PartitionRecord.from_json(found.payload))

    def put_next(self, partition_id: str, epoch: int, record: PartitionRecord) -> bool:
        """Has a partition be as ``record`` says, from ``epoch`` + 1 on; False where another was faster.

        ``epoch`` is that of the newest lease that was read. Where StorageFailure is raised it may have happened, or
        may happen yet, until a number above ``epoch`` is there. A put, a list, and a delete.
        """
        log = self._log(partition_id)
        number = epoch + 1
        if not log.put(number, record.to_json(), self._token_bytes(_CLAIMANT_BYTES)):
            return False
        numbers = log.numbers()
        # Where old numbers have been deleted, that it was free says nothing: that it is the newest does.
        if max(numbers, default=0) != number:
            return False
        with suppress(StorageFailure):  # the next one tries again
            for old in numbers:
                if old <= number - KEPT:
                    self._store.delete(log.name(old))
        return True

    def remove(self, partition_id: str) -> None:
        """Deletes the lease of a partition that is no more, whose id is never used again."""
        for name in self._store.list(f"{LEASES}/{partition_id}"):
            self._store.delete(name)

    def _log(self, partition_id: str) -> ManifestLog:
        return ManifestLog(self._store, f"{LEASES}/{partition_id}")
