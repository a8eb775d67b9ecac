"""One consumer following its table."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from lutra.feed.consumer import ChangeConsumer
from lutra.feed.progress import NO_PROGRESS, Progress
from lutra.kv.store import KeyValueStore, Snapshot
from lutra.model.clock import Clock
from lutra.model.deadline import current_deadline
from lutra.model.errors import Corruption, IndexDamaged, ObjectMissing, RequestTimeout, RowDamaged
from lutra.model.indexes import SyncPhase
from lutra.model.rows import PrimaryKey, Row
from lutra.tables.changelog import Changelog
from lutra.tables.tables import Tables

Consumer = TypeVar("Consumer", bound=ChangeConsumer)

_CHUNK_ROWS_MAX: Final = 512
_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""And one row, which may be larger."""
_CELL_BYTES: Final = 100
"""What a cell takes beside the bytes of its value."""
_CHANGES_MAX: Final = 1_024
_DAMAGED_KEPT: Final = 10_000
_BUFFERS_SLOW: Final = 4
"""With so many buffers that wait to be built the consumer takes in less, the more there are the less,"""
_BUFFERS_MAX: Final = 8
"""and with so many nothing: 64 MB of vectors wait. The changes wait in the changelog."""
_PAUSE_S: Final = 0.02
_CLOSE_WAIT_S: Final = 20.0
_RETRY_FIRST_S: Final = 0.1
_DAMAGED_TRIES: Final = 2
"""So often a consumer fails by its objects before who waits for it is told: a read may have gone wrong once."""
_RETRY_LAST_S: Final = 10.0
_EXPIRY_PERIOD_S: Final = 0.5
"""So often it is looked for what has expired: at every look of the feeder where nothing else is written."""
_AGED_MAX: Final = _CHANGES_MAX
"""Rows of which a value has expired are logged as changed, so many at a time: between them come others' changes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far a consumer is behind its table.

    ``written``: the last sequence of the changelog. ``searchable``: every change up to that sequence was taken in;
    ``indexed``: and in segments of the kind that their size calls for; -1 while it is being filled. ``synced_us``:
    every change acknowledged before that time is searchable; 0 while filling.
    """

    written: int
    searchable: int
    indexed: int
    synced_us: int
    rows: int
    damaged_rows: int = 0
    """Rows of the table that cannot be read and that it goes on without, of those it met since the start."""
    persisted: int = 0
    """Every change up to that sequence is in what it has stored: who opens it reads the changelog from there on."""


@dataclass(slots=True, eq=False)
class _Watcher:
    """Somebody who waits, without a thread, for every change up to ``sequence`` to be searchable."""

    sequence: int
    given_up_at: int
    call: Callable[[], None]


class Feed(Generic[Consumer]):
    """Opens one consumer, fills it from its table and follows the changes; it is driven step by step.

    ``step``, ``failed`` and ``close`` are called by one thread at a time, all else by any.
    """

    def __init__(
        self, consumer: Consumer, tables: Tables, changelog: Changelog, store: KeyValueStore, clock: Clock
    ) -> None:
        """Reads nothing yet of what the consumer has stored."""
        self.consumer = consumer
        self.error: str | None = None
        """What went wrong last, until a step succeeds."""
        self.retry_at_s = 0.0
        """No step before this time (``time.monotonic``)."""
        self.paused_until_s = 0.0
        """The same, because too much waits to be built."""
        self.on_due: Callable[[ChangeConsumer], None] = lambda consumer: None
        """Called, from any thread, with the consumer when it has something to maintain."""
        self.on_progress: Callable[[], None] = lambda: None
        """Called, from any thread, while a step takes long and gets on."""
        self.opened_at = changelog.last_sequence
        """Of the changelog, when the feed was made: a consumer that has been there before has to get so far first."""
        consumer.on_due = lambda: self.on_due(consumer)
        consumer.on_progress = lambda: self.on_progress()
        self._tables = tables
        self._changelog = changelog
        self._store = store
        self._clock = clock
        # Held by itself, not through the condition, whose own `__enter__` an interrupt could leave with the lock held.
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._closed = False
        self._retry_s = _RETRY_FIRST_S
        self._expire_at_s = 0.0
        self._damaged: dict[PrimaryKey, None] = {}
        self._aged_through = 0  # what was logged of rows that have values that expired
        self._table_ttl_s = -1
        self._snapshot: Snapshot | None = None
        self._scan: Iterator[Row] | None = None
        self._synced_us = 0
        self._damage: str | None = None
        """What to tell of the objects that the last step failed by."""
        self._failures = self._waiting = 0
        self._watchers: list[_Watcher] = []

    # --- for everybody ----------------------------------------------------------------------------------------------

    @property
    def needed_after(self) -> int:
        """Changes up to this sequence are not needed any more."""
        return self.consumer.durable_position

    def watermarks(self) -> Watermarks:
        with self._mutex:
            consumer, written = self.consumer, self._changelog.last_sequence
            if self.phase is SyncPhase.FULL:
                return Watermarks(written, -1, -1, self._synced_us, consumer.rows, len(self._damaged), -1)
            position, indexed = consumer.progress.position, consumer.indexed_position
            damaged = len(self._damaged)
            durable = consumer.durable_position
            return Watermarks(written, position, indexed, self._synced_us, consumer.rows, damaged, durable)

    @property
    def phase(self) -> SyncPhase:
        """Whether all rows have been taken in once."""
        return SyncPhase.INCR if self.consumer.progress.filled else SyncPhase.FULL

    def refreshed_us(self) -> int:
        """``Watermarks.synced_us``, moved on to now where the table has no change that the consumer has not.

        SDK users wait for a time later than their last write; without this a quiet consumer would tell so only at the
        feeder's next tick. Raises StorageFailure, Corruption.
        """
        now_us, position = self._clock.now_us(), self.consumer.progress.position
        has_all = not self._changelog.read(self.consumer.table_id, position, 1)
        with self._mutex:
            if has_all and self.phase is SyncPhase.INCR and position <= self.consumer.progress.position:
                self._synced_us = max(self._synced_us, now_us)
            return self._synced_us

    def wait(self, sequence: int, timeout_s: float) -> None:
        """Returns when every change up to ``sequence`` is searchable.

        Raises RequestTimeout, and soon IndexDamaged where objects that are lost or damaged keep it from that.
        """
        with self._mutex:
            given_up_at = self._awaited()
            try:
                deadline = current_deadline()
                deadline.wait_for(self._changed, lambda: self._is_decided(sequence, given_up_at), timeout_s)
            finally:
                self._waiting -= 1
            if not self._reached(sequence):
                if self._damage is not None:
                    raise IndexDamaged(self._damage)
                at = f"it is at {self.consumer.progress.position} of {sequence}"
                why = "it was closed" if self._closed else self.error or self.consumer.error or at
                raise RequestTimeout(f"{self.consumer.title} is not up to date: {why}")

    def has_reached(self, sequence: int) -> bool:
        """Whether every change up to ``sequence`` is searchable."""
        with self._mutex:
            return self._reached(sequence)

    def call_when(self, sequence: int, call: Callable[[], None]) -> Callable[[], None]:
        """Has ``call`` called once when `wait` would return, or raise before its time is up; it must not block.

        What is returned takes that back; it may be called at any time, and again.
        """
        with self._mutex:
            watcher = _Watcher(sequence, self._awaited(), call)
            self._watchers.append(watcher)
            self._tell()
        return lambda: self._forget(watcher)

    def _forget(self, watcher: _Watcher) -> None:
        with self._mutex:
            if watcher in self._watchers:
                self._watchers.remove(watcher)
                self._waiting -= 1

    def _awaited(self) -> int:
        """Somebody waits: how many failures by damage until that is given up. Holds the lock, as the next two."""
        self._waiting += 1
        if self._damage is not None:  # it may be whole again
            self.retry_at_s = min(self.retry_at_s, time.monotonic() + _RETRY_FIRST_S)
        return self._failures + _DAMAGED_TRIES

    def _is_decided(self, sequence: int, given_up_at: int) -> bool:
        is_given_up = self._damage is not None and self._failures >= given_up_at
        return self._closed or is_given_up or self._reached(sequence)

    def _tell(self) -> None:
        """Lets go of those whose waiting is over."""
        self._changed.notify_all()
        for watcher in [one for one in self._watchers if self._is_decided(one.sequence, one.given_up_at)]:
            self._watchers.remove(watcher)
            self._waiting -= 1
            watcher.call()

    def _reached(self, sequence: int) -> bool:
        return self.phase is SyncPhase.INCR and self.consumer.progress.position >= sequence

    # --- for whose turn it is ---------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Takes in one chunk of rows or changes. Whether there is more to take in at once. Raises what goes wrong."""
        if self.consumer.is_torn:
            self._begin_again()
        if not self.consumer.is_open:
            with self._objects():
                self._table_ttl_s = self.consumer.open()
        self.consumer.require_writer()
        more = self._is_pressed() or (self._fill() if self.phase is SyncPhase.FULL else self._follow())
        more = self._expire() or more or self.phase is SyncPhase.FULL
        if self.error is not None:
            self.error, self._retry_s, self._damage = None, _RETRY_FIRST_S, None
        if self.consumer.is_due(time.monotonic()):
            self.on_due(self.consumer)
        return more

    def failed(self, error: BaseException) -> None:
        """Puts the next step off, longer each time."""
        self.error = f"{type(error).__name__}: {error}"
        self._end_scan()
        with self._mutex:
            self._damage = str(error) if isinstance(error, IndexDamaged) else None
            self._failures += 1
            is_awaited = self._waiting and self._damage is not None
            self.retry_at_s = time.monotonic() + (_RETRY_FIRST_S if is_awaited else self._retry_s)
            self._tell()
        self._retry_s = min(2 * self._retry_s, _RETRY_LAST_S)

    def _begin_again(self) -> None:
        with self._objects():
            self.consumer.keep_showing()
        with self._mutex:
            let_go = self.consumer.begin_again()
            self._synced_us = 0
        let_go()

    def has_ended(self) -> bool:
        """Whether `end` was called."""
        return self._closed

    def end(self) -> None:
        """Lets go of those who wait, and has what is under way break off where it can. Returns at once."""
        with self._mutex:  # first, so that whoever finds the consumer ended knows why
            self._closed = True
            self._tell()
        self.consumer.end()

    def close(self, wait_s: float = _CLOSE_WAIT_S) -> bool:
        """Lets go of the stores, and of those who wait. False: maintenance did not end in that time, nothing is let go.

        A second close does nothing.
        """
        self.end()
        self._end_scan()
        return self.consumer.close(wait_s)

    def _is_pressed(self) -> bool:
        """Whether so much waits to be built that nothing may be taken in now."""
        waiting = self.consumer.waiting
        if waiting >= _BUFFERS_SLOW:
            self.paused_until_s = time.monotonic() + _PAUSE_S * (waiting - _BUFFERS_SLOW + 1)
        return waiting >= _BUFFERS_MAX

    def _fill_anew(self) -> None:
        """Goes through all rows of the table once more; what the consumer has serves as it is until that is done."""
        self._end_scan()
        self._advance(Progress(self.consumer.progress.position), 0)

    def _fill(self) -> bool:
        consumer = self.consumer
        if self._scan is None:
            self._begin_scan()
        assert self._scan is not None
        rows: list[Row] = []
        size_bytes = 0
        for row in self._scan:
            rows.append(row)
            size_bytes += _size_bytes(row)
            if len(rows) == _CHUNK_ROWS_MAX or size_bytes >= _CHUNK_BYTES:
                with self._objects():
                    consumer.apply(rows)
                self._advance(Progress(consumer.progress.position, filled_through=consumer.encode(rows[-1].key)), 0)
                return True
        with self._objects():
            consumer.apply(rows)
        self._end_scan()
        self.consumer.shows_all()
        self._advance(Progress(consumer.progress.position, filled=True), 0)
        return True

    def _begin_scan(self) -> None:
        """Goes on where an earlier scan broke off. Changes are needed from its beginning on."""
        consumer = self.consumer
        if consumer.progress == NO_PROGRESS and not consumer.rows:
            # Before the snapshot: what lies in both is read twice.
            self._advance(Progress(self._changelog.last_sequence), 0)
        through = consumer.progress.filled_through
        with self._objects():
            after = None if through is None else consumer.decode(through)
        self._snapshot = self._store.snapshot()
        self._scan = self._tables.scan_rows(
            consumer.table_id, self._snapshot, after, self._leave_out, expired=consumer.needs_expired
        )

    def _follow(self) -> bool:
        now_us, last = self._clock.now_us(), self._changelog.last_sequence
        position = self.consumer.progress.position
        changes = self._changelog.read(self.consumer.table_id, position, _CHANGES_MAX)
        taken = self._take_in(list(dict.fromkeys(change.key for change in changes)))
        reached, is_whole = position, True
        for change in changes:
            if change.key not in taken:
                is_whole = False
                break
            reached = change.sequence
        drained = is_whole and len(changes) < _CHANGES_MAX
        if drained:
            self.consumer.shows_all()
        self._advance(Progress(max(reached, last) if drained else reached, True), now_us if drained else None)
        return not drained

    def _advance(self, progress: Progress, synced_us: int | None) -> None:
        """``synced_us`` None leaves it as it is, 0 begins anew."""
        if synced_us == 0:
            with self._mutex:
                self._synced_us = 0
        self.consumer.reached(progress)  # outside the lock of those who look: maintenance may hold this up
        with self._mutex:
            if synced_us:
                self._synced_us = max(self._synced_us, synced_us)
            self._tell()

    def _take_in(self, keys: list[PrimaryKey]) -> set[PrimaryKey]:
        """Brings the rows of ``keys`` up to what they are now: of the first of them, as many as make a chunk."""
        rows: list[Row] = []
        taken: set[PrimaryKey] = set()
        gone: list[PrimaryKey] = []
        size_bytes = 0
        for key, found in zip(keys, self._tables.each_row(self.consumer.table_id, keys), strict=True):
            taken.add(key)
            if isinstance(found, Row):
                rows.append(found)
                self._damaged.pop(key, None)
                size_bytes += _size_bytes(found)
                if size_bytes >= _CHUNK_BYTES:
                    break
                continue
            gone.append(key)
            if found is None:
                self._damaged.pop(key, None)
            else:
                self._leave_out(key, found)
        with self._objects():
            self.consumer.apply(rows, gone)
        return taken

    def _leave_out(self, key: PrimaryKey, error: RowDamaged) -> None:
        """The consumer goes on without a row that cannot be read, which is told once."""
        if key not in self._damaged and len(self._damaged) < _DAMAGED_KEPT:
            self._damaged[key] = None
            _log.error("%s goes on without a row: %s", self.consumer.title, error)

    @contextlib.contextmanager
    def _objects(self) -> Iterator[None]:
        """Around what reads the consumer's own objects: what is wrong with them, and nothing else, is told as that."""
        try:
            yield
        except (Corruption, ObjectMissing) as error:
            raise self.consumer.damage(error) from error

    def _expire(self) -> bool:
        """Follows the table's time to live, and now and then drops rows that have outlived it.

        Where it has become longer, rows may be back in the table that were left out. Rows of which some values
        have expired are logged as changed, a number at a time once those before are taken in: so they are read again
        as any that was written, and no crash loses one. Whether there are some.
        """
        before_s = self._table_ttl_s
        self._table_ttl_s = self._tables.describe(self.consumer.table).schema.options.ttl_s
        if before_s >= 0 and (self._table_ttl_s < 0 or self._table_ttl_s > before_s):
            self._fill_anew()
        self.consumer.follow_ttl(self._table_ttl_s)
        now_s = time.monotonic()
        if now_s < self._expire_at_s:
            return False
        with self._objects():
            self.consumer.drop_expired()
            if self.phase is SyncPhase.FULL or self.consumer.progress.position < self._aged_through:
                return False
            aged = self.consumer.outdated(_AGED_MAX)
        if len(aged) < _AGED_MAX:
            self._expire_at_s = now_s + _EXPIRY_PERIOD_S
        if aged:
            self._read_again(aged)
        return bool(aged)

    def _read_again(self, aged: list[PrimaryKey]) -> None:
        """Sees to rows of which a value has expired: logged as changed, they are read as any that was written."""
        self._tables.aged(self.consumer.table_id, aged)
        self._aged_through = self._changelog.last_sequence

    def _end_scan(self) -> None:
        self._scan = None
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None


def _size_bytes(row: Row) -> int:
    """About how much memory a row's values take."""
    values = (len(value) for _, value, _ in row.cells if isinstance(value, str | bytes))
    return sum(values) + _CELL_BYTES * len(row.cells)
