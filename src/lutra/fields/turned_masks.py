"""Masks of documents, turned to masks of the rows of a vector segment, which may lie in another order."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.kernels.row_mask import RowMask
from lutra.model.arrays import Docs

KEPT_MAX: Final = 8
"""Masks of filters that are kept of a segment."""
_FEW_SHARE: Final = 32
"""Documents below this part of all are turned one by one; so are changes of a mask."""


class TurnedMasks:
    """Of ``docs`` (int32[rows]), the document of each row; there are ``size`` documents. Thread-safe.

    Turning all takes about half a nanosecond a row; of few documents each one's row is looked up. Masks that come again
    are kept, a bit a row: those of filters, and the last one of the documents that live.
    """

    def __init__(self, docs: Docs, size: int) -> None:
        self._docs = docs
        self._size = size
        self._row_of: Docs | None = None
        """int32[size], the row of each document or -1: from the first mask of few documents on."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[RowMask, RowMask]] = OrderedDict()
        """By the identity of a mask, which is held with what it was turned to."""

    @property
    def size_bytes(self) -> int:
        """In memory."""
        row_of = self._row_of
        return len(self._kept) * len(self._docs) // 8 + (0 if row_of is None else row_of.nbytes)

    def of(self, mask: RowMask, lasting: Sequence[RowMask] = ()) -> RowMask:
        """The rows of the documents of ``mask``. ``lasting``: masks that come again, which ``mask`` is made of, as what
        all of them have in common; none: it is thought not to come again."""
        if not lasting:
            return self._turned(mask)
        rows = self._of_lasting(lasting[0])
        for other in lasting[1:]:
            rows = rows & self._of_lasting(other)
        return rows

    def _of_lasting(self, mask: RowMask) -> RowMask:
        with self._lock:
            kept = self._kept.get(id(mask))
            if kept is not None:
                self._kept.move_to_end(id(mask))
                return kept[1]
            before = self._alike(mask)
        rows = self._turned(mask) if before is None else self._turned_from(before, mask)
        with self._lock:
            if before is not None:  # documents that live take the place of those that did a moment ago
                self._kept.pop(id(before[0]), None)
            self._kept[id(mask)] = mask, rows
            if len(self._kept) > KEPT_MAX + 1:
                self._kept.popitem(last=False)
        return rows

    def _alike(self, mask: RowMask) -> tuple[RowMask, RowMask] | None:
        """A mask that is kept, and what it was turned to, which few documents tell from ``mask``: from one moment to
        the next few die."""
        few = self._size // _FEW_SHARE
        if mask.count > few:
            for before, rows in reversed(self._kept.values()):
                # Most are of another filter, which their numbers tell already.
                if abs(before.count - mask.count) <= few and (before - mask).count + (mask - before).count <= few:
                    return before, rows
        return None

    def _turned_from(self, kept: tuple[RowMask, RowMask], mask: RowMask) -> RowMask:
        before, rows = kept
        return rows.minus(self._rows_of(before - mask)).plus(self._rows_of(mask - before))

    def _turned(self, mask: RowMask) -> RowMask:
        if mask.count > self._size // _FEW_SHARE:
            return mask.turned(self._docs)
        return RowMask.of_rows(self._rows_of(mask), len(self._docs))

    def _rows_of(self, mask: RowMask) -> Docs:
        """int32[n], of few documents; those without a row are left out."""
        if self._row_of is None:
            row_of = np.full(self._size, -1, np.int32)
            row_of[self._docs] = np.arange(len(self._docs), dtype=np.int32)
            self._row_of = row_of
        rows = self._row_of[mask.ids()]
        return rows if len(self._docs) == self._size else rows[rows >= 0]
