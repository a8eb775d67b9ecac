"""A segment that an index searches, and which of its documents are still there."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import Fields
from lutra.index.lsm.expiry import Docs, Expiry
from lutra.index.lsm.live import LiveMask
from lutra.index.lsm.manifest import SegmentEntry
from lutra.kernels.row_mask import RowMask
from lutra.scalars.bloom import Hashes, hashes_of
from lutra.scalars.segment_keys import SegmentKeys
from lutra.segments.index_segment import IndexSegment
from lutra.segments.kept_masks import KeptMasks

_AHEAD_MS: Final = 3_000
"""Of rows that expire: dropped every second or so, they are known before, and searches need not look for them."""

Retired = deque[tuple[str, Callable[[], None]]]
"""Segments that neither an index nor a view holds any more: name, and what lets go of it."""


class OpenSegment:
    """One segment with its live mask. ``kill`` and ``live`` take turns, which its owner sees to.

    It is kept by the index that searches it and by every view taken of it. When the last of them lets go, it is added
    to ``retired``: no reader is left.
    """

    def __init__(
        self,
        entry: SegmentEntry,
        segment: IndexSegment,
        granted: Callable[[], int],
        retired: Retired,
        release: Callable[[], None],
    ) -> None:
        """``granted`` tells what it is granted of memory; ``release`` lets go of ``segment``."""
        self.shape = entry.shape
        """As built or as the last manifest has it; ``dead`` is of this moment."""
        self.since = entry.since
        """All its rows came by changes after this sequence."""
        self.deletions = entry.deletions
        """The object of the documents that were dead when the last manifest was written."""
        self.segment = segment
        self._granted = granted
        self.committed = segment.live
        """The documents that ``deletions`` leaves."""
        self.is_in_manifest = False
        self._live = LiveMask.of(segment.live)
        self._rows = Expiry(segment.newest, _AHEAD_MS)
        self._cells = Expiry(segment.oldest)
        self._lately: tuple[RowMask, int, RowMask] | None = None  # a mask, how many of it had expired, and the rest
        weakref.finalize(self, retired.append, (entry.shape.name, release)).atexit = False

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def granted_bytes(self) -> int:
        """Of memory (`lutra.index.lsm.memory.MemoryBudget`), at this moment."""
        return self._granted()

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

    def kill_keys(self, keys: Sequence[bytes]) -> None:
        """Kills what died while the segment was built, before anybody searches it. Raises as ``find``."""
        if keys:
            self.kill(self.find(keys, hashes_of(keys)))

    def live(self) -> RowMask:
        """Of this moment."""
        return self._live.view()

    def view(self) -> SegmentView:
        """The segment at this moment."""
        return SegmentView(self, self.rows, self._live.view())

    def expired(self, oldest_ms: int) -> Docs:
        """The live documents whose newest timestamp is older. Raises StorageFailure, Corruption."""
        return self._rows.older(oldest_ms, self._live.view())

    def outdated(self, oldest_ms: int, count: int) -> Docs:
        """Live documents of which a value was written before that, ``count`` at most; some that live on where more are.

        Raises StorageFailure, Corruption.
        """
        return self._cells.older(oldest_ms, self._live.view(), count)

    def without_expired(self, live: RowMask, oldest_ms: int) -> tuple[RowMask, int]:
        """``live`` without what is older, and how many that are: the same mask as long as they are the same.

        Raises StorageFailure, Corruption.
        """
        docs = self._rows.older(oldest_ms, live)
        if not len(docs):
            return live, 0
        lately = self._lately
        if lately is not None and lately[0] is live and lately[1] == len(docs):
            return lately[2], len(docs)
        left = live.minus(docs)
        self._lately = live, len(docs), left
        return left, len(docs)

    @property
    def state_bytes(self) -> int:
        """What is kept in memory of timestamps."""
        return self._rows.state_bytes + self._cells.state_bytes


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment at one instant. A `Part`."""

    opened: OpenSegment
    rows: int
    live: RowMask

    @property
    def name(self) -> str:
        return self.opened.name

    @property
    def size(self) -> int:
        return self.opened.segment.size

    @property
    def size_bytes(self) -> int:
        """Of the object."""
        return self.opened.segment.size_bytes

    @property
    def kept(self) -> KeptMasks:
        return self.opened.segment.kept

    @property
    def keys(self) -> SegmentKeys:
        return self.opened.segment.keys

    @property
    def in_key_order(self) -> bool:
        return True

    @property
    def is_far(self) -> bool:
        return self.opened.segment.is_far

    @property
    def fields(self) -> Fields:
        return self.opened.segment.fields

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its row's cells. Read anew each time."""
        return self.opened.segment.newest_ms()

    def oldest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document, as `lutra.segments.part.Part` says. Read anew each time."""
        return self.opened.segment.oldest_ms()

    def since(self, oldest_ms: int) -> SegmentView:
        """The same without what is older. Raises StorageFailure, Corruption."""
        live, expired = self.opened.without_expired(self.live, oldest_ms)
        return SegmentView(self.opened, self.rows - expired, live) if expired else self
