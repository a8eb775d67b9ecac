"""Doing a build: opens the inputs, writes the segment, puts it where it belongs."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.index.builds.job import BuildDone, BuildInput, BuildJob, Progress
from lutra.index.builds.policy import SegmentShape, VectorsShape
from lutra.kernels.blocks import BlockCache
from lutra.model.errors import Corruption, ObjectMissing, StorageFailure
from lutra.model.indexes import IndexSchema
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore
from lutra.segments.build import build_segment
from lutra.segments.deletions import read_deletions
from lutra.segments.footer import SegmentMeta
from lutra.segments.index_segment import IndexSegment
from lutra.segments.segment_object import SegmentObject
from lutra.vectors.build_memory import building_within, sample_bytes_of
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind

_CACHE_BYTES: Final = 16 * 1024 * 1024
"""Inputs are read in sweeps, past the cache; what opening them reads lands here."""
_CHILD_BYTES: Final = 8
"""Counted for each document of a nested field, beside its columns: a merge numbers them."""


def run_job(job: BuildJob, on_progress: Progress | None = None, *, store: ObjectStore | None = None) -> BuildDone:
    """Does ``job``; an output that is there already, whole, is taken as it is, and so is that of an earlier attempt.

    ``store``: in place of the one at ``job.store``. Raises StorageFailure; Corruption where an input is damaged;
    ObjectMissing where one is not there, also where it went meanwhile: then nothing is put, as nobody wants it.
    """
    began_s = time.monotonic()
    store = open_store(job.store, probe=False) if store is None else store
    cache = BlockCache(_CACHE_BYTES, shards=1)
    try:
        for name in (job.output, *job.earlier):
            meta = _existing(store, name, cache)
            if meta is not None:
                return BuildDone(shape_of(name, meta), time.monotonic() - began_s)
        with scratch_folder(Path(job.scratch) / job.output.rpartition("/")[2]) as folder:
            path = folder / "segment"
            with building_within(sample_bytes_of(job.build_memory_bytes or job.memory_bytes)):
                meta = _build(job, store, cache, path, on_progress)
            for part in job.inputs:
                store.size(part.name)
            store.put_file(job.output, path)
    finally:
        cache.close()
    return BuildDone(shape_of(job.output, meta), time.monotonic() - began_s)


def shape_of(name: str, meta: SegmentMeta) -> SegmentShape:
    """A segment without dead rows as decisions see it."""
    vectors = tuple(VectorsShape(field.dimension, field.rows, field.kind) for field in meta.vectors)
    scalar_bytes = meta.scalar_bytes + _CHILD_BYTES * sum(space.size for space in meta.nested)
    return SegmentShape(name, meta.size, 0, meta.size_bytes, scalar_bytes, vectors)


def flat_plans(schema: IndexSchema) -> dict[str, BuildPlan]:
    """For a segment that is to be written soon, and found in at once: vectors as they are."""
    return {
        field.name: BuildPlan(SegmentKind.FLAT, choose_code_bits(field.vector.dimension))
        for fields in schema.spaces.values()
        for field in fields.values()
        if field.vector is not None
    }


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """An empty folder, gone at the end with all that is in it. Raises StorageFailure where it cannot be had."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise StorageFailure(f"{folder} cannot be used for a build: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _existing(store: ObjectStore, name: str, cache: BlockCache) -> SegmentMeta | None:
    try:
        with contextlib.closing(SegmentObject(store, name, cache)) as obj:
            return obj.read_meta()
    except (ObjectMissing, Corruption):
        return None


def _build(
    job: BuildJob, store: ObjectStore, cache: BlockCache, path: Path, on_progress: Progress | None
) -> SegmentMeta:
    with contextlib.ExitStack() as opened:
        inputs = [opened.enter_context(_open(job, store, cache, part)) for part in job.inputs]
        is_far = store.local_path(job.output) is None
        return build_segment(path, inputs, job.schema, threads=job.threads, is_far=is_far, on_progress=on_progress)


def _open(job: BuildJob, store: ObjectStore, cache: BlockCache, part: BuildInput) -> IndexSegment:
    """For one reading from end to end: nothing of codes or graph is kept in memory."""
    deletions = None if part.deletions is None else read_deletions(store, part.deletions)
    return IndexSegment.open(store, part.name, job.schema, cache=cache, memory_budget_bytes=0, deletions=deletions)
