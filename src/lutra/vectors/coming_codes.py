"""Codes that come list by list as searches need them: of a segment far away, searched before all of them are here."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.lists import Lists
from lutra.kernels.row_mask import RowMask
from lutra.vectors.layout import SectionName
from lutra.vectors.segment_file import SegmentFile

WIDER: Final = 2.0
"""So many times the rows that searches look at on average: how far one reaches is known only from what it finds, and
more bytes take less time than another request."""


class ComingCodes:
    """Records of a segment whose rows are in lists. Thread-safe.

    ``records`` are filled in place, a list at a time, and only rows that are `here` may be looked at.
    """

    def __init__(self, file: SegmentFile, lists: Lists, records: NDArray[np.uint8]) -> None:
        """``records``: uint8 [rows, record bytes]. The file stays its owner's to close."""
        self._file = file
        self._lists = lists
        self._records = records
        self._offsets = lists.offsets.astype(np.int64)
        self._lock = threading.Lock()
        self._is_here = np.zeros(len(lists), np.bool_)
        self._rows_here = RowMask.none(len(records))

    @property
    def here(self) -> RowMask:
        """Rows whose codes are in memory."""
        return self._rows_here

    def fetch_near(self, queries: NDArray[np.float32], rows: int, counting: int, mask: RowMask | None) -> None:
        """Has the lists nearest to each of ``queries`` (float32 [q, d]) read, in one batch, so that their rows are
        `here`.

        :param rows: that the lists of one query have together, at least.
        :param counting: of ``mask`` (None: of all) among them, at least, as far as there are so many.
        :raises Corruption: a block fails its checksum. :raises StorageFailure: a read failed.
        :raises RequestTimeout: it did not come in time.
        """
        sizes = np.diff(self._offsets)
        counts = sizes if mask is None else np.diff(np.searchsorted(mask.ids(), self._offsets))
        is_wanted = np.zeros(len(sizes), np.bool_)
        for query in queries:
            order, _ = self._lists.ranked(query)
            had, counted = np.cumsum(sizes[order]), np.cumsum(counts[order])
            of_all = int(np.searchsorted(had, min(rows, had[-1])))
            of_counting = int(np.searchsorted(counted, min(counting, counted[-1])))
            is_wanted[order[: max(of_all, of_counting) + 1]] = True
        self._fetch(np.flatnonzero(is_wanted & ~self._is_here & (counts > 0)))

    def _fetch(self, lists: NDArray[np.int64]) -> None:
        if not len(lists):
            return
        per_block = self._file.layout(SectionName.CODES).items_per_block
        begins, ends = self._offsets[lists] // per_block, (self._offsets[lists + 1] - 1) // per_block
        numbers = np.unique(np.concatenate([np.arange(b, e + 1) for b, e in zip(begins, ends, strict=True)]))
        runs = [(int(run[0]), len(run)) for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)]
        for (first, _), found in zip(runs, self._file.read_code_blocks(runs), strict=True):
            rows = self._records[first * per_block :][: len(found)]
            rows[:] = found[: len(rows)]
        with self._lock:
            self._is_here[lists] = True
            self._rows_here = RowMask(np.repeat(self._is_here, np.diff(self._offsets)))
