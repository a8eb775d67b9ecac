"""When documents of a segment were written, read a stretch at a time through the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.scalars.pages import Source
from lutra.scalars.stored_numbers import StoredNumbers

UNKNOWN_MS: Final = -(1 << 63)
"""The oldest timestamp of a document of a segment that was written before those were kept."""
NEVER_MS: Final = (1 << 63) - 1

Docs = npt.NDArray[np.int64]
Timestamps = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Times:
    """A timestamp of each of some documents, in ms. ``count`` of them, none less than ``least_ms``. Thread-safe.

    ``docs`` None: of all documents, in their order. ``numbers`` None: all are ``least_ms``.
    """

    count: int
    least_ms: int
    source: Source | None = None
    numbers: StoredNumbers | None = None
    docs: StoredNumbers | None = None

    def read(self, begin: int, end: int) -> tuple[Docs, Timestamps]:
        """Documents, ascending, and timestamps of the entries ``begin`` to ``end``: int64[n] both.

        Raises StorageFailure, Corruption.
        """
        docs, times = np.arange(begin, end, dtype=np.int64), np.full(end - begin, self.least_ms, np.int64)
        if self.source is not None and self.docs is not None:
            docs = self.docs.read(self.source, begin, end).astype(np.int64, copy=False)
        if self.source is not None and self.numbers is not None:
            times = self.numbers.read(self.source, begin, end).astype(np.int64, copy=False)
        return docs, times


NO_TIMES: Final = Times(0, NEVER_MS)
