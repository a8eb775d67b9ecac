"""Secondary indexes as what follows a table: a local one until it is filled, a global one ever (design note 0029)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

from lutra.feed.progress import Progress
from lutra.feed.quiet_consumer import QuietConsumer
from lutra.model.errors import Corruption, LutraError, ObjectMissing, ServerBusy, StorageFailure
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import IndexKind, SecondaryIndex, TableDescription
from lutra.model.values import INT64_MAX
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexwriter import IndexWriter

_SETTLE_S: Final = 30.0
_SETTLE_TRIES: Final = 5
_SAVE_PERIOD_S: Final = 5.0
"""So often it is stored how far an index is, where that alone has changed."""


_log = logging.getLogger(__name__)


class StagedRows(Protocol):
    """What a global index stores: as `lutra.tables.globalindex.GlobalRows` does it."""

    def stage(self, rows: Iterable[Row], gone: Iterable[PrimaryKey]) -> None: ...

    def commit(self, progress: IndexProgress) -> IndexProgress: ...

    def forget(self) -> None: ...

    def has_staged(self) -> bool: ...


class FillStore(Protocol):
    """What both kinds of index ask of where they are stored: as `lutra.tables.indexwriter.IndexWriter` does it."""

    def progress(self, index_id: int) -> IndexProgress: ...

    def settle(self, table_id: int, timeout_s: float) -> bool: ...

    def sweep(self, index_id: int) -> None: ...


class IndexStore(FillStore, Protocol):
    """What a global index asks of it, beside that."""

    def ttl_s(self, table_id: int) -> int: ...

    def global_rows(self, table_id: int, index_id: int) -> StagedRows: ...

    def is_filled(self, index_id: int) -> bool: ...

    def filled(self, index_id: int) -> None: ...


class _Consumer(QuietConsumer):
    """What the two kinds of `lutra.feed.consumer.ChangeConsumer` have in common.

    Each says what it does about changes, and what of them it has stored.
    """

    def __init__(self, table: TableDescription, index: SecondaryIndex, writer: FillStore) -> None:
        """Reads nothing yet of what is stored."""
        super().__init__(table)
        self.index = index
        self.on_filled: Callable[[], None] = lambda: None
        """Called once it has all of the table, by whose turn it is to feed it."""
        self._writer = writer
        self._progress = IndexProgress()

    @property
    def title(self) -> str:
        return f"secondary index [{self.index.name}] of table [{self.table}]"

    @property
    def rows(self) -> int:
        return self._progress.rows

    @property
    def progress(self) -> Progress:
        progress = self._progress
        return Progress(progress.position, progress.is_filled, progress.through)

    def open(self) -> int:
        """Raises StorageFailure, Corruption, and ServerBusy where those who do not know of the index write yet."""
        self._progress = self._writer.progress(self.index.index_id)
        if not self._progress.is_filled and not self._writer.settle(self.table_id, _SETTLE_S):
            raise ServerBusy(f"writes to table [{self.table}] from before {self.title} have not ended yet")
        self.is_open = True
        return self._progress.ttl_s

    def follow_ttl(self, table_ttl_s: int) -> None:
        """Stored with what comes next: until then no row has been left out by it."""
        self._progress = replace(self._progress, ttl_s=table_ttl_s)

    def damage(self, error: Corruption | ObjectMissing) -> LutraError:
        return Corruption(
            f"{self.title} is damaged: {str(error).removesuffix('.')}. Its table is whole: drop the index and create "
            "it again. `lutra fsck` tells all that is damaged."
        )

    def is_due(self, now_s: float) -> bool:
        return False

    def maintain(self) -> None:
        """Nothing is due."""

    def end(self) -> None:
        """Nothing takes long."""

    def close(self, wait_s: float) -> bool:
        return True

    def delete(self) -> None:
        """Removes what is stored, where the index was dropped and is not only filled."""
        sweep(self._writer, self.table_id, self.index)

    def _moved(self, progress: Progress) -> IndexProgress:
        before = self._progress
        is_shown = before.is_shown or progress.filled
        return replace(
            before,
            position=progress.position,
            is_filled=progress.filled,
            through=progress.filled_through,
            is_shown=is_shown,
        )


class LocalFill(_Consumer):
    """Brings the rows that were there before a local index into it. Writers keep it current meanwhile.

    Each row is read once more when it is locked: what was scanned may be old by then.
    """

    needs_expired = True

    def __init__(self, table: TableDescription, index: SecondaryIndex, writer: IndexWriter) -> None:
        super().__init__(table, index, writer)
        self._filler = writer
        self._due: list[PrimaryKey] = []

    @property
    def durable_position(self) -> int:
        """It needs none of the table's changes."""
        return INT64_MAX

    def apply(self, rows: Sequence[Row], gone: Sequence[PrimaryKey] = ()) -> None:
        self._due = [] if self._progress.is_filled else [row.key for row in rows]

    def reached(self, progress: Progress) -> None:
        if self._progress.is_filled:
            return
        moved, due = self._moved(progress), self._due
        self._due = []
        self._filler.fill(self.table_id, self.index.index_id, due, moved)
        self._progress = moved
        if moved.is_filled:
            self.on_filled()


class GlobalIndex(_Consumer):
    """Follows a table's changes. What is taken in and how far that is are stored in one commit."""

    def __init__(self, table: TableDescription, index: SecondaryIndex, writer: IndexStore) -> None:
        super().__init__(table, index, writer)
        self._store = writer
        self._rows: StagedRows | None = None
        # Rows are taken in by one thread, and how far that is may be stored by another.
        self._lock = threading.Lock()
        self._stored = 0
        """The position that is stored."""
        self._is_looking = self._looked_at = False
        """Whether rows have been looked at since then, be it that nothing came of it."""
        self._saved_at_s = 0.0
        self._is_closed = False

    @property
    def durable_position(self) -> int:
        return self._stored

    @property
    def is_shown(self) -> bool:
        """Whether it has had all rows of the table once."""
        return self._progress.is_shown

    def open(self) -> int:
        ttl_s = super().open()
        self._rows = self._store.global_rows(self.table_id, self.index.index_id)
        self._stored = self._progress.position
        self._saved_at_s = time.monotonic()
        return ttl_s

    def apply(self, rows: Sequence[Row], gone: Sequence[PrimaryKey] = ()) -> None:
        assert self._rows is not None
        with self._lock:
            self._is_looking = bool(rows or gone)
            # By which rows have been left out now, whatever the feed has told so far.
            ttl_s = self._store.ttl_s(self.table_id)
            if ttl_s >= 0 and not 0 <= self._progress.ttl_s <= ttl_s:
                self._progress = replace(self._progress, ttl_s=ttl_s)
            self._rows.forget()
            self._rows.stage(rows, gone)

    def reached(self, progress: Progress) -> None:
        assert self._rows is not None
        with self._lock:
            moved = self._moved(progress)
            is_new = (moved.is_filled, moved.through) != (self._progress.is_filled, self._progress.through)
            # Where filling begins is stored before any row is: of rows gone when it begins again, only changes tell.
            begins = not moved.is_filled and moved.position != self._stored
            if is_new or begins or self._rows.has_staged():
                moved = self._save(moved)
            elif self._is_looking:
                self._looked_at = True
            self._progress, self._is_looking = moved, False
        if moved.is_shown and not self._store.is_filled(self.index.index_id):
            self._store.filled(self.index.index_id)
            self.on_filled()

    def is_due(self, now_s: float) -> bool:
        """Whether changes are kept for it that it does not need any more."""
        return self._looked_at and now_s >= self._saved_at_s + _SAVE_PERIOD_S

    def maintain(self) -> None:
        assert self._rows is not None
        with self._lock:
            if self._looked_at and not self._is_closed and not self._rows.has_staged():
                self._save(self._progress)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing is stored within, here or elsewhere."""
        with self._lock:
            yield

    def end_still(self) -> None:
        """Within `still`: nothing is stored afterwards, either."""
        self._is_closed = True

    def close(self, wait_s: float) -> bool:
        """Maintenance that is due yet finds it closed: of an index that was dropped nothing may be stored any more."""
        with self._lock:
            self._is_closed = True
        return True

    def _save(self, progress: IndexProgress) -> IndexProgress:
        assert self._rows is not None
        if self._is_closed:
            raise StorageFailure(f"{self.title} is closed")
        saved = self._rows.commit(progress)
        self._stored, self._looked_at, self._saved_at_s = saved.position, False, time.monotonic()
        return saved


SecondaryConsumer = LocalFill | GlobalIndex


def sweep(writer: FillStore, table_id: int, index: SecondaryIndex) -> None:
    """Removes what is stored of an index that was dropped, once those who did not know that have ended.

    What they leave no time for now is removed when the store is next opened. Raises StorageFailure.
    """
    for _ in range(_SETTLE_TRIES):
        if writer.settle(table_id, _SETTLE_S):
            writer.sweep(index.index_id)
            return
    _log.warning("what is stored of the dropped index [%s] is removed at the next start", index.name)


def consumer_of(table: TableDescription, index: SecondaryIndex, writer: IndexWriter) -> SecondaryConsumer:
    """What keeps an index current that is not, or not yet, kept so by the writers themselves."""
    kind = LocalFill if index.kind is IndexKind.LOCAL else GlobalIndex
    return kind(table, index, writer)
