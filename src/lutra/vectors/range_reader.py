"""Ranges of bytes of one object that does not change: a local file, read past the page cache."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.blocks import BlockCache, BlockKind, BlockSource
from lutra.model.errors import StorageFailure
from lutra.vectors.layout import PAGE_BYTES, whole_pages

Bytes = NDArray[np.uint8]

_HUGE_BYTES_MIN: Final = 4 * 1024 * 1024
_OWN_PAGES_MIN: Final = 256 * 1024
QUEUE_DEPTH: Final = 64
"""Reads of one batch under way at once: of nodes, a local disk gives most so."""
SWEEP_BYTES: Final = 1024 * 1024
"""Of a local disk: more gives no higher rate, and is not in the processor's cache any more when it is checked."""
_READ_BYTES_MAX: Final = 8 * 1024 * 1024
"""One system call: large enough for a disk's full rate, small enough that other threads' reads get between."""


class RangeReader(Protocol):
    """What a segment is read from: the seam for objects elsewhere than on a local disk. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def is_remote(self) -> bool:
        """Whether each read waits for a store that is far away."""

    @property
    def sweep_bytes(self) -> int:
        """What who reads all of a section best asks for at a time."""

    def read(self, offset: int, size_bytes: int) -> Bytes:
        """uint8 [size_bytes] from ``offset`` on, in memory of the caller's own.

        Raises StorageFailure where they cannot be read, or are not all there.
        """

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """`read` of each ``(offset, size_bytes)``, from a store far away all at once."""

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        """From a store far away, has each ``(offset, size_bytes)`` read at once, so that what opening reads of them is
        here by then. Raises as `read`.
        """

    def open_blocks(
        self, cache: BlockCache, offset: int, length: int, *, block_bytes: int, kind: BlockKind
    ) -> BlockSource:
        """``length`` bytes from ``offset``, a whole page, by blocks that end in their checksums, through ``cache``.

        The caller closes them. Raises StorageFailure where they cannot be opened.
        """

    def close(self) -> object: ...


class LocalFile:
    """A local file by direct I/O; where the file system has none, the page cache is told to drop what was read."""

    sweep_bytes: Final = SWEEP_BYTES
    is_remote: Final = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = str(Path(path))
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageFailure(f"{self.name}: cannot be opened: {error.strerror}.") from error
        self.close = weakref.finalize(self, os.close, self._file)
        """Safe to call again; not while another thread reads."""
        self.size_bytes = os.fstat(self._file).st_size
        try:
            fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) | os.O_DIRECT)
            self.direct = True
        except OSError:
            self.direct = False

    def read(self, offset: int, size_bytes: int) -> Bytes:
        """As `RangeReader` says; the memory is page-aligned where ``offset`` is."""
        begin = offset // PAGE_BYTES * PAGE_BYTES
        end = offset + size_bytes
        buffer = page_aligned(whole_pages(end - begin))
        at = begin
        while at < end:
            part = buffer[at - begin :][:_READ_BYTES_MAX]
            try:
                count = os.preadv(self._file, [part.data], at)
            except OSError as error:
                raise StorageFailure(f"{self.name}: cannot be read at byte {at}: {error.strerror}.") from error
            at += count
            if at < end and (count == 0 or count % PAGE_BYTES):
                raise StorageFailure(f"{self.name}: ends at byte {at}, but should go on to byte {end} at least.")
        if not self.direct:
            with contextlib.suppress(OSError):  # advice only
                os.posix_fadvise(self._file, begin, len(buffer), os.POSIX_FADV_DONTNEED)
        return buffer[offset - begin : end - begin]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """As `RangeReader` says."""
        return [self.read(*one) for one in ranges]

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Nothing: the disk is near."""

    def open_blocks(
        self, cache: BlockCache, offset: int, length: int, *, block_bytes: int, kind: BlockKind
    ) -> BlockSource:
        """As `RangeReader` says."""
        return cache.open_file(
            self.name,
            block_bytes,
            owner=self.name,
            kind=kind,
            checksums=True,
            offset=offset,
            length=length,
            queue_depth=QUEUE_DEPTH,
        )


class PartReader:
    """``size_bytes`` of what another reads, from byte ``offset`` on, a whole page. Closing it leaves the other open."""

    def __init__(self, whole: RangeReader, offset: int, size_bytes: int, name: str | None = None) -> None:
        """``name`` is what errors call it. Raises ValueError where there are no such bytes."""
        if offset % PAGE_BYTES or not 0 <= offset <= offset + size_bytes <= whole.size_bytes:
            raise ValueError(f"{whole.name}: of {whole.size_bytes} bytes, {size_bytes} from {offset} are no part")
        self.name = whole.name if name is None else name
        self.size_bytes = size_bytes
        self.sweep_bytes = whole.sweep_bytes
        self.is_remote = whole.is_remote
        self._whole = whole
        self._offset = offset

    def read(self, offset: int, size_bytes: int) -> Bytes:
        """As `RangeReader` says."""
        if offset + size_bytes > self.size_bytes:
            raise StorageFailure(f"{self.name}: a part of {self.size_bytes} bytes ends before {offset + size_bytes}.")
        return self._whole.read(self._offset + offset, size_bytes)

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """As `RangeReader` says."""
        for offset, size_bytes in ranges:
            if offset + size_bytes > self.size_bytes:
                raise StorageFailure(f"{self.name}: a part of {self.size_bytes} bytes ends before its end.")
        return self._whole.read_many([(self._offset + offset, size_bytes) for offset, size_bytes in ranges])

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        """As `RangeReader` says."""
        self._whole.ahead([(self._offset + offset, size_bytes) for offset, size_bytes in ranges])

    def open_blocks(
        self, cache: BlockCache, offset: int, length: int, *, block_bytes: int, kind: BlockKind
    ) -> BlockSource:
        """As `RangeReader` says."""
        begin = self._offset + offset
        return self._whole.open_blocks(cache, begin, length, block_bytes=block_bytes, kind=kind)

    def close(self) -> None:
        """Nothing: the other is its owner's to close."""


def page_aligned(size_bytes: int) -> Bytes:
    """uint8 [size_bytes] that begins at a page, as direct I/O wants it; in no defined state."""
    if size_bytes >= _OWN_PAGES_MIN:  # given back to the system as soon as it is not used, which malloc's is not
        return np.frombuffer(mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)
    memory = np.empty(size_bytes + PAGE_BYTES, np.uint8)
    begin = -memory.ctypes.data % PAGE_BYTES
    return memory[begin : begin + size_bytes]


def huge_pages(size_bytes: int) -> Bytes:
    """uint8 [size_bytes] that begins at a page, in no defined state, in huge pages where it is large and there are any.

    For what is read at random all the time: a walk over 100 MB of ordinary pages misses the processor's table of
    them at every step.
    """
    if size_bytes < _HUGE_BYTES_MIN:
        return page_aligned(size_bytes)
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError, AttributeError):  # advice only
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
