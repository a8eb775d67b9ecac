"""What all search indexes of a process share."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from lutra.feed.crews import Crews
from lutra.index.builds.builder import QUICK_BYTES, Builder, ProcessBuilder
from lutra.index.builds.opening import LOCAL, open_builder
from lutra.index.builds.policy import BUILD_BYTES_MIN, Policy
from lutra.index.lsm.buffers import Buffers
from lutra.index.lsm.machine import machine_memory_bytes
from lutra.index.lsm.memory import MemoryBudget
from lutra.index.lsm.shared import SharedSegments
from lutra.kernels.blocks import BlockCache
from lutra.model.errors import ParameterInvalid
from lutra.objects.opening import open_store
from lutra.objects.owner import Claim
from lutra.objects.store import ObjectStore

CACHE_SHARE: Final = 0.25
"""Of the memory of all indexes: blocks read from segments. The rest is what segments keep: codes, graphs, filters."""
CACHE_BYTES_MIN: Final = 4 * 1024 * 1024
FLUSH_BYTES_MIN: Final = 1024 * 1024
_BUFFERS_PART: Final = 6
"""A buffer is written out when it has a part in so many of what all may take: some wait to be built meanwhile."""
_NOT_WRITTEN_OUT: Final = Policy(flush_bytes=1 << 62, flush_age_s=math.inf)
"""Of what is read only: buffers stay in memory."""
_BUILD: Final = re.compile(r"[0-9a-f]{32}(-\d+)?")
"""The folder of a build in ``scratch``: called as its segment is, or an attempt at it."""
_BUILD_SHARE: Final = 4
"""A part in so many of the memory there is may go to the largest build, where nobody says."""


def build_memory_default() -> int:
    """What one build may take where nobody says: a quarter of what there is, and enough for what must be built."""
    return max(QUICK_BYTES, machine_memory_bytes() // _BUILD_SHARE)


@dataclass(frozen=True, slots=True)
class Resources:
    """``address`` is where ``store`` is, for builders in other processes; ``scratch`` a local folder for them."""

    store: ObjectStore
    address: str
    scratch: Path
    cache: BlockCache
    memory: MemoryBudget
    builder: Builder
    policy: Policy = field(default_factory=Policy)
    claim: Claim | None = None
    """To the place where ``store`` is; None: nobody else comes there."""
    crews: Crews | None = None
    """Threads that several partitions share; None: each has its own."""
    place: str = ""
    """The folder of ``store`` in which all of these indexes have their objects, with '/' at its end; "": all of it."""
    buffers: Buffers = field(default_factory=Buffers)
    """Of all indexes."""
    shared: SharedSegments = field(default_factory=SharedSegments)
    """What is open of ``store``, at whatever place."""

    @classmethod
    def open(
        cls,
        address: str,
        scratch: Path,
        memory_bytes: int,
        examine: Callable[[ObjectStore], object] = lambda objects: None,
        build_memory_bytes: int | None = None,
        builders: str = LOCAL,
        all_builds_bytes: int | None = None,
        buffers_bytes: int | None = None,
    ) -> Resources:
        """For all indexes whose objects are at ``address`` (`lutra.objects.opening.open_store`).

        ``memory_bytes``: of what is read and kept of segments. ``build_memory_bytes``: what one build may take; None:
        `build_memory_default`. ``all_builds_bytes``: those under way here together; None: each as much.
        ``buffers_bytes``: the newest rows of all indexes; None: a number of buffers of each. ``builders``: who builds
        (`lutra.index.builds.opening.open_builder`). What builds that were killed left in ``scratch`` is deleted.
        ``examine`` looks at what is there before anything is changed, and raises where it is not to be used.
        Raises ParameterInvalid, StorageFailure, and what ``examine`` raises.
        """
        build_memory_bytes = build_memory_default() if build_memory_bytes is None else build_memory_bytes
        if build_memory_bytes < BUILD_BYTES_MIN:
            raise ParameterInvalid(
                f"builds take {BUILD_BYTES_MIN >> 20} MB of memory at least, but they are given "
                f"{build_memory_bytes >> 20}"
            )
        builder = open_builder(builders, build_memory_bytes, all_builds_bytes)
        if "://" not in address:
            address = os.path.abspath(address)  # the same in every process
        examine(open_store(address, is_read_only=True))
        store = open_store(address)
        _tidy(scratch)
        policy = Policy(build_memory_bytes=build_memory_bytes)
        if buffers_bytes is not None:
            flush_bytes = max(FLUSH_BYTES_MIN, min(policy.flush_bytes, buffers_bytes // _BUFFERS_PART))
            policy = replace(policy, flush_bytes=flush_bytes)
        opened = cls._over(store, address, scratch.absolute(), memory_bytes, policy, builder)
        return opened if buffers_bytes is None else replace(opened, buffers=Buffers(buffers_bytes))

    @classmethod
    def to_read(cls, address: str, memory_bytes: int) -> Resources:
        """The same to read what is at ``address``: nothing is put, deleted or built. Raises as ``open``."""
        store = open_store(address, is_read_only=True)
        return cls._over(store, address, Path(os.devnull), memory_bytes, _NOT_WRITTEN_OUT, ProcessBuilder())

    @classmethod
    def _over(
        cls,
        store: ObjectStore,
        address: str,
        scratch: Path,
        memory_bytes: int,
        policy: Policy,
        builder: Builder,
    ) -> Resources:
        cache_bytes = max(CACHE_BYTES_MIN, int(CACHE_SHARE * memory_bytes))
        return cls(
            store=store,
            address=address,
            scratch=scratch,
            cache=BlockCache(cache_bytes),
            memory=MemoryBudget(max(0, memory_bytes - cache_bytes)),
            builder=builder,
            policy=policy,
        )

    def close(self) -> None:
        """Breaks off builds, and gives the memory back. Safe to call again."""
        self.builder.close()
        self.cache.close()


def _tidy(scratch: Path) -> None:
    """Deletes what builds left. Anything else is somebody's own, who has a folder of that name, say."""
    with contextlib.suppress(OSError), os.scandir(scratch) as entries:
        for entry in entries:
            if _BUILD.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
