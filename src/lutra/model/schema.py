"""What a table is made of: key columns, defined columns, options."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from lutra.model.values import ColumnType, KeyValue


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One primary-key column. The first of a table is its partition key."""

    name: str
    type: ColumnType
    auto_increment: bool = False


@dataclass(frozen=True, slots=True)
class DefinedColumn:
    """An attribute column whose type is fixed; others may hold any type."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class Embedding:
    """Where the vectors of a field come from: the column that ``model``, by its name, makes vectors of."""

    source: str
    model: str


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """A field as it was declared in Python: what neither the table's columns nor an index tell of it.

    ``elements``: of a column that holds a list as text and that no index reads, the type of the list's elements.
    ``embedding``: of a field of vectors that are made of another column.
    """

    name: str
    elements: ColumnType | None = None
    embedding: Embedding | None = None


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How long and how many versions a table keeps.

    ``ttl_s`` is -1 for ever, else seconds. ``max_deviation_s`` bounds how far a version's timestamp given by a client
    may lie from the server's clock. ``allow_update`` False forbids UpdateRow. ``update_full_row``: an UpdateRow writes
    the whole row anew, so that all of its columns are of one time, the server's.
    """

    ttl_s: int = -1
    max_versions: int = 1
    max_deviation_s: int = 86_400
    allow_update: bool = True
    update_full_row: bool = False


@dataclass(frozen=True, slots=True)
class CapacityUnits:
    """Read and write capacity units (one each 4 KB, rounded up)."""

    read: int = 0
    write: int = 0


class IndexKind(enum.IntEnum):
    """When a secondary index follows its table. The numbers are the protocol's IndexType."""

    GLOBAL = 0
    """Soon after each commit."""
    LOCAL = 1
    """In the commit itself."""


@dataclass(frozen=True, slots=True)
class SecondaryIndex:
    """Rows of a table under another key: ``key``, then what of the table's own key is not in it.

    ``columns`` come with each. ``includes_base``: rows that were there before it are in it, too.
    ``index_id`` is given by the catalog, 0 before that.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()
    kind: IndexKind = IndexKind.GLOBAL
    includes_base: bool = True
    index_id: int = 0


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How a stream is to be.

    ``expiration_h``: hours that a change is kept at least. ``original_columns``: of these a record has what the row had
    before the change.
    """

    expiration_h: int
    original_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table as CreateTable gives it.

    ``splits`` are values of the partition key, ascending, at which a cluster cuts the table from the beginning. On one
    machine they are only told again. ``has_transactions`` False forbids local transactions. ``stream``: how
    the table's changes are kept for readers; None: not. ``declared`` are its fields in the order in which Python
    declared them; there may be others, and those that are there no more. The protocol knows nothing of them.
    """

    name: str
    key: tuple[KeyColumn, ...]
    defined: tuple[DefinedColumn, ...] = ()
    options: TableOptions = TableOptions()
    reserved: CapacityUnits = CapacityUnits()
    splits: tuple[KeyValue, ...] = ()
    has_transactions: bool = True
    stream: StreamSpec | None = None
    declared: tuple[DeclaredField, ...] = ()
    indexes: tuple[SecondaryIndex, ...] = ()


@dataclass(frozen=True, slots=True)
class TableDescription:
    """A table as DescribeTable shows it. Times are microseconds since the epoch.

    ``stream_created_us``: when its stream was enabled, or the last one that it had; 0 where it never had one.
    """

    schema: TableSchema
    table_id: int
    created_us: int
    reserved_changed_us: int
    stream_created_us: int = 0

    @property
    def stream_id(self) -> str | None:
        """Of its stream; None where it has none. No other stream of the instance ever has the same."""
        return None if self.schema.stream is None else f"{self.schema.name}_{self.stream_created_us}"


@dataclass(frozen=True, slots=True)
class TableUpdate:
    """What UpdateTable changes; None leaves a value as it is.

    ``stream``: enables the table's stream, or changes how it is kept; False disables it, and what is in it is gone.
    """

    ttl_s: int | None = None
    max_versions: int | None = None
    max_deviation_s: int | None = None
    allow_update: bool | None = None
    update_full_row: bool | None = None
    reserved_read: int | None = None
    reserved_write: int | None = None
    stream: StreamSpec | Literal[False] | None = None
