"""The segments of one index: those that are searched, and those the next manifest names."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lutra.index.builds.build import flat_plans, scratch_folder, shape_of
from lutra.index.lsm.manifest import BytesWritten, SegmentEntry
from lutra.index.lsm.open_segment import OpenSegment, Retired
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.stats import fallbacks_of
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.view import PartView
from lutra.kernels.daemons import DaemonExecutor
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import IndexSchema
from lutra.segments.build import build_segment
from lutra.segments.deletions import dead_of, read_deletions, write_deletions
from lutra.segments.index_segment import IndexSegment

_OPENED_AT_ONCE: Final = 8
_OPENED_AT_ONCE_REMOTE: Final = 32
"""Of a remote store, where opening is waiting: as many as an index has segments of, but for a while."""
_UNREAD_PAUSE_S: Final = 0.01
_SWEEPERS: Final = 4
_AHEAD_PART: Final = 10
"""Of the block cache, what is read ahead of a segment at most: more would push itself out again."""
"""Sweeps under way at once, of all segments that are being opened: so many give a local disk's full rate, and take 16
to 48 MB of memory meanwhile where the store is remote, 8 where not."""

_FALLBACKS: Final = {
    "scan": "walks of its graph were found to miss too much, so searches scan all codes: they take longer",
    "exact": "codes were found to tell too little of its vectors, so searches compare all rows: they take longer",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FrozenSegment:
    """A segment as a manifest is to name it: with the documents that live at this moment."""

    opened: OpenSegment
    live: RowMask
    dead: int
    deletions: str | None

    @property
    def entry(self) -> SegmentEntry:
        return SegmentEntry(replace(self.opened.shape, dead=self.dead), self.deletions, self.opened.since)


class SegmentSet:
    """Its owner sees to locks: ``named`` and ``searched`` change, and segments are killed in, by turns."""

    def __init__(self, storage: IndexStorage, schema: IndexSchema, resources: Resources) -> None:
        self.named: dict[str, OpenSegment] = {}
        """What the next manifest names."""
        self.searched: tuple[OpenSegment, ...] = ()
        """What views are made of, besides buffers: as the last manifest has it, less those a buffer serves for."""
        self.written = BytesWritten()
        self.is_looked_at = False
        """Whether the index was searched, or looked at otherwise, since something was built last."""
        self._storage = storage
        self._schema = schema
        self._resources = resources
        self._retired: Retired = deque()
        self._alive: set[str] = set()

    def begin_with(self, segments: Sequence[OpenSegment], written: BytesWritten) -> None:
        """What the manifest names that the index is opened by."""
        self.named = {segment.name: segment for segment in segments}
        self.searched = tuple(segments)
        self.written = written
        for segment in segments:
            segment.is_in_manifest = True

    def all(self) -> list[OpenSegment]:
        """Every segment that must hear of a change."""
        return list({segment.name: segment for segment in (*self.searched, *self.named.values())}.values())

    def write(self, part: PartView, schema: IndexSchema, since: int) -> OpenSegment:
        """Puts the rows of a buffer on the store, as they are found soonest: a flat segment. Raises StorageFailure."""
        storage, resources = self._storage, self._resources
        name = storage.new_segment()
        storage.discard(name)  # unless a manifest comes to name it
        with scratch_folder(resources.scratch / Path(name).name) as folder:
            path = folder / "segment"
            meta = build_segment(path, [part], schema, plans=flat_plans(schema), threads=1)
            resources.store.put_file(storage.full(name), path)
        opened = self.open(SegmentEntry(shape_of(name, meta), since=since))
        self.count(flushed=meta.size_bytes)
        return opened

    def open(
        self,
        entry: SegmentEntry,
        replacing: Iterable[OpenSegment] = (),
        sweepers: Executor | None = None,
        *,
        may_come: bool = False,
    ) -> OpenSegment:
        """Opens a segment; the memory of those it replaces counts as free. Raises StorageFailure, Corruption.

        ``sweepers``: threads that read what it keeps in memory; None: this one, which leaves the disk to searches.
        ``may_come``: from a store far away that may come later (`SharedSegments.rebalance`).
        """
        resources, deletions, name = self._resources, entry.deletions, self._storage.full(entry.shape.name)
        dead = None if deletions is None else read_deletions(resources.store, self._storage.full(deletions))
        freed_bytes = sum(old.granted_bytes for old in replacing)

        def opened() -> tuple[IndexSegment, int]:
            granted: list[int] = []

            def grant(wanted_bytes: int) -> int:
                granted.append(resources.memory.grant(wanted_bytes, freed_bytes))
                return granted[-1]

            try:
                segment = IndexSegment.open(
                    resources.store,
                    name,
                    self._schema,
                    cache=resources.cache,
                    size_bytes=entry.shape.bytes,
                    grant=grant,
                    sweepers=sweepers,
                    may_come=may_come,
                )
            except BaseException:
                resources.memory.give_back(sum(granted))
                raise
            return segment, sum(granted)

        taken = resources.shared.take(name, self._schema, resources.memory, opened)
        try:
            segment = taken.segment.without(dead)
        except BaseException:
            taken.release()
            raise
        for field, fallback in fallbacks_of(segment.checked).items():
            _log.warning("%s, field [%s]: %s", name, field, _FALLBACKS[fallback])
        self._alive.add(entry.shape.name)
        return OpenSegment(entry, segment, taken.granted_bytes, self._retired, taken.release)

    def open_all(
        self, entries: Sequence[SegmentEntry], on_progress: Callable[[], None] = lambda: None
    ) -> list[OpenSegment]:
        """Several at a time, in their order. Raises as ``open``.

        ``on_progress`` is called, from any thread, whenever a part of one or a whole one has been read.
        """
        if not entries:
            return []
        is_remote = self._resources.store.local_path(self._storage.full(entries[0].shape.name)) is None
        at_once = _OPENED_AT_ONCE_REMOTE if is_remote else _OPENED_AT_ONCE
        with (
            DaemonExecutor("lutra-sweep", _SWEEPERS, on_progress) as sweepers,
            DaemonExecutor("lutra-open", at_once, on_progress) as openers,
        ):
            opened = list(openers.map(lambda entry: self.open(entry, sweepers=sweepers, may_come=True), entries))
        if any(segment.granted_bytes < segment.segment.least_bytes for segment in opened):
            # The first ones took all there was: without any codes the others would be searched for seconds.
            self._resources.shared.rebalance(self._resources.memory, self._resources.memory.total_bytes)
        return opened

    def freeze(self, busy: set[str]) -> list[FrozenSegment]:
        """What the next manifest is to name; what is dead altogether, and not ``busy``, is named no more."""
        self.named = {name: segment for name, segment in self.named.items() if segment.rows or name in busy}
        return [FrozenSegment(s, s.live(), s.dead, s.deletions) for s in self.named.values()]

    def with_deletions(self, frozen: Sequence[FrozenSegment]) -> list[FrozenSegment]:
        """The same, where documents died since the last manifest with new objects of deletions.

        Raises StorageFailure.
        """
        result = []
        for segment in frozen:
            if segment.dead != segment.opened.shape.dead:
                name = self._storage.new_deletions()
                self._storage.discard(name)  # unless a manifest comes to name it
                size_bytes = write_deletions(self._resources.store, self._storage.full(name), dead_of(segment.live))
                self.count(deletions=size_bytes)
                segment = replace(segment, deletions=name)
            result.append(segment)
        return result

    def adopt(self, frozen: Sequence[FrozenSegment]) -> None:
        """A manifest names ``frozen`` now."""
        for segment in frozen:
            opened = segment.opened
            opened.shape, opened.deletions = segment.entry.shape, segment.deletions
            opened.committed, opened.is_in_manifest = segment.live, True

    def take_in(self, inputs: Iterable[OpenSegment], opened: OpenSegment) -> None:
        """Has the next manifest name ``opened`` in place of what it was built from."""
        for segment in inputs:
            self.named.pop(segment.name, None)
        self.named[opened.name] = opened

    def read_ahead(self, opened: OpenSegment) -> None:
        """Has vectors of what was built read into the block cache where the index is searched: its rows were in memory
        until now, and searches would have to read them again one by one. Returns at once."""
        if self.is_looked_at:
            self.is_looked_at = False
            opened.segment.read_ahead(self._resources.cache.counters().budget_bytes // _AHEAD_PART)

    def count(self, *, flushed: int = 0, built: int = 0, deletions: int = 0) -> None:
        """Adds to the bytes written."""
        before = self.written
        self.written = BytesWritten(before.flushed + flushed, before.built + built, before.deletions + deletions)

    @property
    def alive(self) -> set[str]:
        """The names of those that are open, be it for a view alone."""
        return set(self._alive)

    @property
    def any_retired(self) -> bool:
        return bool(self._retired)

    def close_retired(self) -> set[str]:
        """Closes segments that nobody holds any more; returns the names of those that somebody does."""
        while self._retired:
            name, release = self._retired.popleft()
            release()
            self._alive.discard(name)
        return self.alive

    def wait_unread(self, wait_s: float) -> None:
        """Returns once nobody holds any more, or after that time."""
        until_s = time.monotonic() + wait_s
        while self.close_retired() and time.monotonic() < until_s:
            time.sleep(_UNREAD_PAUSE_S)

    def let_go(self) -> None:
        """Of all."""
        self.named, self.searched = {}, ()
