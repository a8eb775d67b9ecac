"""Conditions on columns: used both to guard a write and to filter a read (protocol, table_store_filter)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from lutra.model.values import ColumnType, Value


class Comparator(enum.IntEnum):
    """The numbers are the protocol's ComparatorType."""

    EQUAL = 1
    NOT_EQUAL = 2
    GREATER_THAN = 3
    GREATER_EQUAL = 4
    LESS_THAN = 5
    LESS_EQUAL = 6
    EXIST = 7
    NOT_EXIST = 8


class LogicalOperator(enum.IntEnum):
    """The numbers are the protocol's LogicalOperator."""

    NOT = 1
    AND = 2
    OR = 3


@dataclass(frozen=True, slots=True)
class ValueTransfer:
    """Compare with what ``regex``'s first group finds in a string column, cast to ``cast``.

    Source: the protocol's ValueTransferRule.
    """

    regex: str
    cast: ColumnType


@dataclass(frozen=True, slots=True)
class SingleColumn:
    """Compares one column with a value.

    ``pass_if_missing``: what to answer for a row without the column. ``latest_version_only`` False: one version that
    compares true is enough.
    """

    comparator: Comparator
    column: str
    value: Value | None
    pass_if_missing: bool = True
    latest_version_only: bool = True
    transfer: ValueTransfer | None = None


@dataclass(frozen=True, slots=True)
class Composite:
    """NOT has one part, AND and OR two or more."""

    operator: LogicalOperator
    parts: tuple[ColumnCondition, ...]


@dataclass(frozen=True, slots=True)
class ColumnPagination:
    """Returns ``limit`` columns of a wide row after skipping ``offset``; a filter only, never a write condition."""

    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """Asks a function that the caller brings, of the newest version of a column; false of a row without the column.

    For what tables know nothing of: what a search index makes of a column's values. It has no form on the wire.
    """

    column: str
    passes: Callable[[Value], bool]


@dataclass(frozen=True, slots=True)
class RowTest:
    """Asks a function that the caller brings, of all cells of the row, ``(name, value, timestamp in ms)``, by name and
    newest first: whether it is what it was, say. A write condition only; it has no form on the wire."""

    passes: Callable[[list[tuple[str, Value, int]]], bool]


ColumnCondition = SingleColumn | ColumnTest | RowTest | Composite | ColumnPagination
