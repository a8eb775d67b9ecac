"""Search indexes over a folder of their own, with a builder in the same thread."""

from __future__ import annotations

import atexit
import functools
import tempfile
from pathlib import Path

from support.folders import folder_in_memory

from lutra.index.builds.builder import Builder, InlineBuilder
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.memory import MemoryBudget
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.blocks import BlockCache
from lutra.model.clock import Clock
from lutra.model.indexes import IndexSchema
from lutra.model.schema import KeyColumn
from lutra.objects.local import LocalStore
from lutra.objects.store import ObjectStore

PREFIX = "indexes/1-x-1/"


def resources_in(
    folder: Path,
    *,
    policy: Policy | None = None,
    builder: Builder | None = None,
    store: ObjectStore | None = None,
    memory_bytes: int = 1 << 30,
) -> Resources:
    """Resources whose objects are in ``folder``/objects, unless ``store`` is given."""
    objects = LocalStore(folder / "objects") if store is None else store
    return Resources(
        store=objects,
        address=str(folder / "objects"),
        scratch=folder / "scratch",
        cache=BlockCache(4 * 1024 * 1024, shards=1),
        memory=MemoryBudget(memory_bytes),
        builder=InlineBuilder(objects) if builder is None else builder,
        policy=policy or Policy(),
    )


def index_in(
    resources: Resources, schema: IndexSchema, key: tuple[KeyColumn, ...], clock: Clock | None = None
) -> SearchIndex:
    """An index over ``resources``, not opened yet."""
    return SearchIndex(schema, key, IndexStorage(resources.store, PREFIX), resources, clock)


def memory_index(schema: IndexSchema, key: tuple[KeyColumn, ...], clock: Clock | None = None) -> SearchIndex:
    """An index that is never opened: what is applied is in its buffer."""
    return index_in(_shared(), schema, key, clock)


@functools.cache
def _shared() -> Resources:
    folder = tempfile.TemporaryDirectory(prefix="lutra-test-", dir=folder_in_memory())
    resources = resources_in(Path(folder.name))

    def close() -> None:
        resources.close()
        folder.cleanup()
        _shared.cache_clear()

    atexit.register(close)
    return resources
