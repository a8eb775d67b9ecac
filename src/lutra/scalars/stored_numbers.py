"""Arrays of numbers in a stream, each element as narrow as the widest of them needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.scalars.pages import Sink, Source

_WIDTHS: Final = (("<u1", 8), ("<u2", 16), ("<u4", 32))


@dataclass(frozen=True, slots=True)
class StoredNumbers:
    """Where ``count`` numbers lie: of ``stored`` type, less ``base``."""

    offset: int
    count: int
    stored: str
    base: int = 0

    @classmethod
    def write(cls, sink: Sink, values: npt.NDArray[Any]) -> StoredNumbers:
        """Integers, booleans or float64, [n]."""
        if values.dtype.kind == "b":
            values = values.view(np.uint8)
        if values.dtype.kind == "f":
            return cls(sink.write(values.astype("<f8", copy=False)), len(values), "<f8")
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        for stored, bits in _WIDTHS:
            if high - low >> bits == 0:
                base = 0 if low >= 0 and high >> bits == 0 else low
                packed = (values - values.dtype.type(base) if base else values).astype(stored)
                return cls(sink.write(packed), len(values), stored, base)
        return cls(sink.write(values.astype("<i8", copy=False)), len(values), "<i8")

    @classmethod
    def of(cls, meta: Sequence[Any]) -> StoredNumbers:
        """The inverse of `meta`."""
        return cls(*meta)

    def meta(self) -> list[Any]:
        """For JSON."""
        return [self.offset, self.count, self.stored, self.base]

    @property
    def item_bytes(self) -> int:
        return int(self.stored[-1])

    @property
    def size_bytes(self) -> int:
        return self.count * self.item_bytes

    def place(self, begin: int = 0, end: int | None = None) -> tuple[int, int]:
        """Offset and length in the stream of the numbers ``begin`` to ``end`` (None: the last), for `unpack`."""
        end = self.count if end is None else end
        return self.offset + begin * self.item_bytes, (end - begin) * self.item_bytes

    def unpack(self, data: bytes) -> npt.NDArray[Any]:
        """The numbers in ``data``: float64; int64 where they had a base; else of the stored type. Read-only or not."""
        values = np.frombuffer(data, self.stored)
        return values.astype(np.int64) + self.base if self.base else values

    def read(self, source: Source, begin: int = 0, end: int | None = None) -> npt.NDArray[Any]:
        """The numbers ``begin`` to ``end`` (None: the last)."""
        return self.unpack(source.read(*self.place(begin, end)))
