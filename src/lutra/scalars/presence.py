"""Which documents of a column have values, and which values are theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model.arrays import Docs, Mask
from lutra.scalars.pages import Sink, Source
from lutra.scalars.stored_numbers import StoredNumbers

_GROUP_BYTES: Final = 512
"""Of the bitmap: for so many at a time is counted how many documents come before."""


def write_presence(sink: Sink, size: int, docs: Docs | None, count: int, single: bool) -> dict[str, Any]:
    """Writes to which of ``size`` documents ``count`` values in their order belong, as `Elements` says it.

    Returns what `Presence` wants to know, for JSON.
    """
    meta: dict[str, Any] = {"values": count, "bitmap": None, "before": None, "ends": None}
    if docs is None and count == size:
        return meta
    mask = np.zeros(size, bool)
    if docs is None:
        mask[:count] = True
    else:
        mask[docs] = True
    if not mask.all():
        bits = np.packbits(mask, bitorder="little")
        meta["bitmap"] = sink.write(bits)
        meta["before"] = StoredNumbers.write(sink, _before(mask)).meta()
    if not single:
        assert docs is not None
        ends = np.flatnonzero(np.diff(docs, append=-1)) + 1
        meta["ends"] = StoredNumbers.write(sink, ends).meta()
    return meta


def _before(mask: Mask) -> npt.NDArray[np.int64]:
    """How many documents have values before each group of the bitmap."""
    counts = np.add.reduceat(mask, np.arange(0, len(mask), 8 * _GROUP_BYTES), dtype=np.int64)
    return np.cumsum(counts) - counts


class Presence:
    """What `write_presence` wrote, read as it is asked for. Thread-safe."""

    def __init__(self, source: Source, meta: Mapping[str, Any], size: int) -> None:
        self._source = source
        self._size = size
        self._count: int = meta["values"]
        self._bitmap: int | None = meta["bitmap"]
        self._before = None if meta["before"] is None else StoredNumbers.of(meta["before"])
        self._ends = None if meta["ends"] is None else StoredNumbers.of(meta["ends"])

    @property
    def full(self) -> bool:
        """Every document has a value."""
        return self._bitmap is None

    @property
    def documents_max(self) -> int:
        """So many documents have values, or fewer."""
        return min(self._size, self._count)

    def mask(self) -> RowMask:
        """Documents that have a value."""
        if self._bitmap is None:
            return RowMask.all(self._size)
        bits = np.frombuffer(self._source.read(self._bitmap, -(-self._size // 8)), np.uint8)
        return RowMask.of_bits(bits, self._size)

    def docs(self) -> Docs | None:
        """int32[values]: the document of each value, ascending; None where they are 0, 1, 2, …"""
        if self.full and self._ends is None:
            return None
        docs = self.mask().ids().astype(np.int32)
        if self._ends is not None:
            ends: npt.NDArray[np.int64] = self._ends.read(self._source).astype(np.int64)
            ends[1:] -= ends[:-1].copy()
            docs = np.repeat(docs, ends)
        return docs

    def starts(self) -> tuple[Docs | None, npt.NDArray[np.int64]]:
        """The documents that have values (None: all), and where those of each begin; for columns that have `ends`."""
        assert self._ends is not None
        starts = np.zeros(self._ends.count, np.int64)
        starts[1:] = self._ends.read(self._source, 0, max(0, self._ends.count - 1))
        return (None if self.full else self.mask().ids().astype(np.int32)), starts

    def values_of(self, doc: int) -> tuple[int, int]:
        """The values of a document: from one number up to another, which may be the same."""
        rank = self._rank(doc)
        if rank is None:
            return 0, 0
        if self._ends is None:
            return rank, rank + 1
        if rank == 0:
            return 0, int(self._ends.read(self._source, 0, 1)[0])
        begin, end = self._ends.read(self._source, rank - 1, rank + 1).tolist()
        return begin, end

    def faults(self, values: int, single: bool) -> Iterator[str]:
        """What does not agree: with itself, or with a column of so many values; ``single``: no document has two."""
        mask = self.mask()
        docs = mask.count
        if self._count != values:
            yield f"their values are said to be {self._count}, but there are {values}"
        if single != (self._ends is None):
            several = "none is said to have several values" if single else "some are said to have several values"
            yield f"{several}, but where each one's end is {'there' if single else 'not there'}"
        elif self._ends is None:
            if docs != values:
                yield f"{docs} are said to have a value each, but there are {values} values"
        else:
            ends = self._ends.read(self._source).astype(np.int64)
            if len(ends) != docs or bool(np.any(np.diff(ends, prepend=0) < 1)) or int(ends[-1:].sum()) != values:
                yield f"{docs} are said to have values, but the {values} values are not shared out among them"
        if (self._bitmap is None) != (self._before is None):
            yield "those with values are marked, but not counted, or counted, but not marked"
        elif self._before is not None and not np.array_equal(self._before.read(self._source), _before(mask.bools())):
            yield "those with values are counted wrong"

    def _rank(self, doc: int) -> int | None:
        """How many documents before ``doc`` have values; None where it has none itself."""
        if self._bitmap is None or self._before is None:
            return doc
        group, bit = divmod(doc, 8 * _GROUP_BYTES)
        length = min(_GROUP_BYTES, -(-self._size // 8) - group * _GROUP_BYTES)
        before, data = self._source.read_many(
            [self._before.place(group, group + 1), (self._bitmap + group * _GROUP_BYTES, length)]
        )
        bits = int.from_bytes(data, "little")
        if not bits >> bit & 1:
            return None
        return int(self._before.unpack(before)[0]) + (bits & ((1 << bit) - 1)).bit_count()
