"""One search index: a buffer of the newest rows in memory, and segments on an object store (design note 0005).

Rows go into the buffer. A full buffer is sealed, goes on serving, and is written out as a flat segment; what its size
calls for is built from that by a builder, and takes the buffer's place once a manifest names it. Segments are merged in
the same way. Whatever is not in a manifest's segments can be read again from the table and its changelog.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Final

from lutra.feed.progress import Progress
from lutra.index.builds.job import BuildDone
from lutra.index.lsm.buffer_set import BufferSet
from lutra.index.lsm.expiry import Docs
from lutra.index.lsm.lifetime import Lifetime
from lutra.index.lsm.manifest import Manifest, SegmentEntry, schema_identity
from lutra.index.lsm.marks import Marks
from lutra.index.lsm.merges import Merge, Merges
from lutra.index.lsm.open_segment import OpenSegment, SegmentView
from lutra.index.lsm.pauses import MaintenancePauses
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.sealed import Sealed
from lutra.index.lsm.segment_set import SegmentSet
from lutra.index.lsm.stats import IndexStats, stats_of
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.view import IndexView, PartView
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import Corruption, Fenced, ObjectMissing, ServerBusy, StorageFailure
from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.scalars.bloom import hashes_of
from lutra.tables.keys import KeyCodec

CLOSE_WAIT_S: Final = 20.0

_log = logging.getLogger(__name__)


class SearchIndex:
    """The documents of one index. Thread-safe; readers (``view``) wait for nobody.

    ``schema`` has been validated (`lutra.index.definitions.schema.validate_schema`). What is applied before ``open`` is
    in memory only. One thread applies; another calls ``maintain``, which does what takes long.

    Once another writer has taken over the index, all methods that need it raise Fenced.
    """

    def __init__(
        self,
        schema: IndexSchema,
        key_columns: tuple[KeyColumn, ...],
        storage: IndexStorage,
        resources: Resources,
        clock: Clock | None = None,
    ) -> None:
        """Reads nothing yet."""
        self.schema = schema
        self.key_columns = key_columns
        self.on_due: Callable[[], None] = lambda: None
        """Called, from any thread, when there is something to maintain."""
        self.on_progress: Callable[[], None] = lambda: None
        """Called, from any thread, while the index is opened, as long as that gets on."""
        self._clock: Clock = clock or SystemClock()
        self.lifetime = Lifetime(schema.ttl_s, self._clock)
        """What has expired is not seen."""
        self._codec = KeyCodec(b"", key_columns)
        self._storage = storage
        self._resources = resources
        self._identity = schema_identity(schema, key_columns)
        self._writer_id = secrets.token_hex(16)
        self._maintaining = threading.Lock()  # flushes, merges, manifests
        self._writer = threading.Lock()  # what changes documents, and which segments hear of it
        self._lock = threading.Lock()  # held for moments: where what readers see changes as one
        self._fenced: str | None = None
        self._pauses = MaintenancePauses()
        self._opened = self._closed = self._torn = self._is_fresh = False
        self._view: IndexView | None = None
        self._buffers = BufferSet(schema, key_columns)
        self._unindexed_written: Counter[str] = Counter()  # of what the next manifest covers
        self._marks = Marks()
        self._dirty_since_s: float | None = None
        self._commits_wanted = self._commits_done = 0
        self._segments = SegmentSet(storage, schema, resources)
        self._memory = resources.buffers.joined(self)
        self._merges = Merges(storage, schema, resources, lambda: self.on_due())

    # --- what there is ----------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Rows that are searchable, those included that have expired but not been dropped yet."""
        with self._lock:
            return self._buffers.rows + sum(one.rows for one in self._segments.searched)

    @property
    def unindexed(self) -> Counter[str]:
        """How many values of each field were left out since the index was made: of another type, or too long."""
        return self._buffers.unindexed

    @property
    def progress(self) -> Progress:
        """Of what has been applied."""
        return self._marks.progress

    @property
    def durable_position(self) -> int:
        """Changes up to this sequence are not needed any more, not even after a crash."""
        with self._lock:
            return self._settled()

    @property
    def indexed_position(self) -> int:
        """Changes up to this sequence are in segments of the kind that their size calls for, and in a manifest.

        It never goes back, but is 0 until all rows are taken in, for the first time or anew, and that is in a manifest.
        """
        with self._lock:
            return self._indexed()

    def _settled(self) -> int:
        return self._marks.settled(is_clean=self._is_clean)

    def _indexed(self) -> int:
        since = [sealed.since for sealed in self._buffers.sealed]
        if self._buffers.active.rows:
            since.append(self._marks.active_since)
        return self._marks.indexed(is_clean=self._is_clean, since=since)

    @property
    def _is_clean(self) -> bool:
        """Whether the last manifest holds all that was applied. Within the lock."""
        is_waiting = bool(self._buffers.sealed) or self._is_commit_due or self._dirty_since_s is not None
        return self._opened and not is_waiting

    @property
    def waiting_buffers(self) -> int:
        """What has come in faster than it was written and built (`lutra.index.lsm.buffers.Buffers.waiting`)."""
        return self._memory.waiting(len(self._buffers.sealed))

    @property
    def buffered_bytes(self) -> int:
        """About what its buffers take in memory."""
        return self._buffers.size_bytes

    @property
    def torn(self) -> bool:
        """Whether an ``apply`` failed half way: only opening the index anew makes it whole."""
        return self._torn

    @property
    def error(self) -> str | None:
        """Why maintenance or builds last failed, until they succeed; else what is not built for want of memory."""
        failure = self._merges.failure
        told = self._merges.refused if failure is None else f"{type(failure).__name__}: {failure}"
        return self._pauses.failure or told

    def stats(self) -> IndexStats:
        """The index in numbers, as of now."""
        with self._lock:
            return IndexStats(
                manifest=self._storage.number,
                segments=tuple(stats_of(segment, self._merges.policy) for segment in self._segments.named.values()),
                buffer_rows=self._buffers.rows,
                buffer_bytes=self.buffered_bytes,
                sealed_buffers=len(self._buffers.sealed),
                merges=len(self._merges.futures),
                searchable=self._marks.progress,
                durable=self._settled(),
                indexed=self._indexed(),
                written=self._segments.written,
                unindexed=self.unindexed,
                error=self.error,
            )

    def redefine(self, schema: IndexSchema) -> None:
        """Goes by another schema of the same fields: one under which rows live less long perhaps, not longer, and other
        recalls are asked for."""
        with self._lock:
            self.schema, self._view = schema, None
        self.lifetime.index_ttl_s = schema.ttl_s

    def view(self) -> IndexView:
        """The index as it is now: everything applied, less what has expired.

        Raises Fenced; StorageFailure and Corruption where rows expire and segments cannot be read.
        """
        if self._fenced is not None:
            raise Fenced(self._fenced)
        oldest_ms = self.lifetime.rows_since_ms
        self._segments.is_looked_at = True
        with self._lock:
            if self._view is None:
                self._view = self._view_of(self._parts())
            view, parts = self._view, [] if oldest_ms is None else self._parts()
        return view if oldest_ms is None else self._view_of([part.since(oldest_ms) for part in parts])

    def _parts(self) -> list[PartView | SegmentView]:
        buffers = self._buffers.views()
        segments = [segment.view() for segment in self._segments.searched]
        filled: list[PartView | SegmentView] = [*(part for part in buffers if part.size), *segments]
        return filled or [buffers[0]]  # one part at least, however little there is

    def _view_of(self, parts: Sequence[PartView | SegmentView]) -> IndexView:
        return IndexView(self.schema, self.key_columns, tuple(parts), self._codec)

    # --- changing it ------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._opened

    def open(self) -> int:
        """Becomes the index's writer, and searches what the newest manifest names.

        Returns the table's time to live that rows were dropped by, -1 where none were. Raises StorageFailure, Fenced
        where another writer opens it at the same time, and Corruption where objects are damaged or of another schema.
        """
        with self._maintaining:
            self.require_writer()
            self._segments.close_retired()  # of a try before this one
            manifest, segments = self._storage.take_over(Manifest(self._writer_id, self._identity), self._opened_of)
            with self._writer, self._lock:
                self._segments.begin_with(segments, manifest.written)
                self._unindexed_written = Counter(manifest.unindexed)
                self._buffers.begin_with(self._unindexed_written)
                self._marks.commit(manifest.progress, manifest.awaited_since(self._merges.policy))
                self._marks.reach(manifest.progress, is_empty=not self._buffers.active.rows)
                self.lifetime.dropped_by_s = manifest.table_ttl_s
                self._opened, self._is_fresh, self._view = True, True, None
            return manifest.table_ttl_s

    def _opened_of(self, manifest: Manifest) -> list[OpenSegment]:
        if manifest.schema != self._identity:
            raise Corruption(f"{self._storage.prefix}: these segments are of another schema")
        return self._segments.open_all(manifest.segments, self.on_progress)

    def apply(self, rows: Sequence[Row], deleted: Sequence[PrimaryKey] = ()) -> None:
        """Removes the rows of ``deleted``, then adds ``rows``, the later one where a key comes twice; all as one.

        Raises InvalidPrimaryKey, Fenced, and StorageFailure and Corruption where segments cannot be read; then nothing
        has changed. After any other error the index is ``torn``.
        """
        self.require_writer()
        added = {self._codec.encode(row.key): row for row in rows}
        gone = [self._codec.encode(key) for key in deleted]
        touched = list(dict.fromkeys([*gone, *added]))
        with self._writer:
            found, active = self._find(touched), self._buffers.active
            self._torn = True
            active.stage(list(added), list(added.values()), self._clock.now_us() // 1_000)
            with self._lock:
                changed = active.kill(gone) or bool(added)
                active.publish()
                self._kill(found, touched, changed)
                if touched and self._dirty_since_s is None:
                    # Also where nothing came of it: a change is forgotten only once a manifest has it.
                    self._dirty_since_s = time.monotonic()
            self._torn = False
            if active.is_mostly_dead:
                active = active.compacted(self.schema, self.key_columns)
                with self._lock:
                    self._buffers.active, self._view = active, None
            if self._opened and self._memory.is_due(active.size_bytes, self._merges.policy, self._buffers.sealed):
                self._seal()

    def _find(self, keys: Sequence[bytes]) -> list[tuple[OpenSegment, Docs]]:
        """The documents of ``keys`` in all segments that have any."""
        segments = self._segments.all()
        if not segments or not keys:
            return []
        hashes = hashes_of(keys)
        return [(segment, docs) for segment in segments if len(docs := segment.find(keys, hashes))]

    def _kill(self, found: Sequence[tuple[OpenSegment, Docs]], keys: Sequence[bytes], changed: bool) -> None:
        """Within both locks: kills documents of segments, and ``keys`` in sealed buffers."""
        changed = self._buffers.kill_sealed(keys) or changed
        for segment, docs in found:
            changed = segment.kill(docs) or changed
        if changed:
            self._view = None
            if self._dirty_since_s is None:
                self._dirty_since_s = time.monotonic()

    def encode(self, key: PrimaryKey) -> bytes:
        """The form in which ``Progress`` names keys. Raises InvalidPrimaryKey."""
        return self._codec.encode(key)

    def decode(self, key: bytes) -> PrimaryKey:
        """The key of that form. Raises Corruption."""
        return self._codec.decode(key)

    def reached(self, progress: Progress) -> None:
        """Tells how far all that was applied so far brings the index."""
        with self._writer, self._lock:
            was_filled, is_empty = self._marks.progress.filled, not self._buffers.active.rows
            self._marks.reach(progress, is_empty=is_empty)
            if progress.filled and not was_filled:
                self.lifetime.filled()
            is_due = self._opened and is_empty and progress.filled and not was_filled
            if is_due:  # no row is to come that would have a manifest say so
                self._commits_wanted += 1
        if is_due:
            self.on_due()

    def drop_expired(self) -> int:
        """Removes rows that have expired; returns how many. To be called now and then where rows expire.

        Raises StorageFailure, Corruption.
        """
        oldest_ms = self.lifetime.rows_since_ms
        if oldest_ms is None:
            return 0
        before = self.rows
        with self._writer:
            found = [(segment, segment.expired(oldest_ms)) for segment in self._segments.all()]
            keys = self._buffers.expired(oldest_ms)
            with self._lock:
                self._kill(found, keys, self._buffers.active.kill(keys))
        return before - self.rows

    def outdated(self, count: int) -> list[PrimaryKey]:
        """Rows, ``count`` at most, of which a value has expired in the table that the index still has.

        They are to be read and applied again. Raises StorageFailure, Corruption.
        """
        oldest_ms = self.lifetime.values_since_ms
        if oldest_ms is None:
            return []
        with self._writer:
            keys = dict.fromkeys(self._buffers.outdated(oldest_ms, count))
            for segment in self._segments.all():
                if len(keys) >= count:
                    break
                docs = segment.outdated(oldest_ms, count - len(keys))
                keys.update(dict.fromkeys(segment.segment.keys.keys(docs)))
        return [self._codec.decode(key) for key in list(keys)[:count]]

    def _seal(self) -> None:
        """Within the writer's lock: the active buffer is to be written out, and a new one takes its place."""
        with self._lock:
            self._buffers.seal(self.schema, self._marks.active_since, self._marks.progress)
            self._marks.reach(self._marks.progress, is_empty=True)
            self._dirty_since_s, self._view = None, None
            self._commits_wanted += 1
        self.on_due()

    # --- maintenance ------------------------------------------------------------------------------------------------

    @property
    def _is_commit_due(self) -> bool:
        return self._commits_done != self._commits_wanted

    def is_due(self, now_s: float) -> bool:
        """Whether ``maintain`` has something to do at ``time.monotonic`` ``now_s``."""
        if not self._opened or self._closed or self._fenced is not None or not self._pauses.is_over(now_s):
            return False
        return (
            self._is_fresh
            or self._is_commit_due
            or self._is_old(now_s)
            or self._merges.any_done
            or self._merges.is_retry_due(now_s)
            or self._segments.any_retired
            or self._merges.orphans.is_due(now_s)
        )

    def _is_old(self, now_s: float) -> bool:
        since_s = self._dirty_since_s
        return since_s is not None and self._merges.policy.is_flush_due(0, now_s - since_s)

    def maintain(self) -> None:
        """Writes out what is sealed, takes in what was built, begins builds, deletes what nobody needs.

        Does not wait for builders. What goes wrong is told by ``error`` and tried again later, longer apart each time.
        """
        with self._maintaining:
            if self._closed:
                return
            try:
                if self._is_old(time.monotonic()):
                    with self._writer:
                        self._seal()
                self._round()
            except Exception as error:
                self._maintenance_failed(error)
            else:
                self._pauses.succeeded()

    def _maintenance_failed(self, error: Exception) -> None:
        if self._closed:  # meanwhile: what it works with is being let go
            return
        _log.warning("%s could not be maintained", self._storage.prefix, exc_info=error)
        self._pauses.failed(error)

    def flush(self) -> None:
        """Has all that was applied in segments and in a manifest. Raises StorageFailure, Corruption, Fenced."""
        with self._maintaining:
            with self._writer:
                self._seal()
            self._round()

    def compact(self) -> None:
        """Merges until nothing is left to merge, and waits for it. Raises as ``flush``, and what a build raises."""
        self._merges.retry()
        while True:
            with self._maintaining:
                self._round()
                if self._merges.failure is not None:
                    raise copy(self._merges.failure)
                futures = self._merges.futures
            if not futures:
                return
            wait(futures)

    @contextmanager
    def still(self) -> Iterator[tuple[IndexStorage, SegmentSet]]:
        """Nothing is applied, no manifest written and no object deleted meanwhile.

        Raises Fenced; StorageFailure where it is closed; ServerBusy where it is not open yet, or torn.
        """
        with self._maintaining, self._writer:
            self.require_writer()
            if not self._opened or self._torn:
                raise ServerBusy(f"{self._storage.prefix}: this index is being opened, try again")
            yield self._storage, self._segments

    def borrowed(self) -> set[str]:
        """The objects of other indexes that are still needed, by manifests, views or builds."""
        return self._storage.borrowed(self._segments.alive | self._merges.needed)

    def end(self) -> None:
        """Breaks off builds, and has whatever is under way stop where it can. Returns at once."""
        self._closed = True
        self._merges.cancel()

    def close(self, wait_s: float = CLOSE_WAIT_S) -> bool:
        """Breaks off builds and stops. What is in memory only is read again when the index is next opened.

        Views already taken stay good. A second close does nothing. False: what is under way, which waits for the store
        perhaps, did not end within ``wait_s``; then all is kept that it works with.
        """
        self.end()
        until_s = time.monotonic() + wait_s
        if not self._maintaining.acquire(timeout=wait_s):
            return False
        try:
            if not self._writer.acquire(timeout=max(0.0, until_s - time.monotonic())):
                return False
            try:
                with self._lock:
                    self._segments.let_go()
                    self._buffers.sealed, self._view = [], None
            finally:
                self._writer.release()
            self._segments.close_retired()
            return True
        finally:
            self._maintaining.release()

    def wait_unread(self, wait_s: float) -> None:
        """Of a closed one: returns once no search reads its segments any more, or after that time."""
        self._segments.wait_unread(wait_s)

    def require_writer(self) -> None:
        """Raises Fenced where another writer has taken over, StorageFailure where the index is closed."""
        if self._fenced is not None:
            raise Fenced(self._fenced)
        if self._closed:
            raise StorageFailure(f"{self._storage.prefix}: this index is closed")

    def _round(self) -> None:
        """Once through all that there is to do. Within ``_maintaining``."""
        self.require_writer()
        while True:
            for sealed in self._buffers.unwritten:
                self._write_out(sealed)
            for merge, done in self._merges.take_done():
                try:
                    self._take_in(merge, done)
                except (Corruption, ObjectMissing) as error:
                    self._merges.failed(merge, error)
            if self._is_commit_due:
                self._commit()
            self._merges.begin([s for s in self._segments.named.values() if s.is_in_manifest])
            if not self._merges.any_done:
                break
        self._merges.keep_up(len(self._buffers.sealed), list(self._segments.named.values()))
        with self._writer, self._lock:
            self._search_committed()
        self._is_fresh = False
        kept = self._segments.close_retired() | self._merges.needed
        try:
            self._merges.orphans.look(kept, time.monotonic())
            self._storage.collect(kept)
        except Fenced as error:
            self._fenced = str(error)
            raise

    def _write_out(self, sealed: Sealed) -> None:
        """Puts a sealed buffer's rows on the store, as they are found soonest: a flat segment."""
        with self._lock:
            part = sealed.buffer.view()
        if part.rows:
            opened = self._segments.write(part, self.schema, sealed.since)
            with self._writer:
                with self._lock:
                    died = (part.live - sealed.buffer.view().live).ids()
                opened.kill_keys(part.keys.taken(died))
                self._segments.named[opened.name] = opened
            sealed.segment = opened.name
        sealed.written = True
        self._unindexed_written = self._unindexed_written + sealed.buffer.unindexed
        self._marks.written = sealed.progress

    def _take_in(self, merge: Merge, done: BuildDone) -> None:
        """Has the next manifest name what was built in place of what it was built from."""
        since = min(segment.since for segment in merge.inputs)
        entry = SegmentEntry(replace(done.shape, name=self._storage.own(done.shape.name)), since=since)
        opened = self._segments.open(entry, replacing=merge.inputs)
        with self._writer:
            for segment, base in zip(merge.inputs, merge.bases, strict=True):
                died = (base - segment.live()).ids()
                if len(died):
                    opened.kill_keys(segment.segment.keys.keys(died))
            with self._lock:
                self._segments.take_in(merge.inputs, opened)
                self._commits_wanted += 1
        self._segments.read_ahead(opened)
        self._segments.count(built=done.shape.bytes)
        self._merges.succeeded(merge, done)

    def _commit(self) -> None:
        """Writes a manifest of what there is, and searches that."""
        with self._writer, self._lock:
            is_written = not self._buffers.unwritten
            # What was sealed meanwhile is not in this manifest: it asks for one more.
            wanted = self._commits_wanted if is_written else self._commits_done
            is_whole = is_written and not self._buffers.active.rows
            covered = self._marks.progress if is_whole else self._marks.written
            if is_whole:
                self._dirty_since_s = None
            frozen = self._segments.freeze(self._merges.busy)
        try:
            frozen = self._segments.with_deletions(frozen)
            manifest = Manifest(
                writer=self._writer_id,
                schema=self._identity,
                progress=covered,
                table_ttl_s=self.lifetime.dropped_by_s,
                segments=tuple(segment.entry for segment in frozen),
                written=self._segments.written,
                unindexed=dict(self._unindexed_written),
            )
            self._storage.commit(manifest)
        except Fenced as error:
            self._fenced = str(error)
            raise
        with self._writer, self._lock:
            self._marks.commit(covered, manifest.awaited_since(self._merges.policy))
            self._commits_done = wanted
            self._segments.adopt(frozen)
            self._search_committed()

    def _search_committed(self) -> None:
        """Within both locks: searches what the last manifest names, but buffers where something better is to come."""
        named, sealed_now = self._segments.named, self._buffers.sealed
        kept = [sealed for sealed in sealed_now if not sealed.written or self._is_awaited(sealed.segment)]
        shadowed = {sealed.segment for sealed in kept}
        searched = tuple(segment for name, segment in named.items() if name not in shadowed)
        if len(kept) < len(sealed_now) or searched != self._segments.searched:
            self._buffers.sealed, self._segments.searched, self._view = kept, searched, None

    def _is_awaited(self, name: str | None) -> bool:
        """Whether a flat segment is yet to become what its size calls for, and its buffer can serve so long."""
        segment = None if name is None or self._memory.is_full else self._segments.named.get(name)
        return segment is not None and self._merges.failure is None and self._merges.policy.is_awaited(segment.shape)
