"""What changed, in order: the outbox that feeds indexes.

A change is logged in its row's own commit and says which row, not what it became: a reader looks the row up as it is
now, so that reading twice, or late, does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore
from lutra.model.rows import ChangeKind, PrimaryKey
from lutra.tables import changeblock, keyspace
from lutra.tables.catalog import Catalog
from lutra.tables.committer import GroupCommitter
from lutra.tables.history import History


@dataclass(frozen=True, slots=True)
class Change:
    """One row change. Sequences rise with visibility, across all tables of the store; they may have gaps."""

    sequence: int
    kind: ChangeKind
    key: PrimaryKey


class Changelog:
    """The changes of all tables of one store. Thread-safe."""

    def __init__(self, store: KeyValueStore, catalog: Catalog, committer: GroupCommitter) -> None:
        self._store = store
        self._catalog = catalog
        self._committer = committer
        self.history = History(store)
        """Of the store, to tell what of an index is of its past."""

    def begin(self) -> None:
        """Notes that the store is opened to be changed, before anything is: once an opening. Raises StorageFailure."""
        self.history.begin(self.last_sequence)

    @property
    def last_sequence(self) -> int:
        """Of the last visible commit; at least every sequence ever acknowledged, also after reopening."""
        return self._committer.last_sequence

    @property
    def given_out(self) -> int:
        """At least the sequence of every change that a reader of rows may have seen, durable or not."""
        return self._committer.given_out

    def read(self, table_id: int, after: int, limit: int) -> list[Change]:
        """At most ``limit`` changes of a table with a sequence larger than ``after``, ascending.

        None that is not yet durable: what a feed has seen is never taken back. Empty where there is no such table.
        Raises StorageFailure, Corruption.
        """
        table = self._catalog.by_id(table_id)
        if table is None or limit <= 0:
            return []
        changes: list[Change] = []
        begin = self._block_with(table_id, after + 1)
        end = changeblock.key(table_id, self.last_sequence + 1)
        for block_key, block in self._store.scan(begin, end):
            first = changeblock.first_sequence(block_key)
            for sequence, (kind, bare_key) in enumerate(changeblock.entries(block), first):
                if sequence <= after:
                    continue
                changes.append(Change(sequence, kind, table.keys.decode_bare(bare_key)))
                if len(changes) == limit:
                    return changes
        return changes

    def trim(self, table_id: int, through: int) -> None:
        """Forgets the changes of a table up to and including sequence ``through``.

        What shares a commit with a later change stays. Costs an fsync and leaves a range tombstone: call it for
        thousands of changes, not for each. In the same commit is noted which was the last. Raises StorageFailure,
        Corruption.
        """
        end = changeblock.key(table_id, through + 1)
        last = self._last_before(table_id, end)
        if last is not None and last[1] > through:
            end = last[0]
            last = self._last_before(table_id, end)
        if last is None:  # there is nothing to forget
            return
        batch = WriteBatch()
        batch.delete_range(changeblock.key(table_id, 0), end)
        batch.put(keyspace.trimmed_key(table_id), keyspace.pack(last[1]))
        self._store.commit(batch)

    def trimmed_through(self, table_id: int) -> int:
        """The sequence of the last change of a table that was forgotten, 0 where none was. Raises StorageFailure.

        An index that has not seen that one cannot be brought up to date by what is left.
        """
        stored = self._store.get(keyspace.trimmed_key(table_id))
        return 0 if stored is None else keyspace.unpack(stored)

    def subscribe(self, callback: Callable[[set[int]], None]) -> None:
        """``callback`` gets the ids of the tables a commit changed, once it is visible.

        It runs between commits, on a writer's thread: it must not block, write or raise.
        """
        self._committer.subscribe(callback)

    def _last_before(self, table_id: int, end: bytes) -> tuple[bytes, int] | None:
        """The key of the last block of a table before the key ``end``, and the sequence of its last change."""
        for block_key, block in self._store.scan(keyspace.changes_prefix(table_id), end, reverse=True):
            return block_key, changeblock.first_sequence(block_key) + changeblock.count(block) - 1
        return None

    def _block_with(self, table_id: int, sequence: int) -> bytes:
        """The key of the last block that begins at or before ``sequence``; where none does, of one that would."""
        own = changeblock.key(table_id, sequence)
        for block_key, _ in self._store.scan(keyspace.changes_prefix(table_id), own + b"\0", reverse=True):
            return block_key
        return own
