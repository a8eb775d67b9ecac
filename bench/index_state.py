"""How far a server's search index is, read from the manifests it writes: nothing is asked of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lutra.index.builds.policy import Policy, SegmentShape
from lutra.index.lsm.machine import machine_memory_bytes
from lutra.index.lsm.manifest import BytesWritten, Manifest
from lutra.instance.memory_plan import MemoryPlan
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

_PROCESS_BYTES: Final = 64 * 1024 * 1024
"""About what a server takes when it opens its directory."""
_POLICY: Final = Policy(build_memory_bytes=MemoryPlan.of(machine_memory_bytes() // 4, _PROCESS_BYTES).build_bytes)
"""Of a server with its default limit."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """As of the newest manifest."""

    number: int = 0
    segments: tuple[SegmentShape, ...] = ()
    written: BytesWritten = field(default_factory=BytesWritten)

    @property
    def rows(self) -> int:
        """That live."""
        return sum(segment.live for segment in self.segments)

    @property
    def bytes(self) -> int:
        return sum(segment.bytes for segment in self.segments)

    @property
    def indexed_rows(self) -> int:
        """In segments of the kind that their size calls for."""
        return sum(segment.live for segment in self.segments if not _POLICY.is_awaited(segment))

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to build."""
        return self.indexed_rows == self.rows and not _POLICY.choose_merge(self.segments)

    @property
    def kinds(self) -> str:
        """Such as ``2 graph, 1 codes``."""
        kinds = [of.kind.value for segment in self.segments for of in segment.vectors]
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


class IndexWatch:
    """The only index of a server."""

    def __init__(self, data_dir: Path, objects: ObjectStore | None = None) -> None:
        """``objects``: where they are; None: in its data directory."""
        self._objects = data_dir / "objects"
        self._store = objects
        self._log: ManifestLog | None = None

    def state(self) -> IndexState:
        """Of this moment."""
        if self._log is None:
            store = self._store or (LocalStore(self._objects) if self._objects.is_dir() else None)
            names = [] if store is None else [name for name in store.list("indexes") if "/manifest/" in name]
            if store is None or not names:
                return IndexState()
            self._log = ManifestLog(store, names[0].rpartition("/")[0])
        latest = self._log.latest()
        if latest is None:
            return IndexState()
        manifest = Manifest.from_json(latest.payload)
        shapes = tuple(entry.shape for entry in manifest.segments)
        return IndexState(latest.number, shapes, manifest.written)

    def wait(self, reached: Callable[[IndexState], bool], timeout_s: float, period_s: float = 0.25) -> IndexState:
        """The first state that ``reached`` is true of. Raises RuntimeError where none is within ``timeout_s``."""
        deadline_s = time.monotonic() + timeout_s
        while not reached(state := self.state()):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the index did not get there within {timeout_s:g} s: {state}")
            time.sleep(period_s)
        return state
