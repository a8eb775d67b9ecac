"""A segment that an index searches, and which of its documents are still there."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.index.live import LiveMask
from lutra.index.manifest import SegmentEntry
from lutra.scalars.bloom import Hashes
from lutra.scalars.part import ScalarPart
from lutra.scalars.segment_keys import SegmentKeys
from lutra.scalars.strings import Mask
from lutra.segments.index_segment import IndexSegment
from lutra.vectors.part import VectorPart

Docs = npt.NDArray[np.int64]
Retired = deque[tuple[str, IndexSegment, int]]
"""Segments that neither an index nor a view holds any more, to be closed: name, segment, granted bytes."""


class OpenSegment:
    """One segment with its live mask. ``kill`` and ``live`` take turns, which its owner sees to.

    It is kept by the index that searches it and by every view taken of it. When the last of them lets go, it is added
    to ``retired``: no reader is left.
    """

    def __init__(self, entry: SegmentEntry, segment: IndexSegment, granted_bytes: int, retired: Retired) -> None:
        self.shape = entry.shape
        """As built or as the last manifest has it; ``dead`` is of this moment."""
        self.since = entry.since
        """All its rows came by changes after this sequence."""
        self.deletions = entry.deletions
        """The object of the documents that were dead when the last manifest was written."""
        self.segment = segment
        self.granted_bytes = granted_bytes
        """Of memory (`lutra.index.resources.MemoryBudget`)."""
        self.committed = segment.live
        """bool[rows], the documents that ``deletions`` leaves."""
        self.is_in_manifest = False
        self._live = LiveMask.of(segment.live)
        self._newest_ms: npt.NDArray[np.int64] | None = None
        self.oldest_live_ms = segment.meta.newest_ms[0]
        """No document that lives is older, as far as is known."""
        self._reading = threading.Lock()
        weakref.finalize(self, retired.append, (entry.shape.name, segment, granted_bytes)).atexit = False

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def rows(self) -> int:
        """That are live."""
        return self._live.size - self._live.dead

    @property
    def dead(self) -> int:
        return self._live.dead

    def find(self, keys: Sequence[bytes], hashes: Hashes) -> Docs:
        """The documents, dead ones too, of those ``keys`` that are here. Raises StorageFailure, Corruption."""
        docs = self.segment.keys.find(keys, hashes)
        return docs[docs >= 0]

    def kill(self, docs: Docs) -> bool:
        """Whether one of ``docs`` was alive."""
        alive = self._live.alive(docs)
        self._live.kill(alive)
        return len(alive) > 0

    def live(self) -> Mask:
        """bool[size], of this moment."""
        return self._live.view()

    def view(self) -> SegmentView:
        """The segment at this moment."""
        return SegmentView(self, self.rows, self._live.view())

    def expired(self, oldest_ms: int) -> Docs:
        """The live documents whose newest timestamp is older. Raises StorageFailure, Corruption."""
        newest_ms, live = self.timestamps(), self._live.view()
        expired = np.flatnonzero(live & (newest_ms < oldest_ms))
        left = newest_ms[live & (newest_ms >= oldest_ms)]
        self.oldest_live_ms = int(left.min(initial=np.iinfo(np.int64).max))
        return expired

    def timestamps(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its cells, in ms. Raises StorageFailure, Corruption."""
        with self._reading:
            if self._newest_ms is None:
                self._newest_ms = self.segment.newest_ms()
            return self._newest_ms


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment at one instant. A `Part`."""

    opened: OpenSegment
    rows: int
    live: Mask

    @property
    def size(self) -> int:
        return self.opened.segment.size

    @property
    def keys(self) -> SegmentKeys:
        return self.opened.segment.keys

    @property
    def in_key_order(self) -> bool:
        return True

    @property
    def scalars(self) -> Mapping[str, ScalarPart]:
        return self.opened.segment.scalars

    @property
    def vectors(self) -> Mapping[str, VectorPart]:
        return self.opened.segment.vectors

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its cells."""
        return self.opened.timestamps()

    def since(self, oldest_ms: int) -> SegmentView:
        """The same without what is older. Raises StorageFailure, Corruption."""
        if self.opened.oldest_live_ms >= oldest_ms:
            return self
        live = self.live & (self.opened.timestamps() >= oldest_ms)
        return SegmentView(self.opened, int(np.count_nonzero(live)), live)
