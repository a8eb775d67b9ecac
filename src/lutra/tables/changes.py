"""What is wrong with a change of a row in itself, whatever its table.

Texts are the service's own where its documentation gives them.
"""

from __future__ import annotations

from math import isfinite, isnan
from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.names import check_column_name, is_column_name
from lutra.model.rows import CellChange, CellOperation, ChangeKind, ReturnType, RowChange, RowExistence
from lutra.model.values import INT64_MAX, INT64_MIN, Value
from lutra.tables.filters import compile_condition
from lutra.tables.keys import check_key
from lutra.tables.values import SURELY_SHORT, check_length

_TIMESTAMP_MS_END: Final = INT64_MAX // 1_000
_DELETES: Final = frozenset({CellOperation.DELETE_ALL, CellOperation.DELETE_ONE})


def check_change(change: RowChange) -> None:
    """Raises ParameterInvalid where no table can take it."""
    check_key(change.key)
    check_cells(change)
    if change.condition.columns is not None:
        compile_condition(change.condition.columns)


def check_repeated(change: RowChange) -> None:
    """Raises ParameterInvalid where a batch that changes a row several times cannot have this one among them."""
    if change.condition.existence is not RowExistence.IGNORE:
        raise ParameterInvalid("Repeated rows do not support row exist expectation check in BatchModify.")
    if change.condition.columns is not None:
        raise ParameterInvalid("Repeated rows do not support row condition check in BatchModify.")


def check_total(size_bytes: int, operation: str) -> None:
    """Raises ParameterInvalid where the changes of a request bring more than one may, as `measure_row` counts them."""
    if size_bytes > limits.WRITE_BYTES_MAX:
        raise ParameterInvalid(
            f"The total data size of {operation} request exceeds the limit, limit size: {limits.WRITE_BYTES_MAX},"
            f" data size: {size_bytes}."
        )


def check_cells(change: RowChange) -> None:
    """As `check_change`, but for the key and the condition. Each write goes through it: lean."""
    if len(change.cells) > limits.COLUMNS_PER_WRITE_MAX:
        raise ParameterInvalid(
            "The number of attribute columns exceeds the limit, limit count:"
            f" {limits.COLUMNS_PER_WRITE_MAX}, column count: {len(change.cells)}."
        )
    if change.kind is ChangeKind.PUT:
        _check_put(change.cells)
    elif change.kind is ChangeKind.UPDATE:
        _check_update(change.cells)
    elif change.cells:
        raise ParameterInvalid("Invalid delete row request: unexpected cells in request.")
    if change.return_type is ReturnType.AFTER_MODIFY:
        _check_return(change)


def incremented(changes: list[CellChange]) -> list[str]:
    """The columns that an UpdateRow increments."""
    return [change[0] for change in changes if change[3] == CellOperation.INCREMENT]


def only_deletes(changes: list[CellChange]) -> bool:
    """Such an UpdateRow does not make a row that is not there."""
    return all(change[3] in _DELETES for change in changes)


def _check_put(changes: list[CellChange]) -> None:
    for name, value, timestamp_ms, operation in changes:
        if operation:
            raise ParameterInvalid(f"OpType cannot be given for column name:'{name}' in PutRow.")
        if not is_column_name(name):
            check_column_name(name)
        kind = type(value)
        if kind is not str or len(value) > SURELY_SHORT:  # type: ignore[arg-type]
            _check_value(name, value)
        if timestamp_ms is not None:
            _check_timestamp(timestamp_ms)


def _check_update(changes: list[CellChange]) -> None:
    if not changes:
        raise ParameterInvalid("Attribute column is missing.")
    for name, value, timestamp_ms, operation in changes:
        check_column_name(name)
        if operation == CellOperation.PUT:
            _check_value(name, value)
            if timestamp_ms is not None:
                _check_timestamp(timestamp_ms)
        elif operation == CellOperation.INCREMENT:
            if type(value) is not int:
                raise ParameterInvalid(f"The increment of column '{name}' must be an INTEGER.")
            _check_value(name, value)
            if timestamp_ms is not None:
                raise ParameterInvalid(f"Timestamp cannot be given for the increment of column '{name}'.")
        elif operation in _DELETES:
            _check_delete(value, timestamp_ms, operation)
        else:
            raise ParameterInvalid(f"Invalid op type of cell: {operation}.")


def _check_value(name: str, value: Value | None) -> None:
    kind = type(value)
    if kind is str or kind is bytes:
        check_length(name, value)  # type: ignore[arg-type]
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


def _check_timestamp(timestamp_ms: int) -> None:
    if type(timestamp_ms) is not int or not 0 <= timestamp_ms < _TIMESTAMP_MS_END:
        raise ParameterInvalid("Timestamp must be in range [0, INT64_MAX/1000).")


def _check_delete(value: Value | None, timestamp_ms: int | None, operation: int) -> None:
    if value is not None:
        raise ParameterInvalid("Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.")
    if operation == CellOperation.DELETE_ALL:
        if timestamp_ms is not None:
            raise ParameterInvalid("Timestamp cannot be given when type is DELETE_ALL_VERSION.")
    elif timestamp_ms is None:
        raise ParameterInvalid("Timestamp must be given when type is DELETE_ONE_VERSION.")
    else:
        _check_timestamp(timestamp_ms)


def _check_return(change: RowChange) -> None:
    others = set(change.return_columns).difference(incremented(change.cells))
    if others:
        raise ParameterInvalid(f"Column '{min(others)}' cannot be returned after modify: it is not incremented.")
