"""A stream of bytes in pages that carry their checksums: what columns and keys are written to and read from.

A page is 4096 bytes: 4092 of the stream, then the crc32c of those, little-endian; the last page is filled with zeros.
That is what `lutra.kernels.blocks` checks, once for each time a page is read from disk, where a source has
``checksums``. Places are those of the stream; who reads it knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.kernels.blocks import BlockSource
from lutra.kernels.checksum import crc32c_blocks
from lutra.model.errors import Corruption

PAGE_BYTES: Final = 4096
CHECKSUM_BYTES: Final = 4
PAYLOAD_BYTES: Final = PAGE_BYTES - CHECKSUM_BYTES

_BUFFER_PAGES: Final = 256
_SWEEP_PAGES: Final = 1024

Pages = npt.NDArray[np.uint8]


class Sink(Protocol):
    """Where a column or keys are written, from beginning to end."""

    def write(self, data: bytes | npt.NDArray[Any]) -> int:
        """Appends the bytes of ``data``; returns the place at which they begin."""


class Source(Protocol):
    """Where what a `Sink` took is read: its bytes, checked, at the places it gave. Thread-safe.

    Raises StorageFailure where they cannot be read, Corruption where they are not those that were written.
    """

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on."""

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each ``(offset, length)``, in order; what is not in memory is fetched in one batch."""


class PageWriter:
    """A `Sink` that hands on whole pages. ``append`` takes uint8 [n, 4096], in order."""

    def __init__(self, append: Callable[[Pages], object]) -> None:
        self._append = append
        self._buffer = bytearray()
        self._pages = 0

    def write(self, data: bytes | npt.NDArray[Any]) -> int:
        place = self.size_bytes
        self._buffer += data if isinstance(data, bytes) else np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
        if len(self._buffer) >= _BUFFER_PAGES * PAYLOAD_BYTES:
            self._flush(len(self._buffer) // PAYLOAD_BYTES)
        return place

    @property
    def size_bytes(self) -> int:
        """Bytes of the stream so far."""
        return self._pages * PAYLOAD_BYTES + len(self._buffer)

    def finish(self) -> int:
        """Fills up and hands on the last page. Returns the number of pages in all."""
        self._buffer += bytes(-len(self._buffer) % PAYLOAD_BYTES)
        self._flush(len(self._buffer) // PAYLOAD_BYTES)
        return self._pages

    def _flush(self, count: int) -> None:
        if not count:
            return
        pages = np.empty((count, PAGE_BYTES), np.uint8)
        taken = bytes(memoryview(self._buffer)[: count * PAYLOAD_BYTES])
        del self._buffer[: len(taken)]
        pages[:, :PAYLOAD_BYTES] = np.frombuffer(taken, np.uint8).reshape(count, PAYLOAD_BYTES)
        sums = crc32c_blocks(pages.reshape(-1), PAGE_BYTES, PAYLOAD_BYTES)
        pages[:, PAYLOAD_BYTES:] = sums.astype("<u4").view(np.uint8).reshape(count, CHECKSUM_BYTES)
        self._append(pages)
        self._pages += count


def pages_of(offset: int, length: int) -> tuple[int, int]:
    """Where the pages lie that hold ``length`` bytes of a stream from ``offset`` on: offset and length, in bytes."""
    first, end = offset // PAYLOAD_BYTES, -(-(offset + length) // PAYLOAD_BYTES)
    return first * PAGE_BYTES, (end - first) * PAGE_BYTES


class PageReader:
    """A `Source` over blocks of 4096 bytes opened with ``checksums``. ``name`` is what errors call the stream."""

    def __init__(self, blocks: BlockSource, name: str) -> None:
        self._blocks = blocks
        self.name = name

    def read(self, offset: int, length: int) -> bytes:
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        try:
            return self._blocks.read_payloads(ranges)
        except Corruption as error:
            raise self._named(error) from error

    def faults(self) -> Iterator[str]:
        """Reads all pages past the cache; says of each that fails its checksum where it lies.

        Raises StorageFailure where they cannot be read.
        """
        count = self._blocks.block_count
        for first in range(0, count, _SWEEP_PAGES):
            yield from self._faults(range(first, min(count, first + _SWEEP_PAGES)))

    def _faults(self, pages: range) -> Iterator[str]:
        """Halves what fails until it is single pages."""
        try:
            self._blocks.read(pages, bypass=True)
        except Corruption as error:
            if len(pages) == 1:
                yield str(self._named(error))
                return
            middle = len(pages) // 2
            yield from self._faults(pages[:middle])
            yield from self._faults(pages[middle:])

    def _named(self, error: Corruption) -> Corruption:
        return Corruption(f"section '{self.name}': {error}")
