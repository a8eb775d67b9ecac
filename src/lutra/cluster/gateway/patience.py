"""Waiting for a partition that is on its way from one node to another: with bounds on how long, and on how many do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from lutra.cluster.errors import PeerLost
from lutra.cluster.gateway.views import MapView
from lutra.model.deadline import current_deadline
from lutra.model.errors import LutraError, ServerBusy

_WAIT_S_MAX: Final = 20.0
"""A node that was killed is replaced in half of that."""
_FIRST_PAUSE_S: Final = 0.01
_PAUSE_S_MAX: Final = 0.25
_FINISHING_S: Final = 0.2
"""Before its deadline a request gives up, to say why."""
_PER_PARTITION: Final = 8
_IN_ALL: Final = 24
"""Requests that wait hold threads: of those beyond, clients are told at once, and come again themselves."""


class WaitingRoom:
    """Who waits for which partition, of one gateway. Thread-safe."""

    def __init__(self, per_partition: int = _PER_PARTITION, in_all: int = _IN_ALL) -> None:
        self._per_partition = per_partition
        self._in_all = in_all
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """At this moment."""
        return self._waiting.total()

    def enter(self, partition_id: str) -> bool:
        """Whether there is room for one more; then `leave` follows."""
        with self._lock:
            if self._waiting[partition_id] >= self._per_partition or self._waiting.total() >= self._in_all:
                return False
            self._waiting[partition_id] += 1
            return True

    def leave(self, partition_id: str) -> None:
        with self._lock:
            self._waiting[partition_id] -= 1
            if not self._waiting[partition_id]:
                del self._waiting[partition_id]


class Patience:
    """How long one request goes on trying, by its deadline."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self._deadline = current_deadline()
        self._end_s = min(self._deadline.end_s - _FINISHING_S, time.monotonic() + _WAIT_S_MAX)
        self._pause_s = 0.0

    def wait(self, partition_ids: Iterable[str], error: LutraError) -> None:
        """Before the next try of partitions that were not where they were looked for, as ``error`` says.

        Raises RequestTimeout where the request's time is up, ServerBusy where they do not come, or too many wait.
        """
        self._deadline.check()
        if self._pause_s:
            self._sleep(next(iter(partition_ids)), error)
        self._pause_s = min(2 * self._pause_s, _PAUSE_S_MAX) or _FIRST_PAUSE_S

    def _sleep(self, partition_id: str, error: LutraError) -> None:
        left_s = self._end_s - time.monotonic()
        if left_s <= 0 or not self._room.enter(partition_id):
            raise _busy(error) from None
        try:
            time.sleep(min(self._pause_s, left_s))
        finally:
            self._room.leave(partition_id)


class Tries:
    """Those of one request: before the next, what is known is read anew. Its patience begins with the first failure."""

    def __init__(self, room: WaitingRoom, maps: MapView) -> None:
        self._room = room
        self._maps = maps
        self._patience: Patience | None = None
        self.since_s: float | None = None
        """When the last one failed: what is known of owners from before is not to be gone by. None: none has."""

    def again(self, partition_ids: Iterable[str], error: LutraError) -> None:
        """Waits, and reads the map as it is after ``error``. Raises as `Patience.wait` and `MapView.read`."""
        self._patience = self._patience or Patience(self._room)
        failed_s = time.monotonic()
        self._patience.wait(partition_ids, error)
        self._maps.read(failed_s)
        self.since_s = failed_s


def _busy(error: LutraError) -> ServerBusy:
    if isinstance(error, PeerLost):
        return ServerBusy("a node does not answer, and nobody has taken over its partitions yet: try again")
    return ServerBusy("a partition is on its way to another node: try again")
