"""A search index as who only reads sees it: segments as they are, and the rows that are not in them yet, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from lutra.index.feed.consumer import IndexConsumer
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.read_storage import Look, ReadStorage
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import Corruption, LutraError, ObjectMissing, Outdated, ServerBusy, StorageFailure
from lutra.model.rows import PrimaryKey, Row


class ReadConsumer(IndexConsumer):
    """Writes nothing out: what it takes in stays in memory, up to a bound."""

    _storage_type: ClassVar[type[IndexStorage]] = ReadStorage

    @property
    def storage(self) -> ReadStorage:
        assert isinstance(self._storage, ReadStorage)
        return self._storage

    @property
    def waiting(self) -> int:
        return 0

    def apply(self, rows: Sequence[Row], gone: Sequence[PrimaryKey] = ()) -> None:
        """As `IndexConsumer.apply`. Raises ServerBusy where more would be in memory than segments may keep there."""
        limit_bytes = self._resources.memory.total_bytes
        if self.index.stats().buffer_bytes > limit_bytes:
            raise ServerBusy(
                f"{self.title}: its segments lack more than {limit_bytes >> 20} MB of the table, which is what a "
                "read-only database reads into memory (memory_bytes=): try again when the process that writes it has "
                "written them out"
            )
        super().apply(rows, gone)

    def damage(self, error: Corruption | ObjectMissing) -> LutraError:
        """As `IndexConsumer.damage`; Outdated where who writes the index has gone on, and deleted what is read here."""
        if isinstance(error, ObjectMissing):
            try:
                has_gone_on = self.storage.has_gone_on()
            except StorageFailure:
                has_gone_on = False
            if has_gone_on:
                return Outdated(
                    f"{self.title}: the process that writes it has gone on, and has deleted what this read-only "
                    f"database shows ({str(error).removesuffix('.')}). refresh() shows what there is now"
                )
        return super().damage(error)

    def is_due(self, now_s: float) -> bool:
        return False

    def maintain(self) -> None:
        """Nothing: that is done by who writes."""

    def delete(self) -> None:
        """Nothing: as well."""


class ReadFeed(IndexFeed):
    """Brings an index up to what its table has, and changes neither."""

    _consumer_type: ClassVar[type[IndexConsumer]] = ReadConsumer

    def open(self, look: Look) -> None:
        """Opens the segments there are, so that it does not matter any more who deletes them.

        Raises Outdated where they are of a later time than the table, and another look is to come; else as
        `IndexConsumer.open`, and IndexDamaged. What failed is tried again by the next `step`.
        """
        self._storage.look = look
        with self._objects():
            self._table_ttl_s = self.consumer.open()

    @property
    def is_newest(self) -> bool:
        """Whether it is open, and who writes the index has not gone on since. Raises StorageFailure."""
        return self.consumer.is_open and not self._storage.has_gone_on()

    @property
    def _storage(self) -> ReadStorage:
        assert isinstance(self.consumer, ReadConsumer)
        return self.consumer.storage

    def _read_again(self, aged: list[PrimaryKey]) -> None:
        self._take_in(aged)
