"""A filter expression as the store takes it: a query of a search index, or a condition on a row's columns.

Both mean the same of the same row: each comparison becomes one query on a field, which a search asks the index and a
condition asks the values of the row (`lutra.scalars.meaning`). What each cannot say is refused. A search sees indexed
fields and key columns; a condition (scans, guarded writes) sees every column.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

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
from lutra.model.conditions import ColumnCondition, ColumnTest, Composite, LogicalOperator
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Bool, Exists, MatchAll, Operand, Prefix, Query, Range, Term, Terms
from lutra.model.values import Value
from lutra.scalars.meaning import FieldQuery, value_test
from lutra.vectors.values import read_vectors

Leaf = Comparison | Between | OneOf | StartsWith | Present

_NOTHING: Final = Bool(must_not=(MatchAll(),))
_SCALARS: Final = {Kind.STR, Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.BYTES, Kind.DATETIME}
_ORDERED: Final = _SCALARS - {Kind.BOOL}
_NUMBERS: Final = (int, float)


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
            f"where has {nodes} parts: without an index a row is held against {limits.FILTER_NODES_MAX} at most. Take "
            "is_in() for several values of one column, or ask search(where=...)"
        )
    return condition


def _nodes(condition: ColumnCondition) -> int:
    """As the table counts them: each comparison, and each that joins some."""
    return 1 + sum(map(_nodes, condition.parts)) if isinstance(condition, Composite) else 1


def sortable(column: str, layout: Layout) -> str:
    """``column``, checked to be one that a search can sort by. Raises ParameterInvalid."""
    field = _searched(column, layout)
    _check_kind(field, _SCALARS, "sorting")
    return field.name


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
        case Comparison() | Between() | OneOf() | StartsWith() | Present():
            query = _field_query(expression, _searched(expression.column, layout))
            return _NOTHING if query is None else query
    raise ParameterInvalid(f"not a filter expression: {expression!r}")


def _condition(expression: Expression, layout: Layout, depth_left: int) -> ColumnCondition:
    if depth_left == 0:
        raise ParameterInvalid(f"the filter is nested deeper than {limits.FILTER_DEPTH_MAX} levels")
    match expression:
        case And(parts):
            return Composite(LogicalOperator.AND, tuple(_condition(part, layout, depth_left - 1) for part in parts))
        case Or(parts):
            return Composite(LogicalOperator.OR, tuple(_condition(part, layout, depth_left - 1) for part in parts))
        case Not(part):
            return Composite(LogicalOperator.NOT, (_condition(part, layout, depth_left - 1),))
        case Comparison() | Between() | OneOf() | StartsWith() | Present():
            field = layout.field(expression.column)
            if field is None and not layout.is_open:
                raise ParameterInvalid(layout.unknown(expression.column))
            return ColumnTest(expression.column, _column_test(expression, None if field is None else field.column))
    raise ParameterInvalid(f"not a filter expression: {expression!r}")


def _field_query(expression: Leaf, field: Field | None) -> FieldQuery | None:
    """The query that ``expression`` is on its field, or on a column that nobody declared; None where nothing matches.

    Raises ParameterInvalid where it makes no sense of such a field.
    """
    name = expression.column

    def operand(value: object) -> Operand:
        return (field or Field.of_value(name, value)).operand(value)

    match expression:
        case Present():
            return Exists(name)
        case StartsWith(_, prefix):
            _check_kind(field, {Kind.STR}, "starts_with")
            return Prefix(name, prefix) if prefix else Exists(name)
        case OneOf(_, values):
            _check_kind(field, _SCALARS, "a comparison")
            if len(values) > limits.TERMS_MAX:
                raise ParameterInvalid(f"is_in() takes at most {limits.TERMS_MAX} values, got {len(values)}")
            return Terms(name, tuple(map(operand, values))) if values else None
        case Comparison(_, Operator.EQUAL, value):
            _check_kind(field, _SCALARS, "a comparison")
            return Term(name, operand(value))
    _check_kind(field, _ORDERED, "an ordering comparison")
    if isinstance(expression, Between):
        return Range(name, operand(expression.low), operand(expression.high))
    bound = operand(expression.value)
    if expression.operator in (Operator.GREATER_THAN, Operator.GREATER_EQUAL):
        return Range(name, lower=bound, include_lower=expression.operator is Operator.GREATER_EQUAL)
    return Range(name, upper=bound, include_upper=expression.operator is Operator.LESS_EQUAL)


def _column_test(expression: Leaf, field: Field | None) -> Callable[[Value], bool]:
    """Whether a value of the column satisfies ``expression``."""
    query = _field_query(expression, field)
    if query is None:
        return lambda value: False
    if field is not None and field.vector is not None:
        dimension = field.vector.dimension
        return lambda value: isinstance(value, str | bytes) and bool(read_vectors([value], dimension)[1][0])
    if field is not None and (field.indexed or field.is_array or field.dates):
        return value_test(field.reader, query)
    return _plain_test(query)


def _plain_test(query: FieldQuery) -> Callable[[Value], bool]:
    """Of a column that no index reads. Values of different types are not equal and not in order, but for numbers."""
    match query:
        case Exists():
            return lambda value: True
        case Prefix(_, prefix):
            return lambda value: isinstance(value, str) and value.startswith(prefix)
        case Term(_, operand):
            return _comparison(operator.eq, operand)
        case Terms(_, operands):
            tests = [_comparison(operator.eq, one) for one in operands]
            return lambda value: any(test(value) for test in tests)
    tests = []
    if query.lower is not None:
        tests.append(_comparison(operator.ge if query.include_lower else operator.gt, query.lower))
    if query.upper is not None:
        tests.append(_comparison(operator.le if query.include_upper else operator.lt, query.upper))
    return lambda value: all(test(value) for test in tests)


def _comparison(compare: Callable[[Any, Any], bool], operand: Operand) -> Callable[[Value], bool]:
    types = _NUMBERS if type(operand) in _NUMBERS else (type(operand),)
    return lambda value: type(value) in types and compare(value, operand)


def _searched(column: str, layout: Layout) -> Field:
    field = layout.field(column)
    if field is None:
        raise ParameterInvalid(layout.unknown(column))
    if not field.indexed:
        raise ParameterInvalid(f"field {column!r} is not indexed, so a search cannot filter or sort by it")
    return field


def _check_kind(field: Field | None, kinds: set[Kind], what: str) -> None:
    if field is None:
        return
    if field.kind not in kinds:
        raise ParameterInvalid(f"{what} does not apply to field {field.name!r}, which is {field.kind.value}")
    if field.dates and Kind.DATETIME not in kinds:
        raise ParameterInvalid(f"{what} does not apply to field {field.name!r}, which holds dates")


def _check(expression: object) -> None:
    if not isinstance(expression, Expression):
        raise ParameterInvalid(
            f"where takes a filter expression such as lutra.col('year') >= 2020, not {type(expression).__name__}"
        )
