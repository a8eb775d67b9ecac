"""A global secondary index whose rows are stored elsewhere: what is kept here of where each row of the table stands.

What is sent may be lost, come twice, or come late, also when another has taken over here. So before anything is sent it
is stored under which keys a row may stand from then on; only when all of these have been put right it is stored that it
stands under one. Whoever goes on from a crash puts right all that are stored. And each row sent carries a stamp, larger
than those before: where it is stored an older one changes nothing (`lutra.tables.incomingindex`).

::

    k <index id> <key columns>   counted 1 | digest 8 | each key under which it may stand: its length u32, and itself

``counted``: whether the row is one of those that the index's progress counts. The digest is of the only key and value,
where it stands there; zeros where that is not known yet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from lutra.kv.batch import DELETE, PUT, Operation, WriteBatch
from lutra.kv.store import KeyValueStore, Reader, prefix_end
from lutra.model.errors import Corruption
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.tables import keyspace
from lutra.tables.committer import GroupCommitter, Pending
from lutra.tables.incomingindex import IndexRow
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexrows import IndexRows
from lutra.tables.indexwriter import NO_PROGRESS, IndexWriter
from lutra.tables.keys import KeyCodec

Send = Callable[[Sequence[IndexRow]], None]
"""Has index rows stored where they belong; returns when they are. Raises what stands in the way: some may be then."""

_HEAD: Final = struct.Struct(">B8s")
_LENGTH: Final = struct.Struct(">I")
_UNKNOWN: Final = bytes(8)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a row of the table stands in the index, or may stand."""

    keys: tuple[bytes, ...] = ()
    digest: bytes = _UNKNOWN
    is_counted: bool = False

    def to_bytes(self) -> bytes:
        head = _HEAD.pack(self.is_counted, self.digest)
        return head + b"".join(_LENGTH.pack(len(key)) + key for key in self.keys)

    @classmethod
    def from_bytes(cls, data: bytes) -> _Standing:
        """Raises Corruption."""
        try:
            counted, digest = _HEAD.unpack_from(data)
            keys, place = [], _HEAD.size
            while place < len(data):
                (length,) = _LENGTH.unpack_from(data, place)
                place += _LENGTH.size + length
                keys.append(data[place - length : place])
            if place != len(data):
                raise ValueError("a key is cut short")
        except (struct.error, ValueError) as error:
            raise Corruption(f"where a row stands in a global index cannot be read: {error}") from error
        return cls(tuple(keys), digest, bool(counted))


_NOWHERE: Final = _Standing()


class OutgoingRows:
    """Of one index. One thread at a time."""

    def __init__(
        self,
        store: KeyValueStore,
        committer: GroupCommitter,
        main_key: tuple[KeyColumn, ...],
        rows: IndexRows,
        send: Send,
        next_stamp: Callable[[], bytes],
    ) -> None:
        """``next_stamp`` gives a larger one each time, also than those of all who went before."""
        self._store = store
        self._committer = committer
        self._rows = rows
        self._send = send
        self._next_stamp = next_stamp
        self._back = KeyCodec(keyspace.outgoing_prefix(rows.index.index_id), main_key)
        self._staged: dict[bytes, tuple[_Standing, bytes | None, bytes]] = {}
        """By the key of what is stored here: where it may stand, and the key and value under which it is to."""

    def stage(self, rows: Iterable[Row], gone: Iterable[PrimaryKey]) -> None:
        """Notes what is to become of these rows, and of those that are gone. Raises StorageFailure, Corruption."""
        wanted: dict[bytes, tuple[bytes | None, bytes]] = {self._back.encode(key): (None, b"") for key in gone}
        for row in rows:
            row_ms = max(cell[2] for cell in row.cells) if row.cells else row.written_ms or 0
            entry = self._rows.entry(row.key, row.cells, row_ms)
            wanted[self._back.encode(row.key)] = (None, b"") if entry is None else (self._bare(entry[0]), entry[1])
        stored = self._store.get_many(list(wanted))
        for (back_key, (new, value)), data in zip(wanted.items(), stored, strict=True):
            standing = _NOWHERE if data is None else _Standing.from_bytes(data)
            is_there = new is not None and standing.keys == (new,) and standing.digest == _digest(new, value)
            if not is_there and (new is not None or standing.keys):
                self._staged[back_key] = standing, new, value

    def commit(self, progress: IndexProgress) -> IndexProgress:
        """Has what was noted stored there, and stores ``progress`` here, which is given back with the number of rows.

        Raises StorageFailure, and what sending raises; then it has to be noted again.
        """
        staged = self._staged
        self.forget()
        self._store_all(
            [
                (PUT, back_key, replace(standing, keys=(*standing.keys, new), digest=_UNKNOWN).to_bytes())
                for back_key, (standing, new, _) in staged.items()
                if new is not None and new not in standing.keys
            ]
        )
        stamp = self._next_stamp()
        changes = [
            IndexRow(key, stamp, value if key == new else None)
            for standing, new, value in staged.values()
            for key in dict.fromkeys((*standing.keys, *(() if new is None else (new,))))
        ]
        if changes:
            self._send(changes)
        done: list[Operation] = []
        added = 0
        for back_key, (standing, new, value) in staged.items():
            added += (new is not None) - standing.is_counted
            if new is None:
                done.append((DELETE, back_key, b""))
            else:
                done.append((PUT, back_key, _Standing((new,), _digest(new, value), True).to_bytes()))
        progress = replace(progress, rows=progress.rows + added)
        self._store_all([*done, (PUT, keyspace.outgoing_progress_key(self._rows.index.index_id), progress.to_json())])
        return progress

    def forget(self) -> None:
        """What was noted is not to be done."""
        self._staged = {}

    def has_staged(self) -> bool:
        return bool(self._staged)

    def _store_all(self, operations: list[Operation]) -> None:
        if operations:
            size_bytes = sum(len(key) + len(value) for _, key, value in operations)
            self._committer.commit(Pending(operations, {}, size_bytes))

    def _bare(self, stored_key: bytes) -> bytes:
        return stored_key[len(self._rows.prefix) :]


def _digest(key: bytes, value: bytes) -> bytes:
    return blake2b(_LENGTH.pack(len(key)) + key + value, digest_size=8).digest()


class OutgoingIndex:
    """What a consumer asks of the store of an index whose rows are elsewhere (`lutra.feed.secondary.IndexStore`)."""

    def __init__(
        self,
        store: KeyValueStore,
        committer: GroupCommitter,
        writer: IndexWriter,
        rows: IndexRows,
        main_key: tuple[KeyColumn, ...],
        send: Send,
        next_stamp: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._committer = committer
        self._writer = writer
        self._rows = rows
        self._main_key = main_key
        self._send = send
        self._next_stamp = next_stamp
        self._is_filled = False

    def progress(self, index_id: int) -> IndexProgress:
        """How far the index is, as it is stored. Raises StorageFailure, Corruption."""
        found = outgoing_progress(self._store, index_id)
        self._is_filled = found.is_shown
        return found

    def begin(self, progress: IndexProgress) -> None:
        """Where nothing of it is stored, has it go on from ``progress``. Raises StorageFailure."""
        key = keyspace.outgoing_progress_key(self._rows.index.index_id)
        if self._store.get(key) is None:
            self._committer.commit(Pending([(PUT, key, progress.to_json())], {}, 0))

    def settle(self, table_id: int, timeout_s: float) -> bool:
        """As `IndexWriter.settle`."""
        return self._writer.settle(table_id, timeout_s)

    def ttl_s(self, table_id: int) -> int:
        """As `IndexWriter.ttl_s`."""
        return self._writer.ttl_s(table_id)

    def global_rows(self, table_id: int, index_id: int) -> OutgoingRows:
        return OutgoingRows(self._store, self._committer, self._main_key, self._rows, self._send, self._next_stamp)

    def is_filled(self, index_id: int) -> bool:
        """Whether all rows of the table here are in it."""
        return self._is_filled

    def filled(self, index_id: int) -> None:
        self._is_filled = True

    def sweep(self, index_id: int) -> None:
        """Removes what is stored here of it, once it is dropped. Raises StorageFailure."""
        sweep_outgoing(self._store, self._committer, index_id)


def outgoing_progress(store: Reader, index_id: int) -> IndexProgress:
    """How far an index is whose rows are elsewhere, as it is stored. Raises StorageFailure, Corruption."""
    stored = store.get(keyspace.outgoing_progress_key(index_id))
    return NO_PROGRESS if stored is None else IndexProgress.from_json(stored)


def unsettled_keys(store: Reader, index_id: int) -> Iterator[bytes]:
    """The table's encoded keys of rows of which it is not known where they stand. Raises StorageFailure, Corruption."""
    prefix = keyspace.outgoing_prefix(index_id)
    for key, data in store.scan(prefix, prefix_end(prefix)):
        if _Standing.from_bytes(data).digest == _UNKNOWN:
            yield key[len(prefix) :]


def sweep_outgoing(store: KeyValueStore, committer: GroupCommitter, index_id: int) -> None:
    """Removes what is stored of an index whose rows were elsewhere, and that is dropped. Raises StorageFailure."""
    batch = WriteBatch()
    prefix = keyspace.outgoing_prefix(index_id)
    batch.delete_range(prefix, prefix_end(prefix))
    batch.delete(keyspace.outgoing_progress_key(index_id))
    committer.commit(Pending(batch.operations, {}, 0))


def outgoing_ids(store: KeyValueStore) -> Iterator[int]:
    """Of the indexes of which something is stored. Raises StorageFailure."""
    begin = keyspace.OUTGOING_PROGRESS_PREFIX
    for key, _ in store.scan(begin, prefix_end(begin)):
        yield keyspace.unpack(key[len(begin) :])
