"""Partial states as bytes: arrays one after the other, each told by its type and length, checked as they are read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import Corruption

_MAGIC: Final = b"LAG1"
_COUNT_BYTES: Final = 8
_CRC_BYTES: Final = 4
_TYPES: Final = {"<i4": b"i", "<i8": b"l", "<u8": b"u", "<f8": b"d", "|u1": b"b"}


class Packer:
    """Takes arrays, strings and bytes; `finish` gives them as one."""

    def __init__(self) -> None:
        self._parts: list[bytes] = [_MAGIC]

    def array(self, values: npt.NDArray[Any]) -> None:
        """int32, int64, uint64, float64 or uint8, [n]."""
        stored = values.astype(values.dtype.newbyteorder("<"), copy=False)
        self._put(_TYPES[stored.dtype.str], len(stored), stored.tobytes())

    def number(self, value: int) -> None:
        self.array(np.array([value], np.int64))

    def blob(self, data: bytes) -> None:
        self.array(np.frombuffer(data, np.uint8))

    def strings(self, strings: Sequence[bytes]) -> None:
        self.array(np.fromiter(map(len, strings), np.int32, len(strings)))
        self.blob(b"".join(strings))

    def finish(self) -> bytes:
        body = b"".join(self._parts)
        return body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little")

    def _put(self, kind: bytes, count: int, data: bytes) -> None:
        self._parts += [kind, count.to_bytes(_COUNT_BYTES, "little"), data]


class Unpacker:
    """Reads what a `Packer` took, in its order. All that is wrong raises Corruption."""

    def __init__(self, data: bytes) -> None:
        body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        require(body[: len(_MAGIC)] == _MAGIC and zlib.crc32(body).to_bytes(_CRC_BYTES, "little") == crc)
        self._body = body
        self._at = len(_MAGIC)

    def array(self, dtype: str, count: int | None = None) -> npt.NDArray[Any]:
        """Of one of the types that a packer takes (``<i4`` and so on) and, unless that is None, so many."""
        begin = self._at + 1 + _COUNT_BYTES
        require(begin <= len(self._body) and self._body[self._at : self._at + 1] == _TYPES[dtype])
        found = int.from_bytes(self._body[self._at + 1 : begin], "little")
        end = begin + found * int(dtype[-1])
        require(end <= len(self._body) and count in (None, found))
        self._at = end
        return np.frombuffer(self._body[begin:end], dtype).astype(np.dtype(dtype).newbyteorder("="))

    def number(self, most: int) -> int:
        """From 0 to ``most``."""
        value = int(self.array("<i8", 1)[0])
        require(0 <= value <= most)
        return value

    def blob(self) -> bytes:
        return self.array("|u1").tobytes()

    def strings(self) -> list[bytes]:
        lengths = self.array("<i4")
        data = self.blob()
        require(not len(lengths) or int(lengths.min()) >= 0)
        ends = np.cumsum(lengths, dtype=np.int64)
        require((int(ends[-1]) if len(ends) else 0) == len(data))
        return [data[begin:end] for begin, end in pairwise([0, *ends.tolist()])]

    def finish(self) -> None:
        require(self._at == len(self._body))


def require(holds: bool | np.bool_) -> None:
    """Raises Corruption unless what is read makes sense."""
    if not holds:
        raise Corruption("a partial state of aggregations makes no sense")
