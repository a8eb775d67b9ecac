"""When a partition is split without anybody asking for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition, PartitionHost
from lutra.cluster.splits.splitting import Splitter
from lutra.kv.slatedb.clone import parents_of
from lutra.kv.store import Estimate
from lutra.model.errors import LutraError, ParameterInvalid

_GIB: Final = 1024 * 1024 * 1024
_COUNTED_MAX: Final = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """A partition is split when it has more rows, or more bytes of rows, than these; None: there is no such bound.

    What a partition has is what one node takes over when another dies: it reads codes and graphs of the segments, some
    200 bytes a row of 128 dimensions, before searches are fast again. Of 4 million rows that is 0.8 GB, some seconds
    from an object store; and a segment of so many is about what a build in 2 GB of memory makes. Smaller ones cost
    more leases and searches of more parts. 4 GiB of rows are about as many of 1 KB.
    """

    rows_max: int | None = 4_000_000
    bytes_max: int | None = 4 * _GIB

    def is_due(self, rows: int, size_bytes: int) -> bool:
        return (self.rows_max is not None and rows > self.rows_max) or (
            self.bytes_max is not None and size_bytes > self.bytes_max
        )


class AutoSplits:
    """Of one node: one thread takes its steps, now and then."""

    def __init__(self, host: PartitionHost, splitter: Splitter, policy: SplitPolicy) -> None:
        self._host = host
        self._splitter = splitter
        self._policy = policy
        self.sizes: dict[str, Estimate] = {}
        """Of the partitions that are here, as they were at the last step. To look at."""
        self._whole: set[str] = set()
        """Partitions that cannot be split: all of their rows have one partition key."""

    def step(self) -> bool:
        """Splits one partition that is too large; True where there may be more. What fails is told, and tried again."""
        owned = self._host.owned()
        here = {each.id for each in owned}
        self._whole &= here
        self.sizes = {partition_id: size for partition_id, size in self.sizes.items() if partition_id in here}
        for each in owned:
            if not each.is_closed and self._is_due(each) and each.id not in self._whole:
                try:
                    self._splitter.split(each.id)
                    return True
                except ParameterInvalid as error:
                    _log.warning("partition %s is too large, and stays so: %s", each.id, error)
                    self._whole.add(each.id)
                except Moved:
                    pass
                except LutraError as error:
                    _log.warning("partition %s is too large, and could not be split yet: %s", each.id, error)
        return False

    def _is_due(self, owned: OwnedPartition) -> bool:
        try:
            found = owned.instance.tables.estimate(owned.table.name, _COUNTED_MAX)
            self.sizes[owned.id] = found
            if not self._policy.is_due(found.pairs, found.size_bytes):
                return False
            # As long as tables are its parents' nobody can tell how much of them is its own: as much as all, it seems.
            return found.is_exact or not owned.entry.parents or not parents_of(self._host.rows_address(owned.id))
        except LutraError:  # it is being closed
            return False
