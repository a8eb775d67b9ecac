"""The rows of a global secondary index where they are stored, apart from its table: taken in, in any order.

Each carries a stamp. What the stored stamp of its key is larger than is of a time before, and changes nothing: so what
was sent before a row was moved or deleted, and comes after, does no harm. Stamps are kept for a while after they last
came, also those of rows that are gone; nothing is as late as that.

::

    q <table id> <key columns>   stamp 16 | when it came, ms 8
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from lutra.kv.batch import DELETE, PUT, Operation
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model.clock import Clock
from lutra.tables import keyspace
from lutra.tables.committer import GroupCommitter, Pending

STAMP_BYTES: Final = 16
KEPT_S: Final = 3_600
"""Stamps of so long ago are forgotten. A call of a peer is refused when it is some minutes old
(`lutra.cluster.signing`), and one that waits for the store that it is for is given up before."""
_STAMPED: Final = struct.Struct(f">{STAMP_BYTES}sQ")
_SWEEP_PERIOD_S: Final = 600
_SWEPT_AT_ONCE: Final = 1_000


class IndexRow(NamedTuple):
    """An index row, by its encoded key; ``value`` None: there is to be none."""

    key: bytes
    stamp: bytes
    value: bytes | None


def stamp_of(opening: int, number: int) -> bytes:
    """Larger than all of earlier openings of a store, and of lower numbers in the same."""
    return keyspace.pack(opening) + keyspace.pack(number)


class IncomingRows:
    """Of one table of index rows. Thread-safe."""

    def __init__(self, store: KeyValueStore, committer: GroupCommitter, table_id: int, clock: Clock) -> None:
        self._store = store
        self._committer = committer
        self._rows = keyspace.rows_prefix(table_id)
        self._stamps = keyspace.stamps_prefix(table_id)
        self._clock = clock
        self._lock = threading.Lock()
        self._sweep_due_ms = self._now_ms() + 1_000 * _SWEEP_PERIOD_S

    def _now_ms(self) -> int:
        return self._clock.now_us() // 1_000

    def apply(self, rows: Sequence[IndexRow]) -> None:
        """Stores those that are not of a time before; durable when it returns. Raises StorageFailure."""
        now_ms = self._now_ms()
        newest: dict[bytes, IndexRow] = {}
        for row in rows:
            known = newest.get(row.key)
            if known is None or known.stamp <= row.stamp:
                newest[row.key] = row
        with self._lock:
            keys = list(newest)
            stored = self._store.get_many([self._stamps + key for key in keys])
            operations: list[Operation] = []
            for key, data in zip(keys, stored, strict=True):
                row = newest[key]
                if data is not None and _STAMPED.unpack(data)[0] > row.stamp:
                    continue
                operations.append((PUT, self._stamps + key, _STAMPED.pack(row.stamp, now_ms)))
                if row.value is None:
                    operations.append((DELETE, self._rows + key, b""))
                else:
                    operations.append((PUT, self._rows + key, row.value))
            if operations:
                self._commit(operations)

    def sweep(self) -> None:
        """Forgets the stamps of long ago, where it is time to look for them. Raises StorageFailure."""
        now_ms = self._now_ms()
        if now_ms < self._sweep_due_ms:
            return
        self._sweep_due_ms = now_ms + 1_000 * _SWEEP_PERIOD_S
        begin, end = self._stamps, prefix_end(self._stamps)
        while True:
            with self._lock:
                pairs = list(islice(self._store.scan(begin, end), _SWEPT_AT_ONCE))
                oldest_ms = now_ms - 1_000 * KEPT_S
                gone: list[Operation] = [
                    (DELETE, key, b"") for key, data in pairs if _STAMPED.unpack(data)[1] < oldest_ms
                ]
                if gone:
                    self._commit(gone)
            if len(pairs) < _SWEPT_AT_ONCE:
                return
            begin = pairs[-1][0] + b"\0"

    def _commit(self, operations: list[Operation]) -> None:
        size_bytes = sum(len(key) + len(value) for _, key, value in operations)
        self._committer.commit(Pending(operations, {}, size_bytes))
