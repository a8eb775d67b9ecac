"""The group committer: many writers, one atomic fsynced commit at a time.

A writer hands in what it wants written. Whoever finds nobody leading leads: takes what waits, in the order it came,
gives out the sequences, commits it as one, lets the writers go, and hands the lead to the first of those that came
meanwhile. So writers share an fsync, sequences become visible in order, and nobody leads for others for long.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from lutra.kv.batch import PUT, Operation, WriteBatch
from lutra.kv.store import KeyValueStore
from lutra.model.errors import LutraError, StorageFailure
from lutra.tables import changeblock, keyspace

GROUP_BYTES_MAX: Final = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


class Pending:
    """What one writer wants committed together.

    ``changes``: by table id, the logged changes (`changeblock.entry`) in their order. ``size_bytes`` bounds a group.
    """

    __slots__ = ("changes", "done", "error", "leads", "operations", "size_bytes", "turn")

    def __init__(self, operations: list[Operation], changes: dict[int, list[bytes]], size_bytes: int) -> None:
        self.operations = operations
        self.changes = changes
        self.size_bytes = size_bytes
        self.turn = threading.Lock()
        self.done = False
        self.leads = False
        self.error: LutraError | None = None


class GroupCommitter:
    """Commits to one store; gives out the sequences of its changelog."""

    def __init__(self, store: KeyValueStore) -> None:
        """Recovers the last sequence. Raises StorageFailure, Corruption."""
        self._store = store
        stored = store.get(keyspace.SEQUENCE_KEY)
        self.last_sequence = 0 if stored is None else keyspace.unpack(stored)
        """The last durable sequence. Every sequence ever acknowledged is at most this."""
        self._given_out = self.last_sequence
        self._mutex = threading.Lock()
        self._queue: deque[Pending] = deque()
        self._led = False
        self._listeners: tuple[Callable[[set[int]], None], ...] = ()

    def subscribe(self, listener: Callable[[set[int]], None]) -> None:
        """``listener`` gets the ids of the tables a commit changed, after it is visible and before the next."""
        with self._mutex:
            self._listeners = (*self._listeners, listener)

    def commit(self, pending: Pending) -> None:
        """Returns when it is on stable storage and visible. Raises StorageFailure where it was not applied."""
        with self._mutex:
            self._queue.append(pending)
            if self._led:
                pending.turn.acquire()
            else:
                self._led = pending.leads = True
        if not pending.leads:
            try:
                pending.turn.acquire()
            except BaseException:
                self._abandon(pending)
                raise
        if not pending.done:
            self._lead()
        if pending.error is not None:
            raise pending.error

    def _lead(self) -> None:
        """The first in the queue is the caller's own."""
        group = self._take_group()
        error: LutraError | None = StorageFailure("the commit was cut short; whether it happened is not known")
        try:
            error = self._commit_group(group)
        finally:
            for pending in group:
                pending.error = None if error is None else type(error)(str(error))
                pending.done = True
                if not pending.leads:
                    pending.turn.release()
            self._hand_over()

    def _take_group(self) -> list[Pending]:
        with self._mutex:
            queue = self._queue
            group = [queue.popleft()]
            size_bytes = group[0].size_bytes
            while queue and size_bytes + queue[0].size_bytes <= GROUP_BYTES_MAX:
                group.append(queue.popleft())
                size_bytes += group[-1].size_bytes
            return group

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
        if changed:
            operations.append((PUT, keyspace.SEQUENCE_KEY, keyspace.pack(sequence)))
        # Never given out again, even if the commit fails: it may be found, whole, when the store is next opened.
        self._given_out = sequence
        try:
            self._store.commit(WriteBatch(operations))
        except LutraError as error:
            return error
        self.last_sequence = sequence
        if changed:
            self._tell(changed)
        return None

    def _tell(self, changed: set[int]) -> None:
        for listener in self._listeners:
            try:
                listener(changed)
            except Exception:
                _log.exception("a listener of the changelog failed")

    def _hand_over(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].turn.release()
            else:
                self._led = False

    def _abandon(self, pending: Pending) -> None:
        """A writer was interrupted while it waited: it is committed only if a leader has taken it already."""
        with self._mutex:
            if pending not in self._queue:
                return
            self._queue.remove(pending)
        if pending.leads:
            self._hand_over()
