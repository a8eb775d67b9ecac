"""Rows, what changes them, and what a read asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from lutra.model.conditions import ColumnCondition
from lutra.model.schema import CapacityUnits
from lutra.model.values import KeyMarker, KeyValue, Value

PrimaryKey = tuple[tuple[str, KeyValue], ...]
"""``((name, value), …)`` in the table's order."""

KeyInput = tuple[tuple[str, KeyValue | KeyMarker], ...]
"""A key as a client may send it: range bounds and AUTO_INCREMENT allowed where they make sense."""

Cell = tuple[str, Value, int]
"""``(column name, value, timestamp in ms)``. A plain tuple: millions pass through."""


class CellOperation(enum.IntEnum):
    """What a change does to a column; the numbers are PlainBuffer's CELL_TYPE, 0 where the tag is absent."""

    PUT = 0
    DELETE_ALL = 1
    DELETE_ONE = 3
    INCREMENT = 4


CellChange = tuple[str, Value | None, int | None, int]
"""``(column name, value or None, timestamp in ms or None, CellOperation)``."""


class ChangeKind(enum.IntEnum):
    """The numbers are the protocol's OperationType."""

    PUT = 1
    UPDATE = 2
    DELETE = 3


class RowExistence(enum.IntEnum):
    """The numbers are the protocol's RowExistenceExpectation."""

    IGNORE = 0
    EXPECT_EXIST = 1
    EXPECT_NOT_EXIST = 2


class ReturnType(enum.IntEnum):
    """The numbers are the protocol's ReturnType."""

    NONE = 0
    PRIMARY_KEY = 1
    AFTER_MODIFY = 2


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the row before a change is applied."""

    existence: RowExistence = RowExistence.IGNORE
    columns: ColumnCondition | None = None


NO_CONDITION = Condition()


@dataclass(slots=True)
class RowChange:
    """One put, update or delete of a row.

    ``cells`` of a PUT are plain writes; of an UPDATE any CellOperation; a DELETE has none.
    AFTER_MODIFY returns the columns named in ``return_columns`` (the incremented ones, in the protocol's use).
    """

    kind: ChangeKind
    key: KeyInput
    cells: list[CellChange] = field(default_factory=list)
    condition: Condition = NO_CONDITION
    return_type: ReturnType = ReturnType.NONE
    return_columns: tuple[str, ...] = ()


@dataclass(slots=True)
class Row:
    """A row as it is read: ``cells`` by name ascending, newest version first within a name.

    ``written_ms``: of a whole row that has no cells, when it was last written; None elsewhere, where cells tell.
    """

    key: PrimaryKey
    cells: list[Cell] = field(default_factory=list)
    written_ms: int | None = None


@dataclass(slots=True)
class WriteResult:
    """What became of one row change; ``row`` is set where the change asked for a return."""

    consumed: CapacityUnits
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Which part of a row a read returns.

    ``time_range_ms`` is [start, end). ``start_column`` is inclusive, ``end_column`` exclusive. No ``columns`` means
    all. ``token`` continues a wide row where ColumnPagination's page ended.
    At least one of ``max_versions`` and ``time_range_ms`` must be given (protocol, GetRow).
    """

    columns: tuple[str, ...] = ()
    max_versions: int | None = 1
    time_range_ms: tuple[int, int] | None = None
    filter: ColumnCondition | None = None
    start_column: str | None = None
    end_column: str | None = None
    token: bytes | None = None


@dataclass(slots=True)
class ReadResult:
    """``row`` is None where there is no such row, or the filter let it not pass."""

    row: Row | None
    consumed: CapacityUnits
    next_token: bytes | None = None


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """GetRange: from ``start`` (inclusive) to ``end`` (exclusive), downwards where ``backward``."""

    start: KeyInput
    end: KeyInput
    backward: bool = False
    limit: int | None = None
    options: ReadOptions = ReadOptions()


@dataclass(slots=True)
class RangeResult:
    """``next_start`` is the key to go on from, None where the range is exhausted."""

    rows: list[Row]
    consumed: CapacityUnits
    next_start: PrimaryKey | None = None
