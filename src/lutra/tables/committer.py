"""The group committer: many writers, one atomic fsynced commit at a time.

A writer hands in what it wants written. Whoever finds nobody leading leads: takes what waits, in the order it came,
gives out the sequences, commits it as one, lets the writers go, and hands the lead to the first of those that came
meanwhile. So writers share an fsync, sequences become visible in order, and nobody leads for others for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from lutra.kv.batch import PUT, Operation, WriteBatch
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import LutraError, StorageFailure
from lutra.tables import changeblock, keyspace

GROUP_BYTES_MAX: Final = 4 * 1024 * 1024

_SLOW_S: Final = 0.004
_GATHER_SHARE: Final = 0.15
_GATHER_S_MAX: Final = 0.005

_log = logging.getLogger(__name__)


class Pending:
    """What one writer wants committed together.

    ``changes``: by table id, the logged changes (`changeblock.entry`) in their order. ``records``: what is stored under
    the time of the commit, in its order, by the prefix of its keys. ``size_bytes`` bounds a group.
    """

    __slots__ = ("changes", "done", "error", "operations", "records", "size_bytes", "turn")

    def __init__(
        self,
        operations: list[Operation],
        changes: dict[int, list[bytes]],
        size_bytes: int,
        records: dict[bytes, list[bytes]] | None = None,
    ) -> None:
        self.operations = operations
        self.changes = changes
        self.records = records
        self.size_bytes = size_bytes
        self.turn = threading.Lock()
        self.done = False
        self.error: LutraError | None = None


class GroupCommitter:
    """Commits to one store; gives out the sequences of its changelog, and the times of what is kept by time."""

    def __init__(self, store: KeyValueStore, clock: Clock | None = None) -> None:
        """Recovers the last sequence and time. Raises StorageFailure, Corruption."""
        self._store = store
        self._clock = clock or SystemClock()
        stored = store.get(keyspace.SEQUENCE_KEY)
        self.last_sequence = 0 if stored is None else keyspace.unpack(stored)
        """The last durable sequence. Every sequence ever acknowledged is at most this."""
        self._given_out = self.last_sequence
        stored = store.get(keyspace.TIME_KEY)
        self.last_time_us = 0 if stored is None else keyspace.unpack(stored)
        """The last durable time under which something is kept. Each is later than all before, whatever the clock says:
        what is kept by time is in the order in which it became visible."""
        self._time_us = self.last_time_us
        self._mutex = threading.Lock()
        self._queue: deque[Pending] = deque()
        self._leader: Pending | None = None
        """Whose thread commits, for itself and others; None only while the queue is empty."""
        self._gather_s = 0.0
        """How long the next leader waits before it takes what waits: after a commit that several shared and that took
        long, as over a network. They are about to come again, and would else wait for two commits each."""
        self._group: list[Pending] = []
        """What it has taken and not settled."""
        self._listeners: tuple[Callable[[set[int]], None], ...] = ()

    @property
    def given_out(self) -> int:
        """The last sequence that was given out: nothing that any reader has seen yet comes after it."""
        return self._given_out

    def subscribe(self, listener: Callable[[set[int]], None]) -> None:
        """``listener`` gets the ids of the tables a commit changed, after it is visible and before the next."""
        with self._mutex:
            self._listeners = (*self._listeners, listener)

    def commit(self, pending: Pending) -> None:
        """Returns when it is on stable storage and visible. Raises StorageFailure where it was not applied.

        An interrupt may come at any instant: whoever leaves, leaves nothing behind that others wait for.
        """
        try:  # as `surely`, without its cost
            try:
                self._take_part(pending)
            finally:
                self._leave(pending)
        except BaseException:
            self._leave(pending)
            raise
        if pending.error is not None:
            raise pending.error

    def _take_part(self, pending: Pending) -> None:
        with self._mutex:
            self._queue.append(pending)
            if self._leader is None:
                self._leader = pending
            leads = self._leader is pending
            if not leads:
                pending.turn.acquire()
        while not pending.done:
            if leads:  # and again, where an interrupted writer left something before the leader's own
                self._lead()
                continue
            pending.turn.acquire()
            if not pending.done:
                with self._mutex:
                    leads = self._leader is pending

    def _lead(self) -> None:
        if self._gather_s:
            time.sleep(self._gather_s)
        group = self._take_group()
        began_s = time.monotonic()
        error = self._commit_group(group)
        took_s = time.monotonic() - began_s
        self._gather_s = min(took_s * _GATHER_SHARE, _GATHER_S_MAX) if took_s > _SLOW_S and len(group) > 1 else 0.0
        for pending in group:
            pending.error = None if error is None else type(error)(str(error))
            pending.done = True
        _wake(group)
        self._group = []

    def _take_group(self) -> list[Pending]:
        with self._mutex:
            queue, group = self._queue, self._group
            size_bytes = 0
            while queue:
                first = queue[0]
                if not first.done:  # else it was settled by a leader that could not take it out any more
                    size_bytes += first.size_bytes
                    if group and size_bytes > GROUP_BYTES_MAX:
                        break
                    group.append(first)
                queue.popleft()
            return group

    def _leave(self, pending: Pending) -> None:
        """Comes to the same when it is done again.

        A leader hands the lead over, and fails those whose commit it did not come to the end of. A writer that is
        interrupted while it waits is committed only if a leader has taken it already.
        """
        if pending.done and self._leader is not pending:
            return
        with self._mutex:
            if self._leader is not pending:
                if pending in self._queue and pending not in self._group:
                    self._queue.remove(pending)
                return
            for other in self._group:
                if not other.done:
                    other.error = StorageFailure("the commit was cut short; whether it happened is not known")
                    other.done = True
            _wake(self._group)
            self._group = []
            if pending in self._queue:
                self._queue.remove(pending)
            heir = next((other for other in self._queue if not other.done), None)
            if heir is not None:
                _wake([heir])  # it looks who leads when it gets the mutex: if this is interrupted here, it waits again
            self._leader = heir

    def _commit_group(self, group: list[Pending]) -> LutraError | None:
        operations: list[Operation] = []
        changed: set[int] = set()
        sequence = self._given_out
        for pending in group:
            operations += pending.operations
            for table_id, entries in pending.changes.items():
                changed.add(table_id)
                operations.append((PUT, changeblock.key(table_id, sequence + 1), changeblock.value(entries)))
                sequence += len(entries)
            if pending.records is not None:
                self._keep(pending.records, operations)
        if changed:
            operations.append((PUT, keyspace.SEQUENCE_KEY, keyspace.pack(sequence)))
        if self._time_us > self.last_time_us:
            operations.append((PUT, keyspace.TIME_KEY, keyspace.pack(self._time_us)))
        # Never given out again, even if the commit fails: it may be found, whole, when the store is next opened.
        self._given_out = sequence
        try:
            self._store.commit(WriteBatch(operations))
        except LutraError as error:
            return error
        self.last_sequence = sequence
        self.last_time_us = self._time_us
        if changed:
            self._tell(changed)
        return None

    def _keep(self, records: dict[bytes, list[bytes]], operations: list[Operation]) -> None:
        self._time_us = max(self._clock.now_us(), self._time_us + 1)
        for prefix, values in records.items():
            timed = prefix + keyspace.pack(self._time_us)
            operations += [(PUT, timed + keyspace.pack_index(index), value) for index, value in enumerate(values)]

    def _tell(self, changed: set[int]) -> None:
        for listener in self._listeners:
            try:
                listener(changed)
            except Exception:
                _log.exception("a listener of the changelog failed")


def _wake(waiting: Sequence[Pending]) -> None:
    for pending in waiting:
        if pending.turn.locked():
            pending.turn.release()
