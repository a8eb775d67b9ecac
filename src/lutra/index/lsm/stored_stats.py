"""What an index consists of, as its objects say it: of one that nobody has open."""

from __future__ import annotations

from typing import Final

from lutra.index.builds.policy import Policy
from lutra.index.lsm.manifest import SegmentEntry
from lutra.index.lsm.resources import build_memory_default
from lutra.index.lsm.stats import IndexStats, SegmentStats, exact_rows_of, fallbacks_of, recalls_of
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.blocks import BlockCache
from lutra.kernels.daemons import DaemonExecutor
from lutra.segments.segment_object import SegmentObject

_READ_AT_ONCE: Final = 16
_CACHE_BYTES: Final = 256 * 1024
"""For nothing: ends of objects are read past the cache."""


def stored_stats(storage: IndexStorage) -> IndexStats | None:
    """Of the newest manifest: a list, a get, and a read of each segment's end. None where there is none.

    ``resident_bytes`` is what each segment takes in memory once it is opened, where there is plenty.
    Raises StorageFailure, ObjectMissing, Corruption.
    """
    numbered = storage.newest()
    if numbered is None:
        return None
    number, manifest = numbered
    policy = Policy(build_memory_bytes=build_memory_default())  # as of whoever serves it with the defaults
    cache = BlockCache(_CACHE_BYTES, shards=1)
    try:
        with DaemonExecutor("lutra-read", _READ_AT_ONCE) as readers:
            segments = list(readers.map(lambda entry: _segment(storage, entry, cache, policy), manifest.segments))
    finally:
        cache.close()
    return IndexStats(
        manifest=number,
        segments=tuple(segments),
        buffer_rows=0,
        buffer_bytes=0,
        sealed_buffers=0,
        merges=0,
        searchable=manifest.progress,
        durable=manifest.progress.position,
        indexed=manifest.indexed(policy),
        written=manifest.written,
        unindexed=manifest.unindexed,
        error=None,
    )


def _segment(storage: IndexStorage, entry: SegmentEntry, cache: BlockCache, policy: Policy) -> SegmentStats:
    shape = entry.shape
    obj = SegmentObject(storage.store, storage.full(shape.name), cache, size_bytes=shape.bytes)
    try:
        meta = obj.read_meta()
    finally:
        obj.close()
    return SegmentStats(
        name=shape.name,
        rows=shape.rows,
        dead=shape.dead,
        kinds={vectors.field: vectors.kind.value for vectors in meta.vectors},
        bytes=meta.bytes_by_class,
        resident_bytes=meta.resident_bytes,
        is_awaited=policy.is_awaited(shape),
        recalls=recalls_of(meta.checked),
        fallbacks=fallbacks_of(meta.checked),
        exact_rows=exact_rows_of(meta.checked),
        graph_bytes=sum(vectors.bytes.get("graph", 0) for vectors in meta.vectors),
    )
