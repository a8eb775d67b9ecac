"""The secondary indexes of an instance: made, filled, kept current, dropped."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Final

from lutra.feed.secondary import sweep
from lutra.instance.partition import Partition, SecondaryFeed
from lutra.model.errors import LutraError, RequestTimeout
from lutra.model.schema import IndexKind, SecondaryIndex, TableDescription, TableSchema
from lutra.tables.refusals import no_index
from lutra.tables.tables import Tables

_LOOK_S: Final = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecondaryState:
    """How an index is. ``synced_us``: of a global one, every write acknowledged before that is in it."""

    table: str
    index: SecondaryIndex
    is_filled: bool
    synced_us: int | None = None
    rows: int | None = None


class SecondaryIndexes:
    """Of one instance. Thread-safe; changes take turns by their caller's lock."""

    def __init__(self, partition: Partition, tables: Tables) -> None:
        self._partition = partition
        self._tables = tables
        self._lock = threading.Lock()
        self._feeds: dict[int, SecondaryFeed] = {}
        """By index, of those that follow their table."""

    def reopen(self) -> None:
        """Begins to follow the tables of an earlier run of the engine."""
        for name in self._tables.names():
            table = self._tables.describe(name)
            for index in table.schema.indexes:
                self._follow(table, index)

    def create_table(
        self,
        schema: TableSchema,
        created_us: int | None = None,
        stream_created_us: int | None = None,
        *,
        may_be_index: bool = False,
    ) -> TableDescription:
        """A table with its indexes, as `Tables.create` makes it.

        Raises ParameterInvalid, ObjectAlreadyExist, QuotaExhausted.
        """
        with self._partition.feeder.keeping():
            table = self._tables.create(schema, created_us, stream_created_us, may_be_index=may_be_index)
            for index in table.schema.indexes:
                self._follow(table, index)
        return table

    def create(self, table: str, index: SecondaryIndex) -> None:
        """Raises ParameterInvalid, ObjectNotExist, ObjectAlreadyExist."""
        with self._partition.feeder.keeping():
            made = self._tables.add_index(table, index)
            self._follow(self._tables.describe(table), made)

    def drop(self, table: str, name: str) -> None:
        """Raises ObjectNotExist."""
        table_id = self._tables.describe(table).table_id
        self._forget(table_id, self._tables.drop_index(table, name))

    def table_deleted(self, table: TableDescription) -> None:
        """Lets go of the indexes of a table that is no more."""
        for index in table.schema.indexes:
            self._forget(table.table_id, index)

    def wait(self, table: str, name: str, timeout_s: float) -> None:
        """Returns when an index has all rows that have been written by now. Raises ObjectNotExist, RequestTimeout."""
        sequence = self._partition.space.changelog.last_sequence
        index = next((one for one in self._tables.describe(table).schema.indexes if one.name == name), None)
        if index is None:
            raise no_index(name, table)
        until_s = time.monotonic() + timeout_s
        feed = self._feeds.get(index.index_id)
        if index.kind is IndexKind.GLOBAL and feed is not None:
            self._partition.feeder.wait_searchable(feed, timeout_s, sequence)
        while not self._tables.is_index_filled(index):
            if time.monotonic() >= until_s:
                raise RequestTimeout(f"secondary index [{name}] of table [{table}] is not filled yet")
            time.sleep(_LOOK_S)

    def states(self) -> list[SecondaryState]:
        """Of all, by table."""
        states = []
        for name in self._tables.names():
            try:
                indexes = self._tables.describe(name).schema.indexes
                states += [self._state(name, index) for index in indexes]
            except LutraError:  # deleted meanwhile
                continue
        return states

    def _state(self, table: str, index: SecondaryIndex) -> SecondaryState:
        is_filled = self._tables.is_index_filled(index)
        feed = self._feeds.get(index.index_id)
        if index.kind is IndexKind.LOCAL or feed is None:
            return SecondaryState(table, index, is_filled)
        return SecondaryState(table, index, is_filled, feed.refreshed_us(), feed.consumer.rows)

    def _follow(self, table: TableDescription, index: SecondaryIndex) -> None:
        if index.kind is IndexKind.LOCAL and self._tables.is_index_filled(index):
            return  # writers keep it
        with self._lock:
            feed = self._partition.follow_secondary(table, index, self._tables, partial(self._filled, index))
            self._feeds[index.index_id] = feed

    def _filled(self, index: SecondaryIndex) -> None:
        """By whose turn it is to feed it."""
        if index.kind is IndexKind.LOCAL:
            with self._lock:
                feed = self._feeds.pop(index.index_id, None)
            if feed is not None:
                self._partition.feeder.remove(feed)

    def _forget(self, table_id: int, index: SecondaryIndex) -> None:
        with self._lock:
            feed = self._feeds.pop(index.index_id, None)
        if feed is not None:
            self._partition.feeder.remove(feed)  # which has what is stored removed
            return
        self._partition.feeder.tidy(partial(self._sweep, table_id, index))

    def _sweep(self, table_id: int, index: SecondaryIndex) -> None:
        try:
            sweep(self._partition.space.index_writer, table_id, index)
        except LutraError as error:  # what is left is removed when the store is next opened
            _log.warning("what is stored of the dropped index [%s] could not be removed: %s", index.name, error)
