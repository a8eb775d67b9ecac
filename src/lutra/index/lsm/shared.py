"""Segments as several indexes of a process have them: an object is opened once, however many search it.

That is so right after a split: both halves go on with the segments of the whole, which has them in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from lutra.index.lsm.memory import MemoryBudget
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.segments.index_segment import IndexSegment

_Key = tuple[str, tuple[FieldSchema, ...]]


class Taken(NamedTuple):
    """A segment with all of its documents, and what it was granted of memory. ``release`` is called once."""

    segment: IndexSegment
    granted_bytes: int
    release: Callable[[], None]


@dataclass(slots=True)
class _Held:
    segment: IndexSegment
    granted_bytes: int
    memory: MemoryBudget
    holders: int = 0

    def close(self) -> None:
        self.segment.close()
        self.memory.give_back(self.granted_bytes)


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
        return Taken(held.segment, held.granted_bytes, partial(self._release, key, held))

    def _release(self, key: _Key, held: _Held) -> None:
        with self._lock:
            held.holders -= 1
            is_last = not held.holders
            if is_last:
                del self._held[key]
        if is_last:
            held.close()
