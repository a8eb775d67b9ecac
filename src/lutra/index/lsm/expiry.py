"""Which documents of a segment are older than some time, without a timestamp of each of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.segments.times import Times

BLOCK: Final = 4_096
"""Entries of which the least is kept: 2 KB a million documents."""
_BLOCKS_AT_ONCE: Final = 64
"""Read together: 2 MB of timestamps."""
SOON_MAX: Final = 16_384
"""Documents that are known to come next: 256 KB. Where more are due, they are looked for each time anew."""

Docs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read last. All of it stays true while documents die: none comes back to life."""

    least: npt.NDArray[np.int64]
    """int64[blocks]: no living document of the block is older."""
    until_ms: int
    """Every living document that is older is in ``soon``."""
    soon_ms: npt.NDArray[np.int64]
    """Ascending."""
    soon: Docs


class Expiry:
    """The documents of ``times`` in the order in which they grow older than a bound that moves on.

    Thread-safe: what is known is replaced as a whole, and who comes second does the work twice.
    """

    def __init__(self, times: Times, ahead_ms: int = 0) -> None:
        """``ahead_ms``: how far to look ahead where timestamps are read, so that the next bounds need no reading."""
        self._times = times
        self._ahead_ms = ahead_ms
        blocks = -(-times.count // BLOCK)
        nothing = np.empty(0, np.int64)
        self._known = _Known(np.full(blocks, times.least_ms, np.int64), times.least_ms, nothing, nothing)

    @property
    def state_bytes(self) -> int:
        """Of memory, beside what the cache holds."""
        known = self._known
        return known.least.nbytes + known.soon_ms.nbytes + known.soon.nbytes

    def older(self, bound_ms: int, live: RowMask, count: int | None = None) -> Docs:
        """The documents of ``live`` whose timestamp is less than ``bound_ms``, in no order; of many ``count``.

        Raises StorageFailure, Corruption.
        """
        known = self._known
        if bound_ms <= known.until_ms:
            docs = known.soon[: int(np.searchsorted(known.soon_ms, bound_ms))]
            return docs[live.has(docs)][:count]
        return self._read(known, bound_ms, live, count)

    def _read(self, known: _Known, bound_ms: int, live: RowMask, count: int | None) -> Docs:
        """Reads the blocks that may have one, until ``count`` are found."""
        until_ms = bound_ms + self._ahead_ms
        least, found, times, total = known.least.copy(), [], [], 0
        is_whole = True
        for begin, end in _runs(np.flatnonzero(least < until_ms)):
            if count is not None and total >= count:
                is_whole = False
                break
            docs, of = self._times.read(begin * BLOCK, min(end * BLOCK, self._times.count))
            alive = live.has(docs)
            firsts = np.arange(0, len(docs), BLOCK)
            least[begin:end] = np.minimum.reduceat(np.where(alive, of, np.iinfo(np.int64).max), firsts)
            chosen = np.flatnonzero(alive & (of < until_ms))
            found.append(docs[chosen])
            times.append(of[chosen])
            total += int(np.count_nonzero(of[chosen] < bound_ms))
        soon, soon_ms = (np.concatenate([np.empty(0, np.int64), *parts]) for parts in (found, times))
        due = soon[soon_ms < bound_ms][:count]
        if is_whole and len(soon) <= SOON_MAX:
            order = np.argsort(soon_ms, kind="stable")
            self._known = _Known(least, until_ms, soon_ms[order], soon[order])
        else:
            self._known = _Known(least, known.until_ms, known.soon_ms, known.soon)
        return due


def _runs(blocks: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Neighbours among ``blocks`` together, at most so many at once."""
    if not len(blocks):
        return
    for run in np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1):
        for begin in range(int(run[0]), int(run[-1]) + 1, _BLOCKS_AT_ONCE):
            yield begin, min(begin + _BLOCKS_AT_ONCE, int(run[-1]) + 1)
