"""Whether an index is what it should be: every byte of its objects, every graph, every row against the table."""

from __future__ import annotations

import contextlib
import enum
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from lutra.fields.kinds import kind_of
from lutra.index.check.row_check import Bounds, RowCheck
from lutra.index.lsm.lifetime import least
from lutra.index.lsm.manifest import Manifest, SegmentEntry, schema_identity
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.blocks import BlockCache
from lutra.model.errors import Corruption, LutraError, ObjectMissing, StorageFailure
from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.segments.deletions import read_deletions
from lutra.segments.index_segment import IndexSegment
from lutra.segments.verification import verify_segment
from lutra.tables.keys import KeyCodec

_CACHE_BYTES: Final = 16 * 1024 * 1024
_CHUNK_ROWS: Final = 1_024
_ROW_FAULTS_MAX: Final = 100
"""Of one index: where all rows are wrong, as many say so as all of them."""

_NONSENSE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)
"""What reading raises where checksums are right and numbers lead nowhere: who wrote it was wrong."""
_NONSENSE_TEXT: Final = "its checksums are right, but what it says makes no sense: {!r}"

OnBytes = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


class Remedy(enum.Enum):
    """What to do about a fault."""

    REBUILD = "rebuild"
    """Fill the index anew from its table."""
    RECREATE = "recreate"
    """Drop the secondary index, and create it again."""
    RESTORE = "restore"
    """Put the directory back as it was when it was last whole: what is lost is nowhere else."""
    START = "start"
    """Nothing: it is put right when the directory is next served."""
    ADOPT = "adopt"
    """Say another place for the objects, or take this one."""
    STREAM = "stream"
    """Begin another stream, or leave it: the rows are whole."""
    RETRY = "retry"
    """See to it that the store can be read, and check again."""


@dataclass(frozen=True, slots=True)
class IndexFault:
    """Something that is not as it should be, and where: an object's name, or a row's key."""

    place: str
    text: str
    remedy: Remedy = Remedy.REBUILD

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class IndexCheck:
    """A check of one index that nobody writes to. A context manager.

    Raises StorageFailure where the store cannot say what objects there are, or a newer Lutra wrote them.
    """

    def __init__(self, storage: IndexStorage, schema: IndexSchema, key_columns: tuple[KeyColumn, ...]) -> None:
        self.faults: list[IndexFault] = []
        self._storage = storage
        self._schema = schema
        self._key_columns = key_columns
        self._codec = KeyCodec(b"", key_columns)
        self._cache = BlockCache(_CACHE_BYTES, shards=1)
        self._opened = contextlib.ExitStack()
        self._opened.callback(self._cache.close)
        self._segments: list[IndexSegment] = []
        self._row_faults = 0
        self.manifest: Manifest | None = None
        """The newest, once ``check_objects`` has found it whole, and all that it names."""
        self.segments = self.segment_bytes = 0
        """That were read."""
        self.left_behind: list[str] = []
        """Objects that no manifest names, of what a crash cut short. Opening the index deletes them."""
        self.outdated = 0
        """Documents that are read again when the index is next served, as a value of theirs has expired meanwhile."""
        self.waits_for_filling = False
        """Whether the index will be filled anew, as the table's time to live has become longer."""

    def __enter__(self) -> IndexCheck:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def _fault(self, place: str, error: LutraError | str, remedy: Remedy = Remedy.REBUILD) -> None:
        if isinstance(error, StorageFailure) and not isinstance(error, ObjectMissing):
            remedy = Remedy.RETRY
        text = str(error).removeprefix(f"{place}: ")  # errors name the object, too
        self.faults.append(IndexFault(place, text, remedy))

    def _row_fault(self, key: str, text: str) -> None:
        self._row_faults += 1
        if self._row_faults <= _ROW_FAULTS_MAX:
            self._fault(key, text)

    def check_objects(self, on_bytes: OnBytes | None = None) -> None:
        """Every manifest, and every object that the newest names: checksums, counts, graphs, keys, and what filters
        read."""
        self.manifest = self._check_manifests()
        if self.manifest is None:
            return
        if self.manifest.schema != schema_identity(self._schema, self._key_columns):
            self._fault(self._storage.prefix, "its segments are of another schema")
            self.manifest = None
            return
        done, total = 0, sum(entry.shape.bytes for entry in self.manifest.segments)
        report = on_bytes or (lambda done, total: None)
        for entry in self.manifest.segments:
            self._check_segment(entry, partial(_add, report, done, total))
            done += entry.shape.bytes
            report(done, total)
        if len(self._segments) < len(self.manifest.segments):
            self.manifest = None
        self._check_keys()

    def _check_manifests(self) -> Manifest | None:
        """The newest, None where there is none or it is damaged."""
        found = list(self._storage.manifests())
        for name, manifest in found[:-1]:
            if isinstance(manifest, Corruption):
                self._fault(name, manifest, Remedy.START)
        if not found:
            objects = self._storage.store.list(self._storage.prefix)
            if objects:
                self._fault(self._storage.prefix, f"there are {len(objects)} objects, but no manifest that names them")
            return None
        name, newest = found[-1]
        if isinstance(newest, Corruption):
            self._fault(name, newest)
            return None
        named = {name for name, _ in found}.union(
            *({self._storage.full(of) for of in one.names} for _, one in found if isinstance(one, Manifest))
        )
        self.left_behind = [name for name in self._storage.store.list(self._storage.prefix) if name not in named]
        return newest

    def _check_segment(self, entry: SegmentEntry, on_bytes: OnBytes) -> None:
        """Keeps it open for the checks of rows, where all of it can be read."""
        store, place = self._storage.store, self._storage.full(entry.shape.name)
        try:
            size_bytes = store.size(place)
            if size_bytes != entry.shape.bytes:
                self._fault(place, f"has {size_bytes} bytes, but the manifest says {entry.shape.bytes}")
            damaged = verify_segment(store, place, on_bytes, size_bytes=size_bytes)
            self.segments, self.segment_bytes = self.segments + 1, self.segment_bytes + size_bytes
            for fault in damaged:
                self._fault(place, str(fault))
            deletions = None
            if entry.deletions is not None:
                place = self._storage.full(entry.deletions)
                deletions = read_deletions(store, place)
            if damaged:
                return
            place = self._storage.full(entry.shape.name)
            segment = self._opened.enter_context(
                IndexSegment.open(
                    store, place, self._schema, cache=self._cache, memory_budget_bytes=0, deletions=deletions
                )
            )
            self._check_opened(place, segment, entry)
            can_compare = self._check_lookups(place, segment)
        except LutraError as error:
            self._fault(place, error)
            return
        except _NONSENSE as error:
            self._fault(place, _NONSENSE_TEXT.format(error))
            return
        if can_compare:
            self._segments.append(segment)

    def _check_opened(self, place: str, segment: IndexSegment, entry: SegmentEntry) -> None:
        counted = (segment.size, segment.size - segment.rows)
        if counted != (entry.shape.rows, entry.shape.dead):
            self._fault(
                place, f"has {counted} rows and dead ones, but the manifest says {entry.shape.rows, entry.shape.dead}"
            )

    def _check_lookups(self, place: str, segment: IndexSegment) -> bool:
        """What finds documents by value, by time and by key, against values, times and keys by document.

        Whether rows can be compared: each is found by its key, and all its values can be read.
        """
        can_compare = True
        for name, field in segment.fields.items():
            try:
                for text in kind_of(field.field).faults(field):
                    self._fault(place, text)
            except _NONSENSE as error:
                self._fault(place, f"column [{name}]: {_NONSENSE_TEXT.format(error)}")
                can_compare = False
        self._check_times(place, segment)
        try:
            found = [*segment.keys.faults()]
        except _NONSENSE as error:
            found = [_NONSENSE_TEXT.format(error)]
        if segment.keys.size != segment.size:
            found.append(f"there are {segment.keys.size} of {segment.size} documents")
        for text in found:
            self._fault(place, f"keys: {text}")
        return can_compare and not found

    def _check_times(self, place: str, segment: IndexSegment) -> None:
        newest_ms = segment.newest_ms()
        bounds = (int(newest_ms.min()), int(newest_ms.max())) if len(newest_ms) else (0, 0)
        if (len(newest_ms), bounds) != (segment.size, segment.meta.newest_ms):
            said = f"but its footer says {segment.meta.newest_ms}"
            self._fault(place, f"its rows changed last between {bounds} ms, {said}")
            return
        docs, oldest_ms = segment.oldest.read(0, segment.oldest.count)
        if not len(docs):
            return
        if (
            np.any(np.diff(docs) <= 0)
            or np.any(oldest_ms >= newest_ms[docs])
            or oldest_ms.min() != segment.oldest.least_ms
        ):
            self._fault(place, "the oldest timestamps of its rows make no sense")

    def _check_keys(self) -> None:
        """No key lives in two segments."""
        for number, segment in enumerate(self._segments):
            live = segment.live.ids()
            for begin in range(0, len(live), _CHUNK_ROWS):
                docs = live[begin : begin + _CHUNK_ROWS]
                keys = segment.keys.keys(docs)
                for other in self._segments[number + 1 :]:
                    found = other.keys.find(keys)
                    places = np.flatnonzero(found >= 0)
                    for place in places[other.live.has(found[places])].tolist():
                        self._row_fault(_shown(self._codec.decode(keys[place])), "lives in two segments")

    def check_rows(
        self,
        rows: Iterable[Row],
        changed: set[bytes],
        on_rows: Callable[[int], None] | None = None,
        *,
        table_ttl_s: int = -1,
        now_ms: int = 0,
    ) -> None:
        """The rows of the table, by key, as they are stored, against what the newest manifest has.

        Rows whose encoded key is in ``changed`` have been written to since. Rows and cells that have expired at
        ``now_ms`` are among ``rows``. Call ``check_objects`` first; where that found an object damaged, or the index is
        not filled yet, there is nothing to compare.
        """
        if self.manifest is None or not self.manifest.progress.filled:
            return
        dropped_by_s = self.manifest.table_ttl_s
        bounds = Bounds(
            *(_before(now_ms, ttl_s) for ttl_s in (table_ttl_s, least(table_ttl_s, self._schema.ttl_s), dropped_by_s))
        )
        self.waits_for_filling = dropped_by_s >= 0 and least(table_ttl_s, dropped_by_s) != table_ttl_s
        try:
            self._compare(rows, changed, bounds, on_rows or (lambda rows: None))
        except (Corruption, StorageFailure) as error:
            self._fault(self._storage.prefix, error)
        except _NONSENSE as error:
            self._fault(self._storage.prefix, _NONSENSE_TEXT.format(error))
        if self._row_faults > _ROW_FAULTS_MAX:
            self._fault(self._storage.prefix, f"{self._row_faults - _ROW_FAULTS_MAX:,} more rows are wrong")

    def _compare(
        self, rows: Iterable[Row], changed: set[bytes], bounds: Bounds, on_rows: Callable[[int], None]
    ) -> None:
        check = RowCheck(self._segments, self._schema, self._key_columns, bounds)
        self.outdated = check.outdated
        done = 0
        for chunk in _chunks(row for row in rows if self._codec.encode(row.key) not in changed):
            for found in check.differences(chunk):
                self._row_fault(_shown(self._codec.decode(found.key)), found.text)
                check.is_brief = self._row_faults >= _ROW_FAULTS_MAX
            done += len(chunk)
            on_rows(done)
        for found in check.left_over():
            if found.key not in changed:
                self._row_fault(_shown(self._codec.decode(found.key)), found.text)


def _before(now_ms: int, ttl_s: int) -> int | None:
    return None if ttl_s < 0 else now_ms - 1_000 * ttl_s


def _add(on_bytes: OnBytes, before: int, total: int, done: int, _: int) -> None:
    """Of one object, as part of all."""
    on_bytes(before + done, total)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _shown(key: PrimaryKey) -> str:
    return f"row {dict(key)}"
