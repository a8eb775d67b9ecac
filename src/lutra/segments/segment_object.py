"""The object a segment lies in, read by ranges and by blocks, on a local disk or in a remote store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.fields.sections import Section, SectionKind
from lutra.kernels.blocks import BlockCache, BlockKind, BlockSource, Fetch
from lutra.model.errors import Corruption, StorageFailure
from lutra.objects.ranges import Range
from lutra.objects.store import ObjectStore
from lutra.objects.waiting import in_time
from lutra.scalars.pages import PageReader
from lutra.segments.footer import TAIL_BYTES, SegmentMeta, footer_size, parse_footer
from lutra.vectors.layout import PAGE_BYTES
from lutra.vectors.range_reader import QUEUE_DEPTH, SWEEP_BYTES, Bytes, PartReader

WHOLE_BYTES: Final = 1024 * 1024
"""A remote object that is no larger is opened by one request: 1 MB more takes less time than another one."""
AHEAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of one object, what is held in memory while it is opened; where more would have to be, it is read as it is needed."""
_READ_IN_PART: Final = frozenset(
    {
        SectionKind.COLUMN,
        SectionKind.TEXT,
        SectionKind.GEO,
        SectionKind.CHILDREN,
        SectionKind.NEWEST,
        SectionKind.OLDEST,
    }
)
_SWEEP_BYTES_REMOTE: Final = 4 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
"""Asked of a local disk at once in a sweep. A read of one page that comes meanwhile waits for what the disk was asked
for before: behind sweeps of 4 MB, one in twenty waited 3 to 6 ms, behind these 0.1 to 0.7 (alone: 0.1)."""


class _Held:
    """Bytes of an object that were read already. Thread-safe."""

    def __init__(self) -> None:
        self._pieces: tuple[tuple[int, bytes], ...] = ()
        """Where each begins, and it."""

    def add(self, *pieces: tuple[int, bytes]) -> None:
        self._pieces = (*self._pieces, *pieces)

    def clear(self) -> None:
        self._pieces = ()

    def read(self, offset: int, size_bytes: int) -> bytes | None:
        """None where they are not all in one piece."""
        for begin, data in self._pieces:
            if begin <= offset and offset + size_bytes <= begin + len(data):
                return data[offset - begin : offset - begin + size_bytes]
        return None


def _fetcher(store: ObjectStore, name: str, held: _Held) -> Fetch:
    """For the cache, which keeps it: so it holds nothing that holds the cache."""

    def fetch(ranges: Sequence[Range]) -> list[bytes]:
        here = [held.read(offset, length) for offset, length in ranges]
        found = [data for data in here if data is not None]
        return found if len(found) == len(ranges) else store.read_many(name, ranges)

    return fetch


class SegmentObject:
    """A `lutra.vectors.range_reader.RangeReader` over one object. Thread-safe.

    ``read`` goes past the cache; blocks and streams go through it, and count with its ``owner``. It stays readable when
    the object is deleted from a local store.
    """

    def __init__(
        self, store: ObjectStore, name: str, cache: BlockCache, *, owner: str = "", size_bytes: int | None = None
    ) -> None:
        """
        :param size_bytes: of the object, where it is known; a remote store is asked for it otherwise.
        :raises ObjectMissing: there is no such object. :raises Corruption: it is shorter.
        :raises StorageFailure: it cannot be opened.
        """
        self.name = name
        self.size_bytes = store.size(name) if size_bytes is None else size_bytes
        self._owner = owner
        self._store = store
        path = store.local_path(name)
        self.is_remote = path is None
        self.sweep_bytes = _SWEEP_BYTES_REMOTE if self.is_remote else SWEEP_BYTES
        self._held = _Held()
        if path is None:
            self._blocks = cache.open_remote(
                _fetcher(store, name, self._held),
                self.size_bytes,
                name=name,
                owner=owner,
                kind=BlockKind.METADATA,
            )
        else:
            try:
                self._blocks = cache.open_file(
                    path, owner=owner, kind=BlockKind.METADATA, length=self.size_bytes, queue_depth=QUEUE_DEPTH
                )
            except (StorageFailure, ValueError):  # the file is not there, or shorter
                self._require_size()
                raise

    def close(self) -> None:
        """Sections opened by `blocks` and `stream` are the caller's to close."""
        self._blocks.close()

    def read(self, offset: int, size_bytes: int) -> Bytes:
        """As `RangeReader` says."""
        held = self._held.read(offset, size_bytes)
        return np.frombuffer(self._fetch(offset, size_bytes) if held is None else held, np.uint8)

    def read_many(self, ranges: Sequence[Range]) -> list[Bytes]:
        """As `RangeReader` says."""
        if not self.is_remote:
            return [self.read(*one) for one in ranges]
        found = in_time(lambda: self._store.read_many(self.name, ranges))
        return [np.frombuffer(data, np.uint8) for data in found]

    def _fetch(self, offset: int, size_bytes: int) -> bytes:
        """A sweep. From a remote store it is asked for in one request, which that may share out to several."""
        if not self.is_remote:
            end = offset + size_bytes
            pieces = [
                self._blocks.read_range(at, min(_PIECE_BYTES, end - at), bypass=True)
                for at in range(offset, end, _PIECE_BYTES)
            ]
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        data = self._store.read(self.name, offset, size_bytes)
        if len(data) != size_bytes:
            raise StorageFailure(f"{self.name}: {len(data)} bytes came of {size_bytes} from byte {offset}.")
        return data

    def open_blocks(
        self, cache: BlockCache, offset: int, length: int, *, block_bytes: int, kind: BlockKind
    ) -> BlockSource:
        """As `RangeReader` says, through the cache it was opened with, whatever ``cache``."""
        return self._blocks.section(
            offset, length, block_bytes=block_bytes, owner=self._owner, kind=kind, checksums=True
        )

    def read_meta(self) -> SegmentMeta:
        """The footer, by one read of the object's end, and one more where it is longer.

        What lies in that read is not read again until `forget`. Raises Corruption, StorageFailure.
        """
        try:
            tail = self._read_end(WHOLE_BYTES if self.is_remote and self.size_bytes <= WHOLE_BYTES else TAIL_BYTES)
        except StorageFailure:
            self._require_size()
            raise
        footer_bytes = footer_size(tail, self.size_bytes, self.name)
        if footer_bytes > len(tail):
            tail = self._read_end(footer_bytes + TAIL_BYTES)
        self._held.add((self.size_bytes - len(tail), tail))
        return parse_footer(tail[-footer_bytes:], self.size_bytes, self.name)

    def _read_end(self, size_bytes: int) -> bytes:
        begin = max(0, self.size_bytes - size_bytes) // PAGE_BYTES * PAGE_BYTES
        return self._fetch(begin, self.size_bytes - begin)

    def ahead(self, ranges: Sequence[Range]) -> None:
        """As `RangeReader` says, until `forget`."""
        left = [one for one in ranges if self._held.read(*one) is None]
        if not self.is_remote or not left or sum(size_bytes for _, size_bytes in left) > AHEAD_BYTES_MAX:
            return
        found = self._store.read_many(self.name, left)
        self._held.add(*((offset, data) for (offset, _), data in zip(left, found, strict=True)))

    def _require_size(self) -> None:
        """After a failure: raises ObjectMissing or Corruption where the object is at fault, not the way to it."""
        size_bytes = self._store.size(self.name)
        if size_bytes != self.size_bytes:
            raise Corruption(f"{self.name}: has {size_bytes} bytes where {self.size_bytes} were written.")

    def forget(self) -> None:
        """Lets go of what `read_meta` and `ahead` kept."""
        self._held.clear()

    def stream(self, section: Section) -> tuple[PageReader, BlockSource]:
        """A section that is a stream, read through the cache, and its blocks, which the caller closes."""
        kind = BlockKind.COLUMNS if section.kind in _READ_IN_PART else BlockKind.METADATA
        blocks = self._blocks.section(
            section.offset, section.size_bytes, block_bytes=PAGE_BYTES, owner=self._owner, kind=kind, checksums=True
        )
        return PageReader(blocks, section.name), blocks

    def part(self, section: Section) -> PartReader:
        """A section that is a vector segment."""
        name = f"{self.name}, {section.name} (from byte {section.offset})"
        return PartReader(self, section.offset, section.size_bytes, name)
