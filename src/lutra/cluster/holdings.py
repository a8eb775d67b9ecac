"""The partitions whose leases this node holds, and what it is about with each."""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lutra.cluster.errors import Moved
from lutra.model.errors import Corruption, LutraError, PartitionUnopened
from lutra.model.system_words import system_word

_TRIES_TOLD: Final = 3
"""What could not be opened less often may soon be: requests wait for it."""


class HoldingState(enum.Enum):
    OPENING = "opening"
    OPEN = "open"
    FAILED = "failed"
    """It could not be opened, and will be tried again."""
    CLOSED = "closed"
    """It is not answered from any more: its lease is to be released."""


@dataclass(slots=True)
class Holding:
    """A lease that this node holds since ``since_s`` of its clock. ``epoch`` is its number."""

    partition_id: str
    epoch: int
    since_s: float
    state: HoldingState = HoldingState.OPENING
    tries: int = 0
    """So often it could not be opened, since it last could."""
    next_s: float = 0.0
    """When it is tried again."""
    error: str = ""
    """Why it could not be opened, all of it: for the log and for who may read the store."""
    reason: str = ""
    """The same as clients may be told; "" where it is said to be elsewhere, or no more."""
    pins: int = 0
    """So many are at work on it, who need it to stay here."""
    from_version: int = 0
    """An older map than this does not say whether there is such a partition."""

    def failed(self, error: Exception, now_s: float, wait_s: float) -> None:
        """It could not be opened, and is tried again after ``wait_s``."""
        self.tries += 1
        self.error = f"{type(error).__name__}: {error}"
        self.reason = "" if isinstance(error, Moved) else _reason(error)
        self.next_s = now_s + wait_s
        self.state = HoldingState.FAILED

    def opened(self) -> None:
        self.tries, self.error, self.reason = 0, "", ""
        self.state = HoldingState.OPEN

    @property
    def is_unopened(self) -> bool:
        """Whether it could not be opened the last time that it was tried."""
        return bool(self.reason) and self.state is not HoldingState.CLOSED

    @property
    def refusal(self) -> PartitionUnopened | None:
        """What who asks for it is told where waiting would be of no use; None where it may be, or it is elsewhere."""
        if not self.is_unopened or self.tries < _TRIES_TOLD:
            return None
        return PartitionUnopened(
            f"Partition {self.partition_id} could not be opened {self.tries} times, and is tried again: {self.reason}. "
            "`lutra cluster status` says more."
        )


class Holdings:
    """Of one node. Thread-safe: what it gives are copies of lists, and a holding is changed within its lock alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Holding] = {}

    def __contains__(self, partition_id: object) -> bool:
        return partition_id in self._held

    def get(self, partition_id: str) -> Holding | None:
        return self._held.get(partition_id)

    def all(self) -> list[Holding]:
        """By id."""
        with self._lock:
            return [self._held[partition_id] for partition_id in sorted(self._held)]

    def add(self, holding: Holding) -> None:
        with self._lock:
            self._held[holding.partition_id] = holding

    def remove(self, partition_id: str) -> None:
        with self._lock:
            self._held.pop(partition_id, None)

    def clear(self) -> list[Holding]:
        """All there were."""
        with self._lock:
            gone = list(self._held.values())
            self._held = {}
            return gone

    def close(self, holding: Holding) -> bool:
        """Has it be CLOSED; False where somebody is at work on it."""
        with self._lock:
            if holding.pins:
                return False
            holding.state = HoldingState.CLOSED
            return True

    def unpin(self, partition_id: str, from_version: int) -> None:
        """Whoever was at work on it has ended; the map says of it what there is from that version on."""
        with self._lock:
            holding = self._held.get(partition_id)
            if holding is not None and holding.pins:  # else it is another, of a later run of the node
                holding.pins -= 1
                holding.from_version = from_version

    @contextmanager
    def pinned(self, partition_id: str) -> Iterator[Holding]:
        """An open partition, which stays within. Raises Moved where it is not open here."""
        with self._lock:
            holding = self._held.get(partition_id)
            if holding is None or holding.state is not HoldingState.OPEN:
                raise Moved(f"partition {partition_id} is not here")
            holding.pins += 1
        try:
            yield holding
        finally:
            with self._lock:
                holding.pins -= 1


def _reason(error: Exception) -> str:
    """By its kind and the system's word for it: with no path and no address."""
    if isinstance(error, Corruption):
        return "what is stored of it is damaged"
    if not isinstance(error, LutraError | OSError):
        return "the node failed within"
    word = system_word(str(error))
    return f"its storage cannot be used{f' ({word})' if word else ''}"
