"""What a PutRow or UpdateRow that is right in itself (`changes`) does to the cells of a row of its table."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.rows import Cell, CellChange, CellOperation
from lutra.model.values import INT64_MAX, INT64_MIN, ColumnType, Value, type_of
from lutra.tables.indexrows import is_too_long
from lutra.tables.storedrow import newest
from lutra.tables.table import Table

_NAME: Final = itemgetter(0)
_DELETES: Final = frozenset({CellOperation.DELETE_ALL, CellOperation.DELETE_ONE})


def cells_of_put(table: Table, changes: list[CellChange], now_ms: int) -> list[Cell]:
    """The cells of a row put anew by a checked PutRow, ordered as they are stored. Raises ParameterInvalid."""
    names = check_against(table, changes, now_ms)
    cells: list[Cell] = [
        (name, value, now_ms if timestamp_ms is None else timestamp_ms)  # type: ignore[misc]
        for name, value, timestamp_ms, _ in changes
    ]
    if table.update_full_row:
        check_full_row(cells)
    if len(names) == len(cells):
        cells.sort(key=_NAME)
        return cells
    by_version = {(cell[0], -cell[2]): cell for cell in cells}
    return newest([by_version[version] for version in sorted(by_version)], table.max_versions)


def check_against(table: Table, changes: list[CellChange], now_ms: int) -> set[str]:
    """The columns that are changed. Raises ParameterInvalid where a change, right in itself, does not fit the table."""
    names = {change[0] for change in changes}
    if not names.isdisjoint(table.key_names):
        name = min(names & table.key_names)
        raise ParameterInvalid(f"Duplicated attribute column name with primary key column: '{name}'.")
    if table.defined:
        _check_defined(table.defined, changes)
    if table.index_key_names and not names.isdisjoint(table.index_key_names):
        _check_index_keys(table, changes)
    for name, _, timestamp_ms, operation in changes:
        if timestamp_ms is not None and operation == CellOperation.PUT:
            if table.update_full_row:
                raise ParameterInvalid(
                    f"Invalid timestamp. Cell:'{name}': rows of table {table.name} have one time, which the server "
                    "gives (update_full_row)."
                )
            _check_deviation(table, name, timestamp_ms, now_ms)
    return names


def updated(table: Table, cells: list[Cell], changes: list[CellChange], now_ms: int) -> list[Cell]:
    """The cells of a row after a checked UpdateRow, whose changes apply in their order. Raises ParameterInvalid.

    A put without a timestamp takes the server's time, or that of the newest version where it lies in the future (by a
    client's timestamp, or a clock set back): what is acknowledged is then what is read. Where the table is updated by
    full rows, all that the row has takes that time.
    """
    touched: dict[str, dict[int, Value]] = {change[0]: {} for change in changes}
    kept: list[Cell] = []
    for cell in cells:
        versions = touched.get(cell[0])
        if versions is None:
            kept.append(cell)
        else:
            versions[cell[2]] = cell[1]
    _apply(touched, changes, now_ms)
    for name, versions in touched.items():
        for timestamp_ms in sorted(versions, reverse=True)[: table.max_versions]:
            kept.append((name, versions[timestamp_ms], timestamp_ms))
    kept.sort(key=_NAME)
    if table.update_full_row:
        at_ms = max([now_ms, *(cell[2] for cell in cells)])
        kept = [(name, value, at_ms) for name, value, _ in kept]
        check_full_row(kept)
    return kept


def check_full_row(cells: list[Cell]) -> None:
    """Raises ParameterInvalid where a row that is always written as a whole has too many columns for that."""
    if len(cells) > limits.FULL_ROW_COLUMNS_MAX:
        raise ParameterInvalid(
            f"A row of a table with update_full_row has at most {limits.FULL_ROW_COLUMNS_MAX} attribute columns,"
            f" not {len(cells)}."
        )


def resolved(cells: list[Cell], changes: list[CellChange], now_ms: int) -> list[CellChange]:
    """What `updated` does with the same arguments: each put with its timestamp, an increment as the put of its result.

    ``changes`` are such as it has taken.
    """
    touched: dict[str, dict[int, Value]] = {change[0]: {} for change in changes}
    for name, value, timestamp_ms in cells:
        if name in touched:
            touched[name][timestamp_ms] = value
    done: list[CellChange] = []
    _apply(touched, changes, now_ms, done)
    return done


def _apply(
    touched: dict[str, dict[int, Value]],
    changes: list[CellChange],
    now_ms: int,
    done: list[CellChange] | None = None,
) -> None:
    """Changes the versions of the columns, and tells ``done`` what was done. Raises ParameterInvalid."""
    for name, value, timestamp_ms, operation in changes:
        versions = touched[name]
        if operation == CellOperation.PUT:
            assert value is not None
            if timestamp_ms is None:
                timestamp_ms = max(now_ms, *versions, now_ms)
            versions[timestamp_ms] = value
        elif operation == CellOperation.INCREMENT:
            assert type(value) is int
            timestamp_ms = max(now_ms, *versions, now_ms)
            value = versions[timestamp_ms] = _incremented(name, versions, value)
        elif operation == CellOperation.DELETE_ALL:
            versions.clear()
        else:
            assert timestamp_ms is not None
            versions.pop(timestamp_ms, None)
        if done is not None:
            is_increment = operation == CellOperation.INCREMENT
            done.append((name, value, timestamp_ms, CellOperation.PUT if is_increment else operation))


def newest_of(cells: list[Cell], names: Iterable[str]) -> list[Cell]:
    """The newest version of each named column that is there."""
    wanted = set(names)
    return newest([cell for cell in cells if cell[0] in wanted], 1)


def _incremented(name: str, versions: dict[int, Value], delta: int) -> int:
    old = versions[max(versions)] if versions else 0
    if type(old) is not int:
        kind = getattr(type_of(old), "name", None)
        raise ParameterInvalid(f"Column '{name}' holds a {kind} and cannot be incremented.")
    total = old + delta
    if not INT64_MIN <= total <= INT64_MAX:
        raise ParameterInvalid(f"The increment of column '{name}' goes beyond the range of INTEGER: {old} + {delta}.")
    return total


def _check_defined(defined: dict[str, ColumnType], changes: list[CellChange]) -> None:
    for name, value, _, operation in changes:
        expected = defined.get(name)
        if expected is not None and operation not in _DELETES and type_of(value) is not expected:
            given = getattr(type_of(value), "name", None)
            raise ParameterInvalid(f"Validate column type fail. Column: {name}, Input: {given}, Meta: {expected.name}.")


def _check_index_keys(table: Table, changes: list[CellChange]) -> None:
    for name, value, _, _ in changes:
        if name in table.index_key_names and value is not None and is_too_long(value):
            size_bytes = len(value.encode() if isinstance(value, str) else value)  # type: ignore[arg-type]
            raise ParameterInvalid(
                f"The length of primary key column: '{name}' exceeds the MaxLength:{limits.KEY_VALUE_BYTES_MAX}"
                f" with CurrentLength:{size_bytes}."
            )


def _check_deviation(table: Table, name: str, timestamp_ms: int, now_ms: int) -> None:
    deviation_ms = table.max_deviation_ms
    earliest_ms = now_ms - (deviation_ms if table.ttl_ms is None else min(deviation_ms, table.ttl_ms))
    if not earliest_ms <= timestamp_ms < now_ms + deviation_ms:
        raise ParameterInvalid(
            f"Invalid timestamp. Cell:'{name}', timestamp: {timestamp_ms},"
            f" valid range: [{earliest_ms}, {now_ms + deviation_ms})."
        )
