"""The documents of a column in the order of their values, and runs of them as masks.

Every predicate comes down to runs of this order. A short run is read and set document by document. For long ones
there are bitmaps over all documents, one every ``step`` postings. Of a column with one value a document, bitmap ``j``
holds the documents of the first ``j * step`` postings, so a run is the difference of two, corrected at its ends.
Of any other, bitmap ``j`` holds those of the ``j``-th ``step`` postings, and a run is the union of those within it. A
step of a sixteenth of the documents makes a bitmap half the size of what it stands for: two more bytes a posting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.scalars.pages import Sink, Source
from lutra.scalars.stored_numbers import StoredNumbers

Bits = npt.NDArray[np.uint8]
Run = tuple[int, int]

_STEPS: Final = 16
"""So many bitmaps where each document has one value."""
_STEP_MIN: Final = 1_024
_BITMAP_COST: Final = 64
"""Reading and joining a bitmap takes as long as reading and setting one document in so many of those it covers,"""
_BITMAPS_COST: Final = 8_192
"""and doing so at all as long as so many (`bench.scalars`; at 20,000 to 4 million documents)."""


def write_postings(sink: Sink, size: int, postings: npt.NDArray[np.int32], single: bool) -> dict[str, Any]:
    """Writes the documents ``postings`` (of ``size``), ordered by value and then number; ``single``: none comes twice.

    Returns what `Postings` wants to know, for JSON.
    """
    docs = StoredNumbers.write(sink, postings)
    step = max(_STEP_MIN, -(-size // _STEPS))
    count = len(postings) // step
    at = 0
    mask = np.zeros(size, bool)
    for j in range(count):
        if not single:
            mask[:] = False
        mask[postings[j * step : (j + 1) * step]] = True
        place = sink.write(np.packbits(mask, bitorder="little"))
        at = at if j else place
    return {"docs": docs.meta(), "step": step, "bitmaps": count, "at": at}


class Postings:
    """Turns runs of postings into masks over ``size`` documents."""

    def __init__(self, source: Source, meta: Mapping[str, Any], size: int, single: bool) -> None:
        self._source = source
        self._size = size
        self._single = single
        self._docs = StoredNumbers.of(meta["docs"])
        self._step: int = meta["step"]
        self._bitmaps: int = meta["bitmaps"]
        self._at: int = meta["at"]
        self._bitmap_bytes = -(-size // 8)

    @property
    def count(self) -> int:
        return self._docs.count

    def docs(self) -> npt.NDArray[Any]:
        """The documents, by value and then number; integers of any type."""
        return self._docs.read(self._source)

    def faults(self) -> Iterator[str]:
        """Bitmaps that do not hold the postings they stand for; nothing where all do. All `docs` are documents."""
        step = self._step
        if step < 1 or self._bitmaps * step > self.count:
            yield f"there are said to be {self._bitmaps} bitmaps, each of {step} of {self.count} postings"
            return
        docs, mask = self.docs(), RowMask.none(self._size)
        for number in range(self._bitmaps):
            before = mask if self._single else RowMask.none(self._size)
            mask = before.plus(docs[number * step : (number + 1) * step])
            if self._packed(self._read_bits([number])[0]) != mask:
                yield f"bitmap {number} is not of its {step} postings"

    def mask(self, runs: Iterable[Run]) -> RowMask:
        """Documents of any of the ``runs`` (of which none overlaps another)."""
        short: list[Run] = []
        mask: RowMask | None = None
        for begin, end in runs:
            long = self._by_bitmaps(begin, end)
            if long is None:
                short.append((begin, end))
            else:
                mask = long if mask is None else mask | long
        docs = self._of_runs(short)
        if mask is None:
            return RowMask.none(self._size) if docs is None else RowMask.of_rows(docs, self._size)
        return mask if docs is None else mask.plus(docs)

    def _of_runs(self, runs: list[Run]) -> npt.NDArray[Any] | None:
        """The documents of ``runs``, read in one batch; None where there are none."""
        runs = [run for run in runs if run[0] < run[1]]
        if not runs:
            return None
        if len(runs) == 1:
            return self._docs.read(self._source, *runs[0])
        data = self._source.read_many([self._docs.place(*run) for run in runs])
        return self._docs.unpack(b"".join(data))

    def _by_bitmaps(self, begin: int, end: int) -> RowMask | None:
        """The mask of a run, where bitmaps make it in less time than its documents."""
        return self._difference(begin, end) if self._single else self._union(begin, end)

    def _difference(self, begin: int, end: int) -> RowMask | None:
        step = self._step
        low, high = (min(self._bitmaps, (place + step // 2) // step) for place in (begin, end))
        edges = abs(begin - low * step) + abs(end - high * step)
        if low == high or edges + 2 * self._size // _BITMAP_COST + _BITMAPS_COST >= end - begin:
            return None
        # Below bitmap 0 there is nothing, so it need not be there.
        bits = self._read_bits([n - 1 for n in (low, high) if n])
        mask = self._packed(bits[0] if len(bits) == 1 else bits[0] ^ bits[1])
        more = self._of_runs([(begin, low * step), (high * step, end)])
        fewer = self._of_runs([(low * step, begin), (end, high * step)])
        mask = mask if more is None else mask.plus(more)
        return mask if fewer is None else mask.minus(fewer)

    def _union(self, begin: int, end: int) -> RowMask | None:
        step = self._step
        low, high = -(-begin // step), min(self._bitmaps, end // step)
        if low >= high or (high - low) * self._size // _BITMAP_COST + _BITMAPS_COST >= (high - low) * step:
            return None
        bits = self._read_bits(list(range(low, high)))
        joined = bits[0] if len(bits) == 1 else np.bitwise_or.reduce(bits)
        mask = self._packed(joined)
        more = self._of_runs([(begin, low * step), (high * step, end)])
        return mask if more is None else mask.plus(more)

    def _read_bits(self, numbers: list[int]) -> list[Bits]:
        length = self._bitmap_bytes
        data = self._source.read_many([(self._at + n * length, length) for n in numbers])
        return [np.frombuffer(part, np.uint8) for part in data]

    def _packed(self, bits: Bits) -> RowMask:
        return RowMask.of_bits(bits, self._size)
