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

    @property
    def last_sequence(self) -> int:
        """Of the last visible commit; at least every sequence ever acknowledged, also after reopening."""
        return self._committer.last_sequence

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
        thousands of changes, not for each. Raises StorageFailure.
        """
        last = self._block_with(table_id, through)
        block = self._store.get(last)
        end = changeblock.key(table_id, through + 1)
        if block is not None and changeblock.first_sequence(last) + changeblock.count(block) - 1 > through:
            end = last
        batch = WriteBatch()
        batch.delete_range(changeblock.key(table_id, 0), end)
        self._store.commit(batch)

    def subscribe(self, callback: Callable[[set[int]], None]) -> None:
        """``callback`` gets the ids of the tables a commit changed, once it is visible.

        It runs between commits, on a writer's thread: it must not block, write or raise.
        """
        self._committer.subscribe(callback)

    def _block_with(self, table_id: int, sequence: int) -> bytes:
        """The key of the last block that begins at or before ``sequence``; where none does, of one that would."""
        own = changeblock.key(table_id, sequence)
        for block_key, _ in self._store.scan(keyspace.changes_prefix(table_id), own + b"\0", reverse=True):
            return block_key
        return own
