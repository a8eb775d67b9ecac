"""Segments as several indexes of a process have them: an object is opened once, however many search it.

That is so right after a split: both halves go on with the segments of the whole, which has them in memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from lutra.index.lsm.memory import MemoryBudget
from lutra.index.lsm.shares import Share, shares_of
from lutra.model.errors import LutraError
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.segments.index_segment import IndexSegment

READ_BYTES_MAX: Final = 64 * 1024 * 1024
"""What segments that get more memory are read for it in one call, about; one in any case, which may be larger."""
_HEAT_KEPT: Final = 0.98
"""Of the heat a look before: half of it after 34."""

_log = logging.getLogger(__name__)

_Key = tuple[str, tuple[FieldSchema, ...]]


class Taken(NamedTuple):
    """A segment with all of its documents. ``granted_bytes`` tells what it is granted of memory at the moment;
    ``release`` is called once."""

    segment: IndexSegment
    granted_bytes: Callable[[], int]
    release: Callable[[], None]


@dataclass(slots=True)
class _Held:
    segment: IndexSegment
    granted_bytes: int
    memory: MemoryBudget
    holders: int = 0
    heat: float = 0.0
    """Searches, those of earlier looks counting less and less."""
    searches: int = 0
    """As of the last look."""
    is_wanted: bool = False
    """Whether it was searched before the last look: so the first answer is not kept waiting by what is read for it."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held for moments."""
    is_changing: bool = False
    """Codes are read for it, which takes as long as the store does: it is closed after that, by who reads."""
    is_closed: bool = False

    def close(self) -> None:
        """At once, or as soon as what is read for it has come."""
        with self.lock:
            self.is_closed = True
            if not self.is_changing:
                self._let_go()

    def _let_go(self) -> None:
        self.segment.close()
        self.memory.give_back(self.granted_bytes)

    def look(self) -> None:
        """Once a second or so."""
        searches = self.segment.searches
        self.is_wanted = self.searches > 0
        self.heat = _HEAT_KEPT * self.heat + (searches - self.searches)
        self.searches = searches

    @property
    def is_due(self) -> bool:
        """Whether what is yet to come of it is to be read now."""
        return self.is_wanted and self.segment.is_coming

    def resize(self, bytes_now: int) -> bool:
        """Whether it keeps other codes or another graph now. Raises StorageFailure, Corruption."""
        with self.lock:
            if self.is_closed or self.is_changing:
                return False
            is_kept = bytes_now >= self.granted_bytes if self.segment.is_coming else bytes_now == self.granted_bytes
            if is_kept and not self.is_due:
                return False
            self.is_changing = True
        try:
            changed = self.segment.resize(bytes_now)
        except BaseException:
            self._end_change(self.granted_bytes)
            raise
        self._end_change(bytes_now)
        return changed

    def _end_change(self, bytes_now: int) -> None:
        with self.lock:
            self.memory.regrant(self.granted_bytes, bytes_now)
            self.granted_bytes = bytes_now
            self.is_changing = False
            if self.is_closed:
                self._let_go()


class SharedSegments:
    """Of one store of objects. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[_Key, _Held] = {}

    def take(
        self, name: str, schema: IndexSchema, memory: MemoryBudget, opened: Callable[[], tuple[IndexSegment, int]]
    ) -> Taken:
        """Object ``name`` of the store as indexes of ``schema`` see it: as another has it, or ``opened`` now.

        ``opened`` gives it with what it was granted of ``memory``. Raises what that raises.
        """
        key = (name, schema.fields)
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held.holders += 1
        if held is None:
            made = _Held(*opened(), memory)
            with self._lock:
                held = self._held.setdefault(key, made)
                held.holders += 1
            if held is not made:  # another was as fast
                made.close()
        return Taken(held.segment, lambda: held.granted_bytes, partial(self._release, key, held))

    def least_bytes(self, memory: MemoryBudget) -> int:
        """What the shortest codes of all segments take that have theirs of ``memory``."""
        with self._lock:
            return sum(one.segment.least_bytes for one in self._held.values() if one.memory is memory)

    def rebalance(self, memory: MemoryBudget, read_bytes_max: int = READ_BYTES_MAX) -> int:
        """Shares ``memory`` out anew, among the segments that have theirs of it: those of hot indexes first.

        What is yet to come of a segment (`IndexSegment.is_coming`) is read once it was searched.
        To be called once a second or so, by one thread at a time. What gives memory back does so first, all of it; what
        gets more is read from the store, up to ``read_bytes_max`` or so a call. Returns how many changed. A segment
        that cannot be read keeps what it has, and is told of in the log.
        """
        with self._lock:
            held = [one for one in self._held.values() if one.memory is memory]
        for one in held:
            one.look()
        wanted = [Share(one.heat, one.segment.least_bytes, one.segment.wanted_bytes) for one in held]
        given = shares_of(wanted, memory.total_bytes)
        changed = read_bytes = 0
        by_change = sorted(zip(held, given, strict=True), key=lambda pair: pair[1] - pair[0].granted_bytes)
        for one, bytes_now in by_change:
            if one.is_due or (bytes_now > one.granted_bytes and not one.segment.is_coming):
                if read_bytes >= read_bytes_max:
                    break
                read_bytes += bytes_now
            try:
                changed += one.resize(bytes_now)
            except LutraError as error:
                _log.warning("%s keeps what it has in memory: %s", one.segment.name, error)
        return changed

    def _release(self, key: _Key, held: _Held) -> None:
        with self._lock:
            held.holders -= 1
            is_last = not held.holders
            if is_last:
                del self._held[key]
        if is_last:
            held.close()
