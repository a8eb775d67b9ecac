"""The buffers of all indexes of a process: what their rows take in memory together."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Final, Protocol

from lutra.index.builds.policy import Policy

NO_LIMIT: Final = 1 << 62
WAITING_MAX: Final = 8
"""With so many buffers that wait nothing more is taken in (`lutra.feed.feed`)."""
_EARLY_PART: Final = 8
"""A buffer that has a part in so many of what it may is worth a segment of its own, where memory is short."""


class Buffered(Protocol):
    """Who has buffers. Hashable, and weakly referenced."""

    @property
    def buffered_bytes(self) -> int:
        """What its buffers take."""


class Buffers:
    """Thread-safe."""

    def __init__(self, limit_bytes: int = NO_LIMIT) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._members: weakref.WeakSet[Buffered] = weakref.WeakSet()

    def joined(self, member: Buffered) -> Buffers:
        """These, in which ``member``'s count from now on, until it is gone."""
        with self._lock:
            self._members.add(member)
        return self

    @property
    def size_bytes(self) -> int:
        """About what all of them take."""
        with self._lock:
            members = list(self._members)
        return sum(member.buffered_bytes for member in members)

    @property
    def is_full(self) -> bool:
        """Whether some are to be written out before more comes in."""
        return self.limit_bytes < NO_LIMIT and self.size_bytes > self.limit_bytes

    def waiting(self, sealed: int) -> int:
        """How many buffers of an index count as waiting, of which ``sealed`` do: where all are full, those few keep
        more from coming in."""
        return max(sealed, WAITING_MAX) if sealed and self.is_full else sealed

    def is_due(self, size_bytes: int, policy: Policy, sealed: Sequence[object]) -> bool:
        """Whether a buffer is to be written out: as ``policy`` says, and sooner where all together have too much and
        none of its index is being written."""
        if policy.is_flush_due(size_bytes, 0.0):
            return True
        return not sealed and size_bytes >= policy.flush_bytes // _EARLY_PART and self.is_full
