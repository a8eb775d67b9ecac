"""The nodes of a cluster, as the status page shows them: at present the one that serves the page."""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lutra
from lutra.console.figures import resident_bytes
from lutra.index.lsm.machine import machine_memory_bytes
from lutra.instance.engine import Engine
from lutra.kernels.process_stat import STARTED_TICKS, stat_fields

ENTRIES_MAX: Final = 200_000
"""Of a directory that are looked at for its size."""
_KEPT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Of the file system of a data directory."""

    used_bytes: int
    """By the directory itself; of at least so many where there is very much in it."""
    is_more: bool
    """Whether there was more in it than was looked at."""
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """One process that serves. Nothing of it is secret, or says where on its disk things are."""

    name: str
    is_this: bool
    """Whether it serves the page."""
    version: str
    endpoint: str
    started_us: int
    processors: int
    memory_bytes: int | None
    """That the process takes, with its builders where there is a limit; None where the system does not say."""
    memory_total_bytes: int
    """Its limit, builders included; without one that of the machine, or of the container."""
    index_memory_bytes: int
    """That segments of search indexes may take, and the block cache."""
    objects: str
    """Where segments are: ``local`` or ``S3``."""
    disk: DiskUse | None
    """None where it cannot be told."""


class ThisNode:
    """What is told of this process. Thread-safe; what is on disk is looked at every half minute at most."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started_us = _process_started_us()
        self._lock = threading.Lock()
        self._disk: tuple[float, DiskUse | None] | None = None

    def node(self, endpoint: str) -> Node:
        """``endpoint``: where the page was asked for."""
        resources, plan = self._engine.resources, self._engine.memory.plan
        return Node(
            name=endpoint.partition("://")[2],
            is_this=True,
            version=lutra.__version__,
            endpoint=endpoint,
            started_us=self._started_us,
            processors=len(os.sched_getaffinity(0)),
            memory_bytes=self._engine.memory.measured.all_bytes or resident_bytes(),
            memory_total_bytes=machine_memory_bytes() if plan is None else plan.limit_bytes,
            index_memory_bytes=resources.memory.total_bytes + resources.cache.counters().budget_bytes,
            objects="S3" if resources.address.startswith("s3://") else "local",
            disk=self._disk_use(),
        )

    def _disk_use(self) -> DiskUse | None:
        with self._lock:
            now_s = time.monotonic()
            if self._disk is None or now_s - self._disk[0] > _KEPT_S:
                self._disk = now_s, disk_use(self._engine.data_dir)
            return self._disk[1]


def disk_use(directory: Path, entries_max: int = ENTRIES_MAX) -> DiskUse | None:
    """Of a directory and the file system it is on; None where it cannot be read."""
    used_bytes, entries, waiting = 0, 0, [directory]
    while waiting and entries < entries_max:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(Path(entry.path))
                        else:
                            used_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
                    except OSError:  # deleted meanwhile
                        continue
        except OSError:
            continue
    try:
        whole = shutil.disk_usage(directory)
    except OSError:
        return None
    return DiskUse(used_bytes, bool(waiting), whole.free, whole.total)


def _process_started_us() -> int:
    """When this process began; where the system does not say, now."""
    now_s = time.time()
    try:
        ticks = int(stat_fields(os.getpid())[STARTED_TICKS])
        up_s = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return int(now_s * 1e6)
    return int((now_s - up_s + ticks / os.sysconf("SC_CLK_TCK")) * 1e6)
