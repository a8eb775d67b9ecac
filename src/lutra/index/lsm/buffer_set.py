"""The buffers of one index: the one that takes rows in, and those before it that still serve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lutra.feed.progress import Progress
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.sealed import Sealed
from lutra.index.lsm.view import PartView
from lutra.model.indexes import IndexSchema
from lutra.model.schema import KeyColumn


class BufferSet:
    """Its owner sees to locks: both ``active`` and ``sealed`` change, and rows are killed in all, by turns."""

    def __init__(self, schema: IndexSchema, key_columns: tuple[KeyColumn, ...]) -> None:
        self._key_columns = key_columns
        self.active = Buffer(schema, key_columns)
        self.sealed: list[Sealed] = []
        self._unindexed_before: Counter[str] = Counter()

    def all(self) -> list[Buffer]:
        return [self.active, *(sealed.buffer for sealed in self.sealed)]

    @property
    def rows(self) -> int:
        """That are live, those included that have expired but not been dropped yet."""
        return sum(buffer.rows for buffer in self.all())

    @property
    def size_bytes(self) -> int:
        """About what they take in memory."""
        return sum(buffer.size_bytes for buffer in self.all())

    @property
    def unindexed(self) -> Counter[str]:
        """How many values of each field were left out since the index was made."""
        return self._unindexed_before + self.active.unindexed

    def begin_with(self, unindexed: Counter[str]) -> None:
        """So many were left out before there were these."""
        self._unindexed_before = unindexed

    @property
    def unwritten(self) -> list[Sealed]:
        """Those that are to be written out."""
        return [sealed for sealed in self.sealed if not sealed.written]

    def views(self) -> list[PartView]:
        return [buffer.view() for buffer in self.all()]

    def kill_sealed(self, keys: Sequence[bytes]) -> bool:
        """Removes the documents of ``keys`` from all but the active one. Whether there were any."""
        return sum(sealed.buffer.kill(keys) for sealed in self.sealed) > 0

    def expired(self, oldest_ms: int) -> list[bytes]:
        """The keys of rows that have expired."""
        return [key for buffer in self.all() for key in buffer.expired(oldest_ms)]

    def outdated(self, oldest_ms: int, count: int) -> list[bytes]:
        """Keys of rows, ``count`` at most of each buffer, of which a value has expired."""
        return [key for buffer in self.all() for key in buffer.outdated(oldest_ms)[:count]]

    def seal(self, schema: IndexSchema, since: int, progress: Progress) -> None:
        """The active one is to be written out, where it has rows, and a new one takes its place."""
        if self.active.rows:
            self.sealed.append(Sealed(self.active, since, progress))
        self._unindexed_before = self.unindexed
        self.active = Buffer(schema, self._key_columns)
