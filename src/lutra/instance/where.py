"""A filter expression as the store takes it: a query of a search index, or a condition on a row's columns.

Both mean the same of the same row; what each cannot say is refused. A search sees indexed fields and key columns; a
condition (scans, guarded writes) sees every column that is not an array.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from lutra.instance.expression import (
    And,
    Between,
    Comparison,
    Expression,
    Not,
    OneOf,
    Operator,
    Or,
    Present,
    StartsWith,
)
from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.model import limits
from lutra.model.conditions import ColumnCondition, Comparator, Composite, LogicalOperator, SingleColumn
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Bool, Exists, MatchAll, Prefix, Query, Range, Term, Terms
from lutra.model.values import Value

_COMPARATORS: Final = {
    Operator.EQUAL: Comparator.EQUAL,
    Operator.LESS_THAN: Comparator.LESS_THAN,
    Operator.LESS_EQUAL: Comparator.LESS_EQUAL,
    Operator.GREATER_THAN: Comparator.GREATER_THAN,
    Operator.GREATER_EQUAL: Comparator.GREATER_EQUAL,
}
_NOTHING: Final = Bool(must_not=(MatchAll(),))


def to_query(expression: Expression, layout: Layout) -> Query:
    """The query whose matches satisfy ``expression``. Raises ParameterInvalid."""
    _check(expression)
    return _query(expression, layout, limits.QUERY_DEPTH_MAX)


def to_condition(expression: Expression, layout: Layout) -> ColumnCondition:
    """The condition that holds of the rows that satisfy ``expression``. Raises ParameterInvalid."""
    _check(expression)
    condition = _condition(expression, layout, limits.FILTER_DEPTH_MAX)
    if (nodes := _nodes(condition)) > limits.FILTER_NODES_MAX:
        raise ParameterInvalid(
            f"where has {nodes} parts, each value of is_in() among them: without an index a row is held against "
            f"{limits.FILTER_NODES_MAX} at most. Ask search(where=...), or get_many() for rows by their keys"
        )
    return condition


def _nodes(condition: ColumnCondition) -> int:
    """As the table counts them: each comparison, and each that joins some."""
    return 1 + sum(map(_nodes, condition.parts)) if isinstance(condition, Composite) else 1


def sortable(column: str, layout: Layout) -> str:
    """``column``, checked to be one that a search can sort by. Raises ParameterInvalid."""
    return _scalar(_searched(column, layout), what="sorting").name


def _query(expression: Expression, layout: Layout, depth_left: int) -> Query:
    if depth_left == 0:
        raise ParameterInvalid(f"the filter is nested deeper than {limits.QUERY_DEPTH_MAX} levels")
    match expression:
        case And(parts):
            return Bool(filter=tuple(_query(part, layout, depth_left - 1) for part in parts))
        case Or(parts):
            return Bool(should=tuple(_query(part, layout, depth_left - 1) for part in parts), minimum_should_match=1)
        case Not(part):
            return Bool(must_not=(_query(part, layout, depth_left - 1),))
        case Present(column):
            return Exists(_searched(column, layout).name)
        case StartsWith(column, prefix):
            field = _scalar(_searched(column, layout), {Kind.STR}, "starts_with")
            return Prefix(field.name, prefix) if prefix else Exists(field.name)
        case OneOf(column, values):
            field = _scalar(_searched(column, layout))
            return Terms(field.name, _operands(field, values)) if values else _NOTHING
        case Between(column, low, high):
            field = _ordered(_searched(column, layout))
            return Range(field.name, field.operand(low), field.operand(high))
        case Comparison(column, Operator.EQUAL, value):
            field = _scalar(_searched(column, layout))
            return Term(field.name, field.operand(value))
        case Comparison(column, operator, value):
            return _range(_ordered(_searched(column, layout)), operator, value)
    raise ParameterInvalid(f"not a filter expression: {expression!r}")


def _range(field: Field, operator: Operator, value: object) -> Range:
    bound = field.operand(value)
    if operator in (Operator.GREATER_THAN, Operator.GREATER_EQUAL):
        return Range(field.name, lower=bound, include_lower=operator is Operator.GREATER_EQUAL)
    return Range(field.name, upper=bound, include_upper=operator is Operator.LESS_EQUAL)


def _condition(expression: Expression, layout: Layout, depth_left: int) -> ColumnCondition:
    if depth_left == 0:
        raise ParameterInvalid(f"the filter is nested deeper than {limits.FILTER_DEPTH_MAX} levels")
    match expression:
        case And(parts):
            return _all(_condition(part, layout, depth_left - 1) for part in parts)
        case Or(parts):
            return _any(_condition(part, layout, depth_left - 1) for part in parts)
        case Not(part):
            return Composite(LogicalOperator.NOT, (_condition(part, layout, depth_left - 1),))
        case Present(column):
            return _exists(_column_name(column, layout))
        case StartsWith(column, prefix):
            return _prefix_condition(_column_name(column, layout, {Kind.STR}, "starts_with"), prefix)
        case OneOf(column, values):
            name = _column_name(column, layout, _SCALARS)
            if not values:
                return _all((_exists(name), _single(Comparator.NOT_EXIST, name, None)))
            return _any(_single(Comparator.EQUAL, name, _operand(name, value, layout)) for value in values)
        case Between(column, low, high):
            name = _column_name(column, layout, _ORDERED)
            return _all(
                (
                    _single(Comparator.GREATER_EQUAL, name, _operand(name, low, layout)),
                    _single(Comparator.LESS_EQUAL, name, _operand(name, high, layout)),
                )
            )
        case Comparison(column, operator, value):
            name = _column_name(column, layout, _SCALARS if operator is Operator.EQUAL else _ORDERED)
            return _single(_COMPARATORS[operator], name, _operand(name, value, layout))
    raise ParameterInvalid(f"not a filter expression: {expression!r}")


_SCALARS: Final = {Kind.STR, Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.BYTES, Kind.DATETIME}
_ORDERED: Final = _SCALARS - {Kind.BOOL}


def _single(comparator: Comparator, column: str, value: Value | None) -> SingleColumn:
    return SingleColumn(comparator, column, value, pass_if_missing=False)


def _exists(column: str) -> SingleColumn:
    return _single(Comparator.EXIST, column, None)


def _all(parts: Iterable[ColumnCondition]) -> ColumnCondition:
    return Composite(LogicalOperator.AND, tuple(parts))


def _any(parts: Iterable[ColumnCondition]) -> ColumnCondition:
    alternatives = tuple(parts)
    if len(alternatives) == 1:
        return alternatives[0]
    return Composite(LogicalOperator.OR, alternatives)


def _prefix_condition(column: str, prefix: str) -> ColumnCondition:
    at_least = _single(Comparator.GREATER_EQUAL, column, prefix)
    end = _prefix_end(prefix)
    return at_least if end is None else _all((at_least, _single(Comparator.LESS_THAN, column, end)))


def _prefix_end(prefix: str) -> str | None:
    """The least text after every text that starts with ``prefix``; None where there is none.

    Strings compare by their UTF-8 bytes, which is the order of code points.
    """
    kept = prefix.rstrip(chr(sys.maxunicode))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    if following == 0xD800:  # no text holds a surrogate
        following = 0xE000
    return kept[:-1] + chr(following)


def _searched(column: str, layout: Layout) -> Field:
    field = layout.field(column)
    if field is None:
        raise ParameterInvalid(layout.unknown(column))
    if not field.indexed:
        raise ParameterInvalid(f"field {column!r} is not indexed, so a search cannot filter or sort by it")
    return field


def _scalar(field: Field, kinds: set[Kind] | None = None, what: str = "a comparison") -> Field:
    if field.kind is Kind.VECTOR or (kinds is not None and field.kind not in kinds):
        raise ParameterInvalid(f"{what} does not apply to field {field.name!r}, which is {field.kind.value}")
    return field


def _ordered(field: Field) -> Field:
    return _scalar(field, _ORDERED, "an ordering comparison")


def _operands(field: Field, values: tuple[object, ...]) -> tuple[Value, ...]:
    if len(values) > limits.TERMS_MAX:
        raise ParameterInvalid(f"is_in() takes at most {limits.TERMS_MAX} values, got {len(values)}")
    return tuple(field.operand(value) for value in values)


def _column_name(column: str, layout: Layout, kinds: set[Kind] | None = None, what: str = "a comparison") -> str:
    field = layout.field(column)
    if field is None and not layout.is_open:
        raise ParameterInvalid(layout.unknown(column))
    if field is not None and kinds is not None:
        if field.is_array:
            raise ParameterInvalid(f"field {column!r} is an array: only a search can filter by it")
        _scalar(field, kinds, what)
    return column


def _operand(column: str, value: object, layout: Layout) -> Value:
    field = layout.field(column) or Field.of_value(column, value)
    return field.operand(value)


def _check(expression: object) -> None:
    if not isinstance(expression, Expression):
        raise ParameterInvalid(
            f"where takes a filter expression such as lutra.col('year') >= 2020, not {type(expression).__name__}"
        )
