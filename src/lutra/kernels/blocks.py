"""Reads of immutable files and remote objects by blocks, through a cache within a budget (``native/io/block_cache*``).

Local files are read past the page cache (direct I/O), a batch at a time by io_uring, or by threads where the kernel
refuses it; file systems without direct I/O are read through the page cache, which is told to drop what was read.
Nothing is ever mapped. Everything here is thread-safe and waits without the GIL.

What stays is decided by S3-FIFO (Yang et al., SOSP 2023) by bytes, weighted by what a block is for (`BlockKind`).
"""

from __future__ import annotations

import atexit
import enum
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lutra.kernels import _native

BLOCK_BYTES_DEFAULT: Final = 4096

Fetch = Callable[[list[tuple[int, int]]], Sequence[bytes]]
"""``fetch([(offset, length), ...])`` returns the bytes of each range of a remote object, in order."""


class BlockKind(enum.IntEnum):
    """What a block is for, dearest first but for the last.

    S3-FIFO lets a new block pass through a small queue (a tenth of the budget) and keeps it where it is asked for
    again meanwhile: two more times for VECTORS, as in the paper, once for COLUMNS, CODES and ADJACENCY, not at all for
    METADATA. Kept, it lasts as many rounds of the main queue without being asked for as it is dear: 0 for VECTORS, 1
    for COLUMNS and CODES, 2, 3.
    """

    METADATA = 0
    ADJACENCY = 1
    CODES = 2
    VECTORS = 3
    COLUMNS = 4


@dataclass(frozen=True, slots=True)
class BlockCounters:
    """What became of requests for blocks since the cache was made; ``held_*`` are of this moment."""

    hits: int = 0
    """Found in memory."""
    joined: int = 0
    """Found on their way into memory for somebody else: one read serves all."""
    misses: int = 0
    """Read because they were asked for."""
    prefetches: int = 0
    """Read ahead."""
    reads: int = 0
    """Blocks read into memory, for either reason."""
    read_bytes: int = 0
    failures: int = 0
    """Blocks that could not be read, or whose checksum was wrong."""
    evictions: int = 0
    bypass_reads: int = 0
    """Blocks read past the cache."""
    bypass_bytes: int = 0
    held_bytes: int = 0
    held_blocks: int = 0

    def __add__(self, other: BlockCounters) -> BlockCounters:
        return BlockCounters(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """A cache at one moment. ``used_bytes`` counts blocks, those in use included, and all that belongs to them."""

    budget_bytes: int
    used_bytes: int
    used_bytes_max: int
    """At most ever so many since the last `BlockCache.resize`."""
    overhead_bytes: int
    """Of ``used_bytes``: what is not blocks."""
    ghosts: int
    """Blocks remembered but no longer held."""
    kinds: Mapping[BlockKind, BlockCounters] = field(default_factory=dict)
    owners: Mapping[str, BlockCounters] = field(default_factory=dict)


class BlockSource:
    """Blocks of one file or remote object, or of a section of it. Made by `BlockCache`; closed with it.

    Blocks are numbered from 0; the last may be shorter. Reads raise

    - StorageFailure, naming source and offset: the disk refused, or there are fewer bytes than there were;
    - Corruption, naming source, block and offset: the bytes fail their checksum. Such a block is never cached;
    - ServerBusy: all of the budget is in use by others, and was for two seconds;
    - IndexError: there is no such block or range;
    - ValueError: the source or its cache is closed;
    - whatever a remote source's ``fetch`` raised, to everybody who waits for what it was to fetch.

    Where one block cannot be had, none is returned.
    """

    def __init__(self, native: _native.BlockSource) -> None:
        self.native = native
        """For kernels that take a source."""

    @property
    def name(self) -> str:
        """What errors call it: a file's path."""
        return self.native.name

    @property
    def size_bytes(self) -> int:
        """As it was when it was opened."""
        return self.native.size_bytes

    @property
    def block_bytes(self) -> int:
        return self.native.block_bytes

    @property
    def block_count(self) -> int:
        return self.native.block_count

    @property
    def reads_by(self) -> str:
        """How it is read: ``io_uring`` or ``threads``, ``direct`` or ``buffered``; ``fetch``."""
        return self.native.reads_by

    def section(
        self,
        offset: int,
        length: int,
        *,
        block_bytes: int = BLOCK_BYTES_DEFAULT,
        owner: str = "",
        kind: BlockKind = BlockKind.VECTORS,
        checksums: bool = False,
    ) -> BlockSource:
        """A source of its own of ``length`` bytes of the same file or object, from byte ``offset`` of all of it.

        :raises ValueError: as `BlockCache.open_file`.
        """
        return BlockSource(self.native.section(offset, length, block_bytes, owner, kind, checksums))

    def read(self, numbers: Sequence[int], *, bypass: bool = False) -> list[bytes]:
        """Copies of the blocks, in the order asked for; those not in memory are read in one batch.

        :param bypass: read past the cache, which neither helps nor changes: for those who read everything once.
        """
        return self.native.read(numbers, bypass)

    def read_range(self, offset: int, length: int, *, bypass: bool = False) -> bytes:
        """A copy of ``length`` bytes from byte ``offset``; checksums that lie within are part of it."""
        return self.native.read_range(offset, length, bypass)

    def read_payloads(self, ranges: Sequence[tuple[int, int]], *, bypass: bool = False) -> list[bytes]:
        """Copies of ``(offset, length)`` of the stream that the blocks are without their checksums, all in one batch.

        :raises ValueError: the source has no ``checksums``.
        """
        return self.native.read_payloads(ranges, bypass)

    def prefetch(self, numbers: Sequence[int]) -> None:
        """Has the blocks read by another thread, and returns at once.

        Those that fail or find no room are as if nobody had asked: who reads them later is told.
        """
        self.native.prefetch(numbers)

    def close(self) -> None:
        """Gives the blocks' memory back to the cache. Reads under way end as they would."""
        self.native.close()


class BlockCache:
    """Blocks of many sources in memory, within a budget that holds: blocks in use and bookkeeping are part of it.

    A block that several want at once is read once. A forked process must not use its parent's cache.
    """

    def __init__(self, budget_bytes: int, *, shards: int = 0) -> None:
        """
        :param budget_bytes: at least 64 KiB, and room for 8 blocks, for each shard.
        :param shards: 1 to 64, each with its own lock, queues and part of the budget; 0: by the budget, one for
            every 16 MiB up to 16. Rounded down to a power of two.
        :raises ValueError: the budget is too small, or there are too many shards.
        """
        self.native = _native.BlockCache(budget_bytes, shards)
        """For kernels that take a cache."""
        _open_caches.add(self)

    def open_file(
        self,
        path: str | os.PathLike[str],
        block_bytes: int = BLOCK_BYTES_DEFAULT,
        *,
        owner: str = "",
        kind: BlockKind = BlockKind.VECTORS,
        checksums: bool = False,
        offset: int = 0,
        length: int | None = None,
        engine: str = "auto",
        direct: bool = True,
        queue_depth: int = 32,
    ) -> BlockSource:
        """A local file, or ``length`` bytes of it (None: to its end) from ``offset``. It must not change.

        :param block_bytes: a multiple of 4,096, at most 1 MiB; so must ``offset`` be a multiple of 4,096.
        :param owner: whose counters its reads go to: a table, an index, a tenant. Kept for the cache's life.
        :param checksums: each block's last 4 bytes are the CRC-32C of those before, little-endian.
        :param engine: ``io_uring``, ``threads``, or ``auto``: io_uring where the kernel lets.
        :param direct: past the page cache where the file system can.
        :param queue_depth: reads of one batch under way at once, 1 to 64.
        :raises StorageFailure: the file cannot be opened, is not a regular file, or the engine is not to be had.
        :raises ValueError: a size, place or name makes no sense, or the cache is closed.
        """
        return BlockSource(
            self.native.open_file(
                os.fspath(path), offset, length, block_bytes, owner, kind, checksums, engine, direct, queue_depth
            )
        )

    def open_remote(
        self,
        fetch: Fetch,
        size_bytes: int,
        block_bytes: int = BLOCK_BYTES_DEFAULT,
        *,
        name: str = "remote",
        owner: str = "",
        kind: BlockKind = BlockKind.VECTORS,
        checksums: bool = False,
    ) -> BlockSource:
        """A source of ``size_bytes`` that a function fetches; the other arguments as in `open_file`.

        ``fetch`` is called by whichever thread reads or prefetches, by several at once; neighbouring blocks are one
        range of at most 8 MiB. It must not read from its own source.
        """
        return BlockSource(self.native.open_remote(fetch, size_bytes, name, block_bytes, owner, kind, checksums))

    def counters(self) -> CacheCounters:
        """What was asked for, read and evicted, by kind and by owner, and the memory in use."""
        native = self.native.counters()
        kinds = {kind: BlockCounters() for kind in BlockKind}
        owners: dict[str, BlockCounters] = {}
        for owner, kind, values in native.pop("owners"):
            counters = BlockCounters(**values)
            kinds[BlockKind(kind)] += counters
            owners[owner] = owners.get(owner, BlockCounters()) + counters
        return CacheCounters(**native, kinds=kinds, owners=owners)

    def resize(self, budget_bytes: int) -> None:
        """Changes the budget; it holds when this returns.

        :raises ServerBusy: blocks in use do not let it for two seconds. The old budget stays.
        :raises ValueError: too small for the shards, or for the blocks of a source there was.
        """
        self.native.resize(budget_bytes)

    def close(self) -> None:
        """Closes all sources, gives the memory back, waits for prefetches under way, lets go of fetch functions.

        Safe to call again.
        """
        self.native.close()


_open_caches: weakref.WeakSet[BlockCache] = weakref.WeakSet()


def _close_all() -> None:
    """Threads that prefetch from a remote source need Python: they end before it does."""
    for cache in list(_open_caches):
        cache.close()


def _begin_child() -> None:
    """The parent's caches and their threads are the parent's."""
    _open_caches.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_begin_child)
