"""What filters matched in a segment lately: a segment does not change, so what comes again is not listed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from lutra.fields.turned_masks import KEPT_MAX
from lutra.kernels.row_mask import RowMask

_ASKED_MAX: Final = 128
"""Filters that were asked for once, of which only a hash is kept."""


_FILTER_CHARS_MAX: Final = 4_096
"""A filter with longer operands takes more memory than its mask is worth."""


class KeptMasks:
    """The masks of the last `KEPT_MAX` filters that were asked for more than once. Thread-safe.

    That is a byte a document at most. A filter that comes only once takes no memory, and pushes out none that comes
    often, as in Lucene's LRUQueryCache.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._masks: OrderedDict[Hashable, RowMask] = OrderedDict()
        self._asked: OrderedDict[int, None] = OrderedDict()

    def get(self, filtered: Hashable) -> RowMask | None:
        """What ``filtered`` matches, where that is kept."""
        with self._lock:
            mask = self._masks.get(filtered)
            if mask is not None:
                self._masks.move_to_end(filtered)
            return mask

    def offer(self, filtered: Hashable, mask: RowMask) -> bool:
        """Of a filter that was listed; whether it is kept from now on: where it was offered before."""
        with self._lock:
            asked = hash(filtered)
            if asked not in self._asked:
                self._asked[asked] = None
                if len(self._asked) > _ASKED_MAX:
                    self._asked.popitem(last=False)
                return False
            del self._asked[asked]
            if len(repr(filtered)) > _FILTER_CHARS_MAX:
                return False
            self._masks[filtered] = mask
            if len(self._masks) > KEPT_MAX:
                self._masks.popitem(last=False)
            return True

    @property
    def size_bytes(self) -> int:
        """Of the masks."""
        with self._lock:
            return sum(mask.rows // 8 for mask in self._masks.values())
