"""Streams in memory for columns and keys: what a segment's pages are on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class MemoryStream:
    """A sink and a source of the same bytes; counts what is read. Raises IndexError for what is not there."""

    def __init__(self, before: int = 0) -> None:
        """``before``: bytes that others wrote first."""
        self.data = bytearray(before)
        self.read_bytes = 0
        self.reads = 0

    def write(self, data: bytes | npt.NDArray[Any]) -> int:
        offset = len(self.data)
        self.data += data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        return offset

    def read(self, offset: int, length: int) -> bytes:
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self.reads += 1
        self.read_bytes += sum(length for _, length in ranges)
        if not all(min(offset, length) >= 0 and offset + length <= len(self.data) for offset, length in ranges):
            raise IndexError(f"not all of {ranges} are among {len(self.data)} bytes")
        return [bytes(self.data[offset : offset + length]) for offset, length in ranges]
