"""What a batch of changes has done so far, until it is committed as one.

Every changed row goes through `Effects.row_changed`: it is the one place where what is kept beside the rows of a table
(`Follower`: a local index, a stream) learns of a change, and adds its own part to the same commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from lutra.kv.batch import DELETE, PUT, Operation
from lutra.kv.store import KeyValueStore
from lutra.model.rows import Cell, PrimaryKey, RowChange
from lutra.tables import changeblock, keyspace
from lutra.tables.committer import Pending
from lutra.tables.table import Table

_BARE: Final = len(keyspace.rows_prefix(0))


class ChangedRow:
    """One row before and after one change.

    ``old`` and ``new`` are its cells, None where there is no row. ``before`` is what the store has of it, also where
    all of that has expired; None too where nobody needed to know (`Table.needs_old`).
    """

    __slots__ = ("before", "change", "key", "new", "now_ms", "old", "stored_key", "table")

    def __init__(
        self,
        table: Table,
        change: RowChange,
        key: PrimaryKey,
        stored_key: bytes,
        before: bytes | None,
        old: list[Cell] | None,
        new: list[Cell] | None,
        now_ms: int,
    ) -> None:
        self.table = table
        self.change = change
        self.key = key
        self.stored_key = stored_key
        self.before = before
        self.old = old
        self.new = new
        self.now_ms = now_ms


class Follower(Protocol):
    """What is kept of a table beside its rows, in the commit that changes them."""

    @property
    def needs_old(self) -> bool:
        """Whether a row has to be read before it is changed, also where its change asks nothing of it."""

    def row_changed(self, row: ChangedRow, effects: Effects) -> None:
        """Adds to ``effects`` what goes with the change.

        Raises nothing but StorageFailure, for the row is already among them; after that none of them is committed.
        """


class Effects:
    """Later changes of a batch see this before the store.

    To be made and committed within one `Stay`, which keeps the rows locked: followers that a table gets meanwhile wait
    for those inside.
    """

    __slots__ = ("_store", "changes", "records", "size_bytes", "values")

    def __init__(self, store: KeyValueStore | Effects) -> None:
        """``store``: what is there before; other effects are those of earlier changes, which may `absorb` these."""
        self._store = store
        self.values: dict[bytes, bytes | None] = {}
        """What is to be stored under each key; None: nothing."""
        self.changes: dict[int, list[bytes]] = {}
        """By table id, what the changelog is to get (`changeblock.entry`)."""
        self.records: dict[bytes, list[bytes]] | None = None
        """What is kept under the time of the commit, in its order, by the prefix of its keys; None: nothing."""
        self.size_bytes = 0

    def get(self, key: bytes) -> bytes | None:
        """What will be stored under ``key`` after what the batch has done so far. Raises StorageFailure, Corruption."""
        return self.values[key] if key in self.values else self._store.get(key)

    def row_changed(
        self,
        table: Table,
        change: RowChange,
        key: PrimaryKey,
        stored_key: bytes,
        value: bytes | None,
        before: bytes | None,
        old: list[Cell] | None,
        new: list[Cell] | None,
        now_ms: int,
    ) -> None:
        """Stores ``value`` as the row (None: no row), logs the change and tells the followers (`ChangedRow`)."""
        self.values[stored_key] = value
        entry = changeblock.entry(change.kind, stored_key[_BARE:])
        logged = self.changes.get(table.table_id)
        if logged is None:
            self.changes[table.table_id] = [entry]
        else:
            logged.append(entry)
        self.size_bytes += 2 * len(stored_key) + (0 if value is None else len(value))
        if table.followers:
            row = ChangedRow(table, change, key, stored_key, before, old, new, now_ms)
            for follower in table.followers:
                follower.row_changed(row, self)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Stores ``value`` under ``key``; None deletes it."""
        self.values[key] = value
        self.size_bytes += len(key) + (0 if value is None else len(value))

    def absorb(self, later: Effects) -> None:
        """Adds all that changes after these have done."""
        self.values.update(later.values)
        for table_id, entries in later.changes.items():
            self.changes.setdefault(table_id, []).extend(entries)
        if later.records is not None:
            self.records = self.records or {}
            for prefix, records in later.records.items():
                self.records.setdefault(prefix, []).extend(records)
        self.size_bytes += later.size_bytes

    def keep(self, prefix: bytes, record: bytes) -> None:
        """Stores ``record`` under ``prefix``, the time of the commit, and a number that rises within the batch."""
        if self.records is None:
            self.records = {}
        self.records.setdefault(prefix, []).append(record)
        self.size_bytes += len(prefix) + len(record)

    def scan(self, begin: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What the store has from ``begin`` to before ``end``, whatever the batch has done."""
        return self._store.scan(begin, end)

    def pending(self) -> Pending:
        """All of it, to be committed."""
        operations: list[Operation] = [
            (DELETE, key, b"") if value is None else (PUT, key, value) for key, value in self.values.items()
        ]
        return Pending(operations, self.changes, self.size_bytes, self.records)
