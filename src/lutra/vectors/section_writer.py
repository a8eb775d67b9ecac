"""Writing of a section: items become blocks that end in their checksum, and go to the disk past the page cache."""

from __future__ import annotations

import contextlib
import copy
import errno
import fcntl
import os
from types import TracebackType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.checksum import crc32c_blocks
from lutra.model.errors import StorageFailure
from lutra.vectors.layout import CHECKSUM_BYTES, PAGE_BYTES, BlockLayout
from lutra.vectors.range_reader import Bytes, page_aligned

_BUFFER_BYTES: Final = 4 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
"""Written at once: what searches read meanwhile waits for no more (`lutra.segments.segment_object`)."""


class ObjectFile:
    """A file being written, at places of the caller's choice in whole pages; a context manager that closes it.

    What fails raises StorageFailure, which names the object and says why.
    """

    def __init__(self, path: str, name: str) -> None:
        """Makes the file ``path``, which must not be there; ``name`` is what errors call it."""
        self.path = path
        self.name = name
        self._base = 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failure(error) from error
        with contextlib.suppress(OSError):  # a file system without direct I/O
            fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) | os.O_DIRECT)

    def __enter__(self) -> ObjectFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def part(self, offset: int) -> ObjectFile:
        """The same file from byte ``offset`` on, a whole page: places and sizes count from there. Not to be closed."""
        part = copy.copy(self)
        part._base = self._base + offset
        return part

    def reserve(self, size_bytes: int) -> None:
        """Takes the space where the file system can, so that a disk too full is known before the work, not after."""
        if size_bytes == 0:
            return
        try:
            os.posix_fallocate(self._file, self._base, size_bytes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise self._failure(error) from error

    def write(self, offset: int, data: Bytes) -> None:
        """Writes uint8 [n] ``data``, page-aligned whole pages, at ``offset``."""
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(self._file, data[done : done + _PIECE_BYTES].data, self._base + offset + done)
            except OSError as error:
                raise self._failure(error) from error
            if done % PAGE_BYTES:
                raise StorageFailure(f"{self.name}: cannot be written: the disk took part of a page only; it is full.")

    def finish(self, size_bytes: int) -> None:
        """Ends the file at ``size_bytes`` and has it on stable storage."""
        try:
            os.ftruncate(self._file, self._base + size_bytes)
            os.fsync(self._file)
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> StorageFailure:
        return StorageFailure(f"{self.name}: cannot be written: {error.strerror}.")


class SectionWriter:
    """Takes the items of a section in order."""

    def __init__(self, file: ObjectFile, offset: int, layout: BlockLayout) -> None:
        self._file = file
        self._offset = offset
        self._layout = layout
        blocks = max(1, _BUFFER_BYTES // layout.block_bytes)
        self._blocks = page_aligned(blocks * layout.block_bytes).reshape(blocks, layout.block_bytes)
        self._blocks[:] = 0
        self._items = 0  # in the buffer

    def append(self, items: NDArray[np.uint8]) -> None:
        """Takes uint8 [n, item_bytes]."""
        per_block = self._layout.items_per_block
        capacity = len(self._blocks) * per_block
        while len(items):
            taken = items[: capacity - self._items]
            self._place(taken)
            self._items += len(taken)
            items = items[len(taken) :]
            if self._items == capacity:
                self._flush()

    def _place(self, items: NDArray[np.uint8]) -> None:
        """Copies items, for which there is room, behind those in the buffer."""
        per_block, item_bytes = self._layout.items_per_block, self._layout.item_bytes
        block, number = divmod(self._items, per_block)
        room = per_block - number if number else 0
        head, items = items[:room], items[room:]
        if len(head):
            self._blocks[block, number * item_bytes :][: head.size] = head.reshape(-1)
            block += 1
        whole = len(items) // per_block
        body, rest = items[: whole * per_block], items[whole * per_block :]
        self._blocks[block : block + whole, : per_block * item_bytes] = body.reshape(whole, per_block * item_bytes)
        if len(rest):
            self._blocks[block + whole, : rest.size] = rest.reshape(-1)

    def finish(self) -> None:
        """Writes what is left."""
        self._flush()

    def _flush(self) -> None:
        blocks = self._blocks[: self._layout.blocks(self._items)]
        if not len(blocks):
            return
        size_bytes = self._layout.block_bytes
        sums = crc32c_blocks(blocks.reshape(-1), size_bytes, size_bytes - CHECKSUM_BYTES)
        blocks[:, -CHECKSUM_BYTES:] = sums.astype("<u4").view(np.uint8).reshape(-1, CHECKSUM_BYTES)
        self._file.write(self._offset, blocks.reshape(-1))
        self._offset += blocks.size
        blocks[:] = 0
        self._items = 0
