"""Conditions on columns, made into a function once and then asked of many rows.

What is compared are the columns a read returns (a filter), or all of a row (a condition of a write), and key columns.
A column that is not among them is missing. Values of different types are not equal and not in order, except that an
INTEGER compares with a DOUBLE by number. Where a transfer rule's pattern does not match, or what it finds cannot be
cast, or the column is no string, the comparison is false.

Patterns are matched by RE2 within bounds (`_Match`): no pattern can keep the server busy.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import re2

from lutra.model import limits
from lutra.model.conditions import (
    ColumnCondition,
    ColumnPagination,
    ColumnTest,
    Comparator,
    Composite,
    LogicalOperator,
    RowTest,
    SingleColumn,
    ValueTransfer,
)
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.names import check_column_name
from lutra.model.rows import Cell, PrimaryKey
from lutra.model.values import INT64_MAX, INT64_MIN, ColumnType, Value, type_of
from lutra.tables.values import check_length

Predicate = Callable[[PrimaryKey, list[Cell]], bool]
"""Whether a row with this key and these cells (by name, newest first) passes."""

REGEX_BYTES_MAX: Final = 256
REGEX_SECONDS_MAX: Final = 2.0
_REGEX_MEMORY_BYTES: Final = 1024 * 1024
_REGEX_SIZE_MAX: Final = 512
_REGEX_STEPS_MAX: Final = 2**26
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBERS: Final = (int, float)

_COMPARE: Final[dict[Comparator, Callable[[Any, Any], bool]]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.NOT_EQUAL: operator.ne,
    Comparator.GREATER_THAN: operator.gt,
    Comparator.GREATER_EQUAL: operator.ge,
    Comparator.LESS_THAN: operator.lt,
    Comparator.LESS_EQUAL: operator.le,
}


def compile_condition(condition: ColumnCondition) -> Predicate:
    """The function of a condition that has no pagination in it. Raises ParameterInvalid where it is not well-formed."""
    _check_size(condition)
    return _compile(condition, _Stopwatch())


def columns_of(condition: ColumnCondition) -> set[str]:
    """The columns that a condition looks at."""
    if isinstance(condition, SingleColumn):
        return {condition.column}
    if isinstance(condition, Composite):
        return set().union(*(columns_of(part) for part in condition.parts))
    return set()


def _check_size(condition: ColumnCondition) -> None:
    """Bounds nodes, and by that depth; without recursion, since depth is what a client would attack with."""
    waiting = [condition]
    count = 0
    while waiting:
        node = waiting.pop()
        count += 1
        if count > limits.FILTER_NODES_MAX:
            raise ParameterInvalid(f"The count of filter exceeds the max: {limits.FILTER_NODES_MAX}.")
        if isinstance(node, Composite):
            waiting += node.parts


def _compile(condition: ColumnCondition, stopwatch: _Stopwatch) -> Predicate:
    if isinstance(condition, SingleColumn):
        return _compile_single(condition, stopwatch)
    if isinstance(condition, ColumnTest):
        return _compile_test(condition)
    if isinstance(condition, RowTest):
        passes = condition.passes
        return lambda key, cells: passes(cells)
    if isinstance(condition, Composite):
        return _compile_composite(condition, stopwatch)
    raise ParameterInvalid("A column pagination can neither guard a write nor be part of another filter.")


def _compile_composite(condition: Composite, stopwatch: _Stopwatch) -> Predicate:
    parts = [_compile(part, stopwatch) for part in condition.parts]
    if condition.operator is LogicalOperator.NOT:
        if len(parts) != 1:
            raise ParameterInvalid("Invalid NOT operator: the number of sub-filters must be 1.")
        part = parts[0]
        return lambda key, cells: not part(key, cells)
    if len(parts) < 2:
        raise ParameterInvalid("Invalid AND/OR operator: the number of sub-filters must be more than 1.")
    if condition.operator is LogicalOperator.AND:
        return lambda key, cells: all(part(key, cells) for part in parts)
    return lambda key, cells: any(part(key, cells) for part in parts)


def _compile_single(condition: SingleColumn, stopwatch: _Stopwatch) -> Predicate:
    check_column_name(condition.column)
    passes = _compile_comparison(condition, stopwatch)
    name = condition.column
    newest_only = condition.latest_version_only
    if_missing = condition.pass_if_missing
    if condition.comparator is Comparator.EXIST:
        if_missing = False
    elif condition.comparator is Comparator.NOT_EXIST:
        if_missing = True

    def predicate(key: PrimaryKey, cells: list[Cell]) -> bool:
        found = False
        for cell in cells:
            if cell[0] == name:
                if passes(cell[1]):
                    return True
                if newest_only:
                    return False
                found = True
        if found:
            return False
        for key_name, key_value in key:
            if key_name == name:
                return passes(key_value)
        return if_missing

    return predicate


def _compile_test(condition: ColumnTest) -> Predicate:
    name, passes = condition.column, condition.passes

    def predicate(key: PrimaryKey, cells: list[Cell]) -> bool:
        for cell in cells:
            if cell[0] == name:
                return passes(cell[1])
        return any(passes(key_value) for key_name, key_value in key if key_name == name)

    return predicate


def _compile_comparison(condition: SingleColumn, stopwatch: _Stopwatch) -> Callable[[Value], bool]:
    if condition.comparator is Comparator.EXIST:
        return lambda value: True
    if condition.comparator is Comparator.NOT_EXIST:
        return lambda value: False
    expected = condition.value
    if type_of(expected) is None:
        raise ParameterInvalid(f"No value is given to compare column '{condition.column}' with.")
    if isinstance(expected, str | bytes):
        check_length(condition.column, expected)
    compare = _COMPARE[condition.comparator]
    types = _NUMBERS if type(expected) in _NUMBERS else (type(expected),)
    if_different = condition.comparator is Comparator.NOT_EQUAL

    def passes(value: Value | None) -> bool:
        return compare(value, expected) if type(value) in types else if_different

    if condition.transfer is None:
        return passes
    transfer = _compile_transfer(condition.transfer, stopwatch)

    def transferred_passes(value: Value) -> bool:
        transferred = transfer(value)
        return transferred is not None and passes(transferred)

    return transferred_passes


def _compile_transfer(rule: ValueTransfer, stopwatch: _Stopwatch) -> Callable[[Value], Value | None]:
    if rule.cast not in (ColumnType.STRING, ColumnType.INTEGER, ColumnType.DOUBLE):
        raise ParameterInvalid(f"A value cannot be transferred to {rule.cast.name}: STRING, INTEGER or DOUBLE can.")
    match = _Match(rule.regex, stopwatch)

    def transfer(value: Value) -> Value | None:
        text = match.first_group(value) if type(value) is str else None
        if text is None or rule.cast is ColumnType.STRING:
            return text
        return _integer(text) if rule.cast is ColumnType.INTEGER else _double(text)

    return transfer


class _Stopwatch:
    """How long all patterns of one request have been matching."""

    __slots__ = ("spent_s",)

    def __init__(self) -> None:
        self.spent_s = 0.0


class _Match:
    """One pattern during one request.

    RE2 is linear in the text, but by a factor that grows with the pattern: bounded in length, in size once compiled, in
    the product of size and text, and in the time of all matches together.
    """

    def __init__(self, regex: str, stopwatch: _Stopwatch) -> None:
        """Raises ParameterInvalid."""
        if len(regex.encode(errors="surrogatepass")) > REGEX_BYTES_MAX:
            raise ParameterInvalid(f"A regular expression of a filter has at most {REGEX_BYTES_MAX} bytes.")
        options = re2.Options()
        options.max_mem = _REGEX_MEMORY_BYTES
        options.log_errors = False
        self._shown = regex.encode(errors="replace").decode()
        try:
            self._pattern = re2.compile(regex, options)
        except (re2.error, UnicodeEncodeError) as error:
            reason = error.args[0].decode(errors="replace") if isinstance(error, re2.error) else "it is not UTF-8"
            raise ParameterInvalid(f"The regular expression '{self._shown}' is not valid: {reason}.") from error
        if self._pattern.groups < 1:
            raise ParameterInvalid(f"The regular expression '{self._shown}' has no group to take the value from.")
        if self._pattern.programsize > _REGEX_SIZE_MAX:
            raise ParameterInvalid(f"The regular expression '{self._shown}' repeats too much.")
        self._stopwatch = stopwatch

    def first_group(self, text: str) -> str | None:
        """What the first group finds, or None. Raises ParameterInvalid, RequestTimeout."""
        if self._pattern.programsize * len(text) > _REGEX_STEPS_MAX:
            raise ParameterInvalid(f"The regular expression '{self._shown}' is too large for a text of {len(text)}.")
        begun_s = perf_counter()
        match = self._pattern.search(text)
        found: str | None = None if match is None else match.group(1)
        self._stopwatch.spent_s += perf_counter() - begun_s
        if self._stopwatch.spent_s > REGEX_SECONDS_MAX:
            raise RequestTimeout(f"The regular expression '{self._shown}' takes too long; read fewer rows at once.")
        return found


def _integer(text: str) -> int | None:
    if _INTEGER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if INT64_MIN <= number <= INT64_MAX else None


def _double(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def check_pagination(pagination: ColumnPagination) -> None:
    """Raises ParameterInvalid."""
    if pagination.limit <= 0:
        raise ParameterInvalid("Limit in ColumnPaginationFilter must be greater than 0.")
    if pagination.offset < 0:
        raise ParameterInvalid("Offset in ColumnPaginationFilter must be greater than or equal to 0.")
