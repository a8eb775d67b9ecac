"""A node's process in the seeded simulation: its controller, its partitions, their indexes, and what clients ask."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from support.simulation.fenced_rows import FencedRows
from support.simulation.processes import Context

from lutra.cluster.controller import Controller
from lutra.cluster.map import PartitionEntry, TableEntry
from lutra.cluster.map_log import MapLog
from lutra.index.builds.policy import SegmentShape
from lutra.index.lsm.manifest import Manifest, SegmentEntry
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import Fenced, StorageFailure

BEAT_S: Final = 1.0
STEP_S: Final = 0.5
ROUND_S: Final = 1.0
SEGMENTS_MAX: Final = 3


@dataclass
class Builder:
    """What its owner knows of a builder."""

    is_over: bool = False
    is_well: bool = False

    def give_up(self) -> None:
        self.is_over = True


class OpenPartition:
    """Rows and an index of one partition, by one opening."""

    def __init__(self, context: Context, partition: str, epoch: int) -> None:
        self.rows = FencedRows(context.store, partition, epoch, f"{context.name}{context.draw(2)}")
        self.storage = IndexStorage(context.store, f"partitions/{partition}/index/")
        self._manifest, self.indexed = self.storage.take_over(Manifest(context.name, "schema"), self._opened)
        self.is_closed = self.is_broken = False
        self._is_writing = False

    def _opened(self, manifest: Manifest) -> set[str]:
        rows: set[str] = set()
        for entry in manifest.segments:
            rows.update(self.storage.store.get(self.storage.full(entry.shape.name)).decode().split())
        return rows

    def write(self, context: Context, row: str) -> None:
        """Writes take turns. Raises Fenced, StorageFailure."""
        while self._is_writing:
            context.pause(0.01)
        self._is_writing = True
        try:
            self.rows.write(row)
        finally:
            self._is_writing = False

    def round(self, context: Context, build: Callable[[Callable[[Context], None]], Builder]) -> None:
        """Has what is new built, or all of it merged; commits, and collects. Raises Fenced, StorageFailure."""
        storage = self.storage
        is_merge = len(self._manifest.segments) >= SEGMENTS_MAX
        rows = sorted(set(self.rows.rows)) if is_merge else sorted(set(self.rows.rows) - self.indexed)
        if rows:
            segment = storage.new_segment()
            storage.discard(segment)  # unless a manifest comes to name it
            name, data = storage.full(segment), " ".join(rows).encode()
            builder = build(lambda of: of.store.put(name, data))
            while not builder.is_over:
                context.pause(0.1)
            if self.is_closed or not builder.is_well:
                return
            entry = SegmentEntry(SegmentShape(segment, len(rows), 0, len(data)))
            kept = () if is_merge else self._manifest.segments
            self._manifest = replace(self._manifest, segments=(*kept, entry))
            self.indexed = self.indexed | set(rows)
        storage.commit(self._manifest)
        if not self.is_closed:
            storage.collect(set())


class NodeProcess:
    """One run of a node, which opens its partitions itself."""

    def __init__(self, context: Context, name: str, build: Callable[[Callable[[Context], None]], Builder]) -> None:
        self.name = name
        self.partitions: dict[str, OpenPartition] = {}
        self._context, self._build = context, build
        self.controller = Controller(
            context.store,
            name,
            f"{name}:80",
            self,
            MapLog(context.store, self._token),
            clock=context.now,
            token_bytes=self._token,
        )
        self.loops = (self._beat, self._step, self._index)

    def _token(self, size: int) -> bytes:
        return bytes.fromhex(self._context.draw(size))

    @property
    def sure_until_s(self) -> float:
        """By its clock."""
        return self.controller._lease._sure_until_s or 0.0

    # --- as `lutra.cluster.controller.PartitionOpener` ------------------------------------------------------------

    def open(self, entry: PartitionEntry, table: TableEntry, epoch: int) -> object:
        self.partitions[entry.id] = OpenPartition(self._context, entry.id, epoch)
        return self.partitions[entry.id]

    def close(self, partition_id: str) -> None:
        opened = self.partitions.pop(partition_id, None)
        if opened is not None:
            opened.is_closed = True

    def broken(self) -> Iterable[str]:
        return [each for each, opened in self.partitions.items() if opened.is_broken or opened.rows.is_fenced]

    # --- what goes on in it ---------------------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self.controller.has_left:
            with contextlib.suppress(StorageFailure):
                self.controller.beat()
            self._context.pause(BEAT_S)

    def _step(self) -> None:
        while not self.controller.has_left:
            with contextlib.suppress(StorageFailure):
                self.controller.step()
            self._context.pause(STEP_S)

    def _index(self) -> None:
        while not self.controller.has_left:
            for _, opened in sorted(self.partitions.items()):
                try:
                    opened.round(self._context, self._build)
                except Fenced:
                    opened.is_broken = True
                except StorageFailure:
                    continue
            self._context.pause(ROUND_S)

    # --- clients --------------------------------------------------------------------------------------------------

    def write(self, partition_id: str, row: str) -> bool:
        """Whether the client is told that its row is there; else it knows nothing."""
        opened = self.partitions.get(partition_id)
        if opened is None or not self.controller.is_sure():
            return False
        try:
            opened.write(self._context, row)
        except (Fenced, StorageFailure):
            opened.is_broken = True
            return False
        return not opened.is_closed

    def read(self, partition_id: str) -> set[str] | None:
        """All rows, None where it cannot answer: it asks whether it is sure after it has read."""
        opened = self.partitions.get(partition_id)
        if opened is None:
            return None
        found = set(opened.rows.rows)
        return found if self.controller.is_sure() and not opened.is_closed else None
