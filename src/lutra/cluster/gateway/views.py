"""What a gateway believes of the map and of owners: cached, and read anew when an answer shows that it is wrong.

Many requests may find out at the same time. They share one reading: whoever needs a state newer than a time takes any
that was begun to be read after it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from lutra.cluster.map import ClusterMap
from lutra.cluster.map_log import MapLog
from lutra.model.errors import ObjectNotExist, ParameterInvalid

T = TypeVar("T")

OwnerOf = Callable[[str], str | None]
"""The address of the node that has a partition by its lease, which is read; None where no live node has it."""

_LOCKS: Final = 64
_KNOWN_MAX: Final = 200_000


class MapView:
    """The newest map that is known. Thread-safe."""

    def __init__(self, log: MapLog, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.log = log
        self._monotonic = monotonic
        self._reading = threading.Lock()
        self._read_s = -1.0

    @property
    def known(self) -> ClusterMap:
        """Without a request."""
        return self.log.known

    def read(self, since_s: float | None = None) -> ClusterMap:
        """The map as it is now, or was at any moment since then. Raises StorageFailure, Corruption."""
        since_s = self._monotonic() if since_s is None else since_s
        with self._reading:
            if self._read_s <= since_s:
                began_s = self._monotonic()
                self.log.newest()
                self._read_s = began_s
            return self.log.known

    def found(self, find: Callable[[ClusterMap], T], since_s: float | None = None) -> T:
        """By the map that is known, or where what is meant is not in it, by the newest.

        ``since_s``: one that was read since then is new enough: who asks several times reads one at the most.
        """
        try:
            return find(self.known)
        except (ObjectNotExist, ParameterInvalid):
            return find(self.read(since_s))


class OwnerView:
    """Which node has which partition. Thread-safe."""

    def __init__(self, owner_of: OwnerOf, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._owner_of = owner_of
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, str]] = {}
        self._reading = [threading.Lock() for _ in range(_LOCKS)]

    def address(self, partition_id: str, since_s: float | None = None) -> str | None:
        """Where a partition is, as far as is known, or as was read since then; None where nobody has it.

        Raises StorageFailure, Corruption.
        """
        known = self._known.get(partition_id)
        if known is not None and (since_s is None or known[0] > since_s):
            return known[1]
        with self._reading[hash(partition_id) % _LOCKS]:
            known = self._known.get(partition_id)
            if known is not None and (since_s is None or known[0] > since_s):
                return known[1]
            began_s = self._monotonic()
            address = self._owner_of(partition_id)
            if address is None:
                self._known.pop(partition_id, None)
            else:
                if len(self._known) >= _KNOWN_MAX:  # most are of partitions that are no more
                    self._known.clear()
                self._known[partition_id] = (began_s, address)
            return address
