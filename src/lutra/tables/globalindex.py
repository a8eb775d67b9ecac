"""What a global secondary index stores: the rows it lists, and under which key it has each row of its table.

So a row's old entry is known by what the index itself has stored, whatever has become of the row since; taking in a row
twice, or late, does no harm. Rows, keys and how far the index has come change in one commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lutra.kv.batch import DELETE, PUT, Operation
from lutra.kv.store import KeyValueStore
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.tables import keyspace
from lutra.tables.committer import GroupCommitter, Pending
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexrows import IndexRows
from lutra.tables.keys import KeyCodec


class GlobalRows:
    """Of one index. One thread at a time."""

    def __init__(
        self, store: KeyValueStore, committer: GroupCommitter, main_key: tuple[KeyColumn, ...], rows: IndexRows
    ) -> None:
        self._store = store
        self._committer = committer
        self._rows = rows
        self._back = KeyCodec(keyspace.back_prefix(rows.index.index_id), main_key)
        self._staged: dict[bytes, bytes | None] = {}
        self._added = 0

    def stage(self, rows: Iterable[Row], gone: Iterable[PrimaryKey]) -> None:
        """Notes what is to become of these rows, and of those that are gone. Raises StorageFailure, Corruption."""
        for key in gone:
            self._replace(self._back.encode(key), None, b"")
        for row in rows:
            row_ms = max(cell[2] for cell in row.cells) if row.cells else row.written_ms or 0
            entry = self._rows.entry(row.key, row.cells, row_ms)
            self._replace(self._back.encode(row.key), *((None, b"") if entry is None else entry))

    def commit(self, progress: IndexProgress) -> IndexProgress:
        """Stores what was noted, and with it ``progress``, which is given back with the number of rows.

        Raises StorageFailure; then nothing of it was stored, and it has to be noted again.
        """
        staged, added = self._staged, self._added
        self.forget()
        progress = replace(progress, rows=progress.rows + added)
        operations: list[Operation] = [
            (DELETE, key, b"") if value is None else (PUT, key, value) for key, value in staged.items()
        ]
        operations.append((PUT, keyspace.progress_key(self._rows.index.index_id), progress.to_json()))
        self._committer.commit(Pending(operations, {}, sum(len(key) + len(value) for _, key, value in operations)))
        return progress

    def forget(self) -> None:
        """What was noted is not to be stored."""
        self._staged, self._added = {}, 0

    def has_staged(self) -> bool:
        return bool(self._staged)

    def _replace(self, back_key: bytes, stored_key: bytes | None, value: bytes) -> None:
        """Has one row of the table stand there, None: nowhere."""
        old = self._get(back_key)
        prefix = self._rows.prefix
        new = None if stored_key is None else stored_key[len(prefix) :]
        if old != new:
            if old is not None:
                self._staged[prefix + old] = None
            self._staged[back_key] = new
            self._added += (new is not None) - (old is not None)
        if stored_key is not None and self._get(stored_key) != value:
            self._staged[stored_key] = value

    def _get(self, key: bytes) -> bytes | None:
        return self._staged[key] if key in self._staged else self._store.get(key)
