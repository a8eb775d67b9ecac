"""What a PutRow or UpdateRow does to the cells of a row: checked first, then applied.

Texts are the service's own where its documentation gives them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import isfinite, isnan
from operator import itemgetter
from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.rows import Cell, CellChange, CellOperation
from lutra.model.values import INT64_MAX, INT64_MIN, ColumnType, Value, type_of
from lutra.tables.storedrow import newest
from lutra.tables.table import Table

_TIMESTAMP_MS_MAX: Final = INT64_MAX // 1_000
_NAME: Final = itemgetter(0)
_DELETES: Final = frozenset({CellOperation.DELETE_ALL, CellOperation.DELETE_ONE})
# A str of this many characters is within the limit in any encoding.
_SURELY_SHORT: Final = limits.COLUMN_VALUE_BYTES_MAX // 4


def cells_of_put(table: Table, changes: list[CellChange], now_ms: int) -> list[Cell]:
    """The cells of a row put anew, ordered as they are stored. Raises ParameterInvalid."""
    _check_count(changes)
    cells: list[Cell] = []
    for name, value, timestamp_ms, operation in changes:
        if operation:
            raise ParameterInvalid(f"OpType cannot be given for column name:'{name}' in PutRow.")
        _check_name(table, name)
        checked = _checked_value(table, name, value)
        if timestamp_ms is None:
            cells.append((name, checked, now_ms))
        else:
            _check_written_timestamp(table, name, timestamp_ms, now_ms)
            cells.append((name, checked, timestamp_ms))
    return _ordered(cells, table.max_versions) if len(cells) > 1 else cells


def check_update(table: Table, changes: list[CellChange], now_ms: int) -> int:
    """Raises ParameterInvalid where an UpdateRow is wrong in itself. Gives the bytes it brings."""
    if not changes:
        raise ParameterInvalid("Attribute column is missing.")
    _check_count(changes)
    size_bytes = 0
    for name, value, timestamp_ms, operation in changes:
        _check_name(table, name)
        size_bytes += len(name) + 8
        if operation == CellOperation.PUT:
            checked = _checked_value(table, name, value)
            size_bytes += size_of(checked)
            if timestamp_ms is not None:
                _check_written_timestamp(table, name, timestamp_ms, now_ms)
        elif operation == CellOperation.INCREMENT:
            if type(value) is not int:
                raise ParameterInvalid(f"The increment of column '{name}' must be an INTEGER.")
            _checked_value(table, name, value)
            if timestamp_ms is not None:
                raise ParameterInvalid(f"Timestamp cannot be given for the increment of column '{name}'.")
        elif operation in _DELETES:
            _check_delete(value, timestamp_ms, operation)
        else:
            raise ParameterInvalid(f"Invalid op type of cell: {operation}.")
    return size_bytes


def only_deletes(changes: list[CellChange]) -> bool:
    """Such an UpdateRow does not make a row that is not there."""
    return all(change[3] in _DELETES for change in changes)


def updated(table: Table, cells: list[Cell], changes: list[CellChange], now_ms: int) -> list[Cell]:
    """The cells of a row after a checked UpdateRow, whose changes apply in their order. Raises ParameterInvalid.

    A put without a timestamp takes the server's time, or that of the newest version where it lies in the future (by a
    client's timestamp, or a clock set back): what is acknowledged is then what is read.
    """
    touched: dict[str, dict[int, Value]] = {change[0]: {} for change in changes}
    kept: list[Cell] = []
    for cell in cells:
        versions = touched.get(cell[0])
        if versions is None:
            kept.append(cell)
        else:
            versions[cell[2]] = cell[1]
    for name, value, timestamp_ms, operation in changes:
        versions = touched[name]
        if operation == CellOperation.PUT:
            assert value is not None
            versions[max(now_ms, *versions, now_ms) if timestamp_ms is None else timestamp_ms] = value
        elif operation == CellOperation.INCREMENT:
            assert type(value) is int
            versions[max(now_ms, *versions, now_ms)] = _incremented(name, versions, value)
        elif operation == CellOperation.DELETE_ALL:
            versions.clear()
        else:
            assert timestamp_ms is not None
            versions.pop(timestamp_ms, None)
    for name, versions in touched.items():
        for timestamp_ms in sorted(versions, reverse=True)[: table.max_versions]:
            kept.append((name, versions[timestamp_ms], timestamp_ms))
    kept.sort(key=_NAME)
    return kept


def newest_of(cells: list[Cell], names: Iterable[str]) -> list[Cell]:
    """The newest version of each named column that is there."""
    wanted = set(names)
    return newest([cell for cell in cells if cell[0] in wanted], 1)


def size_of(value: Value) -> int:
    """Bytes of a value as it counts against a limit."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
    return len(value) if isinstance(value, bytes) else 8


def _incremented(name: str, versions: dict[int, Value], delta: int) -> int:
    old = versions[max(versions)] if versions else 0
    if type(old) is not int:
        kind = getattr(type_of(old), "name", None)
        raise ParameterInvalid(f"Column '{name}' holds a {kind} and cannot be incremented.")
    total = old + delta
    if not INT64_MIN <= total <= INT64_MAX:
        raise ParameterInvalid(f"The increment of column '{name}' goes beyond the range of INTEGER: {old} + {delta}.")
    return total


def _ordered(cells: list[Cell], max_versions: int) -> list[Cell]:
    if len({cell[0] for cell in cells}) == len(cells):
        cells.sort(key=_NAME)
        return cells
    by_version = {(cell[0], -cell[2]): cell for cell in cells}
    return newest([by_version[version] for version in sorted(by_version)], max_versions)


def _check_count(changes: list[CellChange]) -> None:
    if len(changes) > limits.COLUMNS_PER_WRITE_MAX:
        raise ParameterInvalid(
            "The number of attribute columns exceeds the limit, limit count:"
            f"{limits.COLUMNS_PER_WRITE_MAX}, column count: {len(changes)}."
        )


def _check_name(table: Table, name: str) -> None:
    check_column_name(name)
    if name in table.key_names:
        raise ParameterInvalid(f"Duplicated attribute column name with primary key column: '{name}'.")


@lru_cache(maxsize=16_384)
def check_column_name(name: str) -> None:
    """Raises ParameterInvalid where no column can have that name."""
    if limits.NAME_PATTERN.fullmatch(name) is None:
        raise ParameterInvalid(f"Invalid column name: '{name}'.")


def _checked_value(table: Table, name: str, value: Value | None) -> Value:
    kind = type(value)
    if kind is str or kind is bytes:
        if len(value) > _SURELY_SHORT and size_of(value) > limits.COLUMN_VALUE_BYTES_MAX:  # type: ignore[arg-type]
            raise ParameterInvalid(
                f"The length of attribute column: '{name}' exceeded the MaxLength:{limits.COLUMN_VALUE_BYTES_MAX}"
                f" with Current Length:{size_of(value)}."  # type: ignore[arg-type]
            )
    elif kind is int:
        if not INT64_MIN <= value <= INT64_MAX:  # type: ignore[operator]
            raise ParameterInvalid(f"The value of column '{name}' does not fit 64 bits.")
    elif kind is float:
        if not isfinite(value):  # type: ignore[arg-type]
            raise ParameterInvalid(f"{'NaN' if isnan(value) else 'Infinity'} can't be set to double value.")  # type: ignore[arg-type]
    elif kind is not bool:
        if value is None:
            raise ParameterInvalid(f"No value is given for column '{name}'.")
        raise ParameterInvalid(f"A value of type {kind.__name__} cannot be stored in column '{name}'.")
    if table.defined:
        _check_defined(table.defined, name, value)
    return value  # type: ignore[return-value]


def _check_defined(defined: dict[str, ColumnType], name: str, value: Value | None) -> None:
    expected = defined.get(name)
    if expected is not None and type_of(value) is not expected:
        given = getattr(type_of(value), "name", None)
        raise ParameterInvalid(f"Validate column type fail. Column: {name}, Input: {given}, Meta: {expected.name}.")


def _check_written_timestamp(table: Table, name: str, timestamp_ms: int, now_ms: int) -> None:
    if type(timestamp_ms) is not int or not 0 <= timestamp_ms <= _TIMESTAMP_MS_MAX:
        raise ParameterInvalid("Timestamp must be in range [0, INT64_MAX/1000).")
    deviation_ms = table.max_deviation_ms
    earliest_ms = now_ms - (deviation_ms if table.ttl_ms is None else min(deviation_ms, table.ttl_ms))
    if not earliest_ms <= timestamp_ms < now_ms + deviation_ms:
        raise ParameterInvalid(
            f"Invalid timestamp. Cell:'{name}', timestamp: {timestamp_ms},"
            f" valid range: [{earliest_ms}, {now_ms + deviation_ms})."
        )


def _check_delete(value: Value | None, timestamp_ms: int | None, operation: int) -> None:
    if value is not None:
        raise ParameterInvalid("Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.")
    if operation == CellOperation.DELETE_ALL:
        if timestamp_ms is not None:
            raise ParameterInvalid("Timestamp cannot be given when type is DELETE_ALL_VERSION.")
    elif timestamp_ms is None:
        raise ParameterInvalid("Timestamp must be given when type is DELETE_ONE_VERSION.")
    elif not 0 <= timestamp_ms <= _TIMESTAMP_MS_MAX:
        raise ParameterInvalid("Timestamp must be in range [0, INT64_MAX/1000).")
