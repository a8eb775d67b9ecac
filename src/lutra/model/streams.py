"""A table's stream: every change of its rows, in order, kept for some hours to be read by others."""

from __future__ import annotations

from dataclasses import dataclass

from lutra.model import limits
from lutra.model.rows import Cell, CellChange, ChangeKind, PrimaryKey
from lutra.model.schema import StreamSpec


@dataclass(frozen=True, slots=True)
class StreamShard:
    """The changes of a range of rows, in order. ``parents``: what its changes come after, where there are such."""

    id: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """A stream as it is. ``shards``: the first is the oldest. ``created_us``: since the epoch."""

    stream_id: str
    shards: tuple[StreamShard, ...]
    table: str
    created_us: int
    spec: StreamSpec


@dataclass(frozen=True, slots=True, order=True)
class StreamPlace:
    """Where a record lies in its stream: when it was committed, and which it is of those committed for its table then.

    Places rise in the order in which changes became visible, whatever the clock does. As where to read from, it is that
    record, or the first after it.
    """

    time_us: int
    index: int


@dataclass(frozen=True, slots=True)
class StreamIterator:
    """Where a reader of a stream is: what it reads next."""

    table_id: int
    created_us: int
    place: StreamPlace


@dataclass(slots=True)
class StreamRecord:
    """One change of one row.

    ``cells``: what was done to its columns, as RowChange has it, but every put has the timestamp that it got, and an
    increment is the put of its result. ``original``: the newest versions of the stream's ``original_columns`` before
    the change; None where the stream has none of these, or there was no row.
    """

    place: StreamPlace
    kind: ChangeKind
    key: PrimaryKey
    cells: list[CellChange]
    original: list[Cell] | None = None


@dataclass(slots=True)
class StreamPage:
    """``next``: where to go on; None where its shard has ended. ``has_more``: whether there was more to read already.

    ``size_bytes``: of the records as they are stored.
    """

    records: list[StreamRecord]
    next: StreamIterator | None
    has_more: bool
    size_bytes: int


def table_of(stream_id: str) -> str | None:
    """The name of the table whose stream could have that id (`TableDescription.stream_id`); None for what is none."""
    name, _, created = stream_id.rpartition("_")
    is_one = limits.NAME_PATTERN.fullmatch(name) is not None and created.isascii() and created.isdecimal()
    return name if is_one else None
