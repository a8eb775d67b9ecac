"""What there is in a cluster, and where: instances, tables with their search indexes, partitions with their ranges.

One state, never changed: `lutra.cluster.map_changes` makes the next, `lutra.cluster.map_log` stores them by number.
Who serves a partition is not in it (`lutra.cluster.leases`).
"""

from __future__ import annotations

import enum
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from lutra.model.errors import ObjectNotExist
from lutra.model.indexes import IndexSchema
from lutra.model.schema import IndexKind, TableDescription, TableSchema
from lutra.tables.indexrows import IndexRows, description_of
from lutra.tables.refusals import no_table

PARTITION_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A search index of a table. ``uid``: it is the same index as long as this is the same, whatever its name.

    ``created_us``: µs since the epoch, another time than that of any other index of the table. ``source``: the name of
    the index whose place this one may take; of a hundred searches by that name it answers ``weight``.
    """

    uid: int
    name: str
    schema: IndexSchema
    created_us: int
    source: str | None = None
    weight: int = 0


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A table of an instance. ``uid`` is that of ``description``: no other table of the cluster ever has it.

    ``version``: of the map in which this entry last became another. ``is_index``: it is a global secondary index of a
    table, as `ClusterMap.by_uid` gives it; it is in no map as that.
    """

    instance: str
    description: TableDescription
    indexes: tuple[IndexEntry, ...] = ()
    version: int = 0
    is_index: bool = False

    @property
    def uid(self) -> int:
        return self.description.table_id

    @property
    def name(self) -> str:
        return self.description.schema.name

    @property
    def schema(self) -> TableSchema:
        return self.description.schema

    def index(self, name: str) -> IndexEntry | None:
        """Its search index of that name."""
        return next((index for index in self.indexes if index.name == name), None)

    def index_by_uid(self, uid: int) -> IndexEntry | None:
        """Its search index of that uid, whatever its name is now."""
        return next((index for index in self.indexes if index.uid == uid), None)


class PartitionState(enum.IntEnum):
    """The numbers are stored."""

    SERVING = 1
    """Rows of its range are here."""
    RETIRED = 2
    """Others have its range. What it has may still be read by them, and its stream by readers."""
    DROPPED = 3
    """Nobody reads it any more: it is not opened, and its objects are to be deleted."""
    PLANNED = 4
    """It is being made, to take its parents' place. Only who makes it opens it."""


@dataclass(frozen=True, slots=True)
class PartitionEntry:
    """A range of the keys of the table whose uid is ``table``.

    ``begin`` and ``end``, which is not in it, are encoded key columns without a table's prefix
    (`lutra.tables.keys.KeyCodec`), and stand between two partition keys. ``end`` None: to the last key.
    ``parents``: ids of the partitions whose rows it took over, some of which may be gone. ``since_us``: of the table's
    stream, records up to that time are its parents', whose store it continues.
    """

    id: str
    table: int
    begin: bytes = b""
    end: bytes | None = None
    state: PartitionState = PartitionState.SERVING
    parents: tuple[str, ...] = ()
    since_us: int = 0

    def holds(self, key: bytes) -> bool:
        """Whether an encoded key is in its range."""
        return self.begin <= key and (self.end is None or key < self.end)


@dataclass(frozen=True)
class ClusterMap:
    """One state. ``version`` is its number in the log, 0 before the first; ``next_uid`` the next table's or index's.

    The serving partitions of a table are together all keys there can be, and no key is in two.
    """

    version: int = 0
    next_uid: int = 1
    instances: tuple[str, ...] = ()
    tables: tuple[TableEntry, ...] = ()
    partitions: tuple[PartitionEntry, ...] = ()

    def has_instance(self, name: str) -> bool:
        return name in self.instances

    def require_instance(self, name: str) -> None:
        """Raises ObjectNotExist where there is no such instance."""
        if name not in self.instances:
            raise ObjectNotExist(f"Requested instance {name!r} does not exist.")

    def table(self, instance: str, name: str) -> TableEntry:
        """Raises ObjectNotExist, in the words of `lutra.tables`."""
        found = self._by_name.get((instance, name))
        if found is None:
            raise no_table()
        return found

    def has_table(self, instance: str, name: str) -> bool:
        return (instance, name) in self._by_name

    def tables_of(self, instance: str) -> list[TableEntry]:
        """The instance's tables, by name."""
        return sorted((table for table in self.tables if table.instance == instance), key=lambda table: table.name)

    def planned_of(self, partition_id: str) -> list[PartitionEntry]:
        """The partitions that are being made to take the place of that one."""
        return [each for each in self._planned if partition_id in each.parents]

    def table_of(self, partition: PartitionEntry) -> TableEntry | None:
        """The table that a partition is of, which may be a global secondary index; None where it has been dropped."""
        return self.by_uid(partition.table)

    def by_uid(self, uid: int) -> TableEntry | None:
        """The table of that uid, or the global secondary index as a table; None where there is none."""
        return self._by_uid.get(uid)

    def partition(self, partition_id: str) -> PartitionEntry | None:
        """Whatever its state."""
        return self._by_id.get(partition_id)

    def partition_of(self, table_uid: int, key: bytes) -> PartitionEntry:
        """The serving partition that has an encoded key. Raises ObjectNotExist where there is no such table."""
        begins, entries = self._serving_of(table_uid)
        return entries[bisect_right(begins, key) - 1]

    def partition_before(self, table_uid: int, bound: bytes | None) -> PartitionEntry:
        """The serving partition that has the greatest keys below ``bound``, which is no table's least; None: of all."""
        begins, entries = self._serving_of(table_uid)
        return entries[-1 if bound is None else bisect_left(begins, bound) - 1]

    def partitions_of(self, table_uid: int, begin: bytes = b"", end: bytes | None = None) -> list[PartitionEntry]:
        """The serving partitions that have keys from ``begin`` to before ``end``, None for no end; by their range.

        None where ``begin`` is not before ``end``. Raises ObjectNotExist where there is no such table.
        """
        begins, entries = self._serving_of(table_uid)
        if end is not None and begin >= end:
            return []
        past = len(begins) if end is None else bisect_left(begins, end)
        return entries[bisect_right(begins, begin) - 1 : past]

    def _serving_of(self, table_uid: int) -> tuple[list[bytes], list[PartitionEntry]]:
        found = self._serving.get(table_uid)
        if found is None:
            raise no_table()
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], TableEntry]:
        return {(table.instance, table.name): table for table in self.tables}

    @cached_property
    def _by_uid(self) -> dict[int, TableEntry]:
        found = {table.uid: table for table in self.tables}
        for table in self.tables:
            found.update((index.uid, index) for index in index_tables(table))
        return found

    @cached_property
    def _by_id(self) -> dict[str, PartitionEntry]:
        return {partition.id: partition for partition in self.partitions}

    @cached_property
    def _planned(self) -> list[PartitionEntry]:
        return [partition for partition in self.partitions if partition.state is PartitionState.PLANNED]

    @cached_property
    def _serving(self) -> dict[int, tuple[list[bytes], list[PartitionEntry]]]:
        """By table: where its serving partitions begin, and the partitions, ascending."""
        found: dict[int, list[PartitionEntry]] = {}
        for partition in self.partitions:
            if partition.state is PartitionState.SERVING:
                found.setdefault(partition.table, []).append(partition)
        for entries in found.values():
            entries.sort(key=lambda partition: partition.begin)
        return {table: ([partition.begin for partition in entries], entries) for table, entries in found.items()}


def index_tables(table: TableEntry) -> list[TableEntry]:
    """The global secondary indexes of a table, each a table whose uid is the index's id."""
    return [
        TableEntry(
            table.instance,
            description_of(table.description, IndexRows(table.schema, index)),
            version=table.version,
            is_index=True,
        )
        for index in table.schema.indexes
        if index.kind is IndexKind.GLOBAL
    ]


def new_partition_id(token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """An id that no other partition has or will have."""
    return token_bytes(PARTITION_ID_BYTES).hex()
