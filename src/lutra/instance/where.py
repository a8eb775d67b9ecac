"""A filter expression as the store takes it: a query of a search index, or a condition on a row's columns.

Both mean the same of the same row: each comparison becomes one query on a field, which a search asks the index and a
condition asks the values of the row (`lutra.scalars.meaning`). What each cannot say is refused. A search sees indexed
fields and key columns; a condition (scans, guarded writes) sees every column.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import numpy as np

from lutra.fields.kinds import conversion_of
from lutra.geo.shapes import shape_of
from lutra.geo.values import points_of
from lutra.instance.encoding import decode_json
from lutra.instance.expression import (
    And,
    AnyRecord,
    Area,
    Between,
    Comparison,
    Expression,
    Not,
    OneOf,
    Operator,
    Or,
    Present,
    StartsWith,
    Within,
)
from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.model import limits
from lutra.model.conditions import ColumnCondition, ColumnTest, Composite, LogicalOperator
from lutra.model.errors import ParameterInvalid
from lutra.model.nested import Nested
from lutra.model.queries import Bool, Exists, MatchAll, Operand, Prefix, Query, Range, Term, Terms
from lutra.model.suggestions import suggestion
from lutra.model.values import Value
from lutra.scalars.leaves import SEPARATOR, leaves_of
from lutra.scalars.meaning import FieldQuery, value_test
from lutra.vectors.values import read_vectors

Leaf = Comparison | Between | OneOf | StartsWith | Present

_NOTHING: Final = Bool(must_not=(MatchAll(),))
_SCALARS: Final = {Kind.STR, Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.BYTES, Kind.DATETIME}
_ORDERED: Final = _SCALARS - {Kind.BOOL}
_ONLY_PRESENT: Final = {Kind.GEO, Kind.RECORD, Kind.OBJECT}
_NUMBERS: Final = (int, float)


def _of_column(name: str, field: Field, test: Callable[[Value], bool]) -> ColumnTest:
    """``test`` of the field's values, wherever a row has them."""
    if not field.place:
        return ColumnTest(name, test)
    column, *keys = field.place
    convert = None if keys else conversion_of(field.schema())
    if convert is not None:
        return ColumnTest(column, lambda value: test(convert(value)))
    if field.is_leaf:
        return ColumnTest(column, partial(_any_leaf, f"{'.'.join(keys)}{SEPARATOR}", test))
    return ColumnTest(column, partial(_any_below, tuple(keys), test) if keys else test)


def _any_leaf(path: str, test: Callable[[Value], bool], value: Value) -> bool:
    """Whether an object has a leaf that passes, as an index has its leaves."""
    found = leaves_of(value, is_array=False)
    return found is not None and any(test(leaf.removeprefix(path)) for leaf in found[0] if leaf.startswith(path))


def _has_leaves(path: str, value: Value) -> bool:
    """Whether an object has a leaf at a path, or below it."""
    found = leaves_of(value, is_array=False)
    return found is not None and any(leaf.startswith((f"{path}{SEPARATOR}", f"{path}.")) for leaf in found[0])


def _any_below(keys: tuple[str, ...], test: Callable[[Value], bool], value: Value) -> bool:
    """Whether an object, or one of several, has at ``keys`` a value that passes."""
    found = [decode_json(value) if isinstance(value, str) else value]
    for key in keys:
        objects = [inner for one in found for inner in (one if isinstance(one, list) else [one])]
        found = [one[key] for one in objects if isinstance(one, dict) and one.get(key) is not None]
    return any(test(_as_column(one)) for one in found)


def _as_column(value: Any) -> Value:
    """A value of JSON as a column has it: lists and objects are text there."""
    return json.dumps(value) if isinstance(value, list | dict) else value


class Scope(Protocol):
    """Where columns are looked for by their names: a table, or the records of one of its fields."""

    @property
    def is_open(self) -> bool: ...

    def field(self, name: str) -> Field | None: ...

    def unknown(self, name: object) -> str: ...


class Records:
    """What conditions on one record see: its fields, which an index knows by their path. A `Scope`."""

    is_open = False

    def __init__(self, field: Field) -> None:
        self.path = field.name
        self._fields = {one.name: one for one in field.fields}

    def field(self, name: str) -> Field | None:
        found = self._fields.get(name)
        return None if found is None else replace(found, name=f"{self.path}.{name}")

    def unknown(self, name: object) -> str:
        likely = suggestion(name, self._fields)
        return f"records of {self.path!r} have no field {name!r}: they have {', '.join(self._fields)}{likely}"


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


def columns_read(condition: ColumnCondition) -> set[str]:
    """The columns of a row that a condition of `to_condition` looks at."""
    if isinstance(condition, Composite):
        return set().union(*map(columns_read, condition.parts))
    return {condition.column} if isinstance(condition, ColumnTest) else set()


def _nodes(condition: ColumnCondition) -> int:
    """As the table counts them: each comparison, and each that joins some."""
    return 1 + sum(map(_nodes, condition.parts)) if isinstance(condition, Composite) else 1


def sortable(column: str, layout: Layout) -> str:
    """``column``, checked to be one that a search can sort by. Raises ParameterInvalid."""
    field = searched_field(column, layout)
    _check_kind(field, _SCALARS, "sorting")
    return field.name


def located(column: str, layout: Layout) -> str:
    """``column``, checked to be one of points. Raises ParameterInvalid."""
    return _located(column, layout).name


def _query(expression: Expression, scope: Scope, depth_left: int) -> Query:
    if depth_left == 0:
        raise ParameterInvalid(f"the filter is nested deeper than {limits.QUERY_DEPTH_MAX} levels")
    match expression:
        case And(parts):
            return Bool(filter=tuple(_query(part, scope, depth_left - 1) for part in parts))
        case Or(parts):
            return Bool(should=tuple(_query(part, scope, depth_left - 1) for part in parts), minimum_should_match=1)
        case Not(part):
            return Bool(must_not=(_query(part, scope, depth_left - 1),))
        case Within(column, area):
            return replace(area, field=_located(column, scope).name)
        case AnyRecord(column, condition):
            records = Records(_records(column, scope))
            return Nested(records.path, _query(condition, records, depth_left - 1))
        case Comparison() | Between() | OneOf() | StartsWith() | Present():
            query = _field_query(expression, searched_field(expression.column, scope))
            return _NOTHING if query is None else query
    raise ParameterInvalid(f"not a filter expression: {expression!r}")


def _condition(expression: Expression, scope: Scope, depth_left: int) -> ColumnCondition:
    if depth_left == 0:
        raise ParameterInvalid(f"the filter is nested deeper than {limits.FILTER_DEPTH_MAX} levels")
    match expression:
        case And(parts):
            return Composite(LogicalOperator.AND, tuple(_condition(part, scope, depth_left - 1) for part in parts))
        case Or(parts):
            return Composite(LogicalOperator.OR, tuple(_condition(part, scope, depth_left - 1) for part in parts))
        case Not(part):
            return Composite(LogicalOperator.NOT, (_condition(part, scope, depth_left - 1),))
        case Comparison() | Between() | OneOf() | StartsWith() | Present():
            field = scope.field(expression.column)
            if field is None and not scope.is_open:
                raise ParameterInvalid(scope.unknown(expression.column))
            test = _column_test(expression, None if field is None else field.column)
            if field is not None and field.is_leaf and isinstance(expression, Present):
                return ColumnTest(field.place[0], partial(_has_leaves, ".".join(field.place[1:])))
            return ColumnTest(expression.column, test) if field is None else _of_column(expression.column, field, test)
        case Within(column, area):
            field = _located(column, scope)
            return _of_column(column, field, _area_test(area, field))
        case AnyRecord(column, condition):
            return ColumnTest(column, _record_test(_records(column, scope), condition, depth_left - 1))
    raise ParameterInvalid(f"not a filter expression: {expression!r}")


def _field_query(expression: Leaf, field: Field | None) -> FieldQuery | None:
    """The query that ``expression`` is on its field, or on a column that nobody declared; None where nothing matches.

    Raises ParameterInvalid where it makes no sense of such a field.
    """
    name = expression.column if field is None else field.name

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
    if field is not None and field.kind in _ONLY_PRESENT:  # others were refused
        schema = field.schema()
        return lambda value: bool(points_of(schema, value)) if field.kind is Kind.GEO else bool(_objects(value))
    if field is not None and field.is_array and not field.indexed and not field.dates:
        return partial(_any_element, None if isinstance(query, Exists) else _plain_test(query))
    if field is not None and (field.indexed or field.is_array or field.dates):
        return value_test(field.reader, query)
    return _plain_test(query)


def _any_element(test: Callable[[Value], bool] | None, value: Value) -> bool:
    """Whether a list that no index reads has an element that passes; None: any."""
    elements = decode_json(value) if isinstance(value, str) else None
    return isinstance(elements, list) and any(test is None or test(one) for one in elements if one is not None)


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


def searched_field(column: str, scope: Scope, without: str = "a search cannot filter or sort by it") -> Field:
    """The field that a search looks at. Raises ParameterInvalid where there is none, or it is not indexed: ``without``
    says what cannot be then."""
    field = scope.field(column)
    if field is None:
        raise ParameterInvalid(scope.unknown(column))
    if not field.indexed:
        raise ParameterInvalid(f"field {column!r} is not indexed, so {without}")
    return field


def _located(column: str, scope: Scope) -> Field:
    field = searched_field(column, scope)
    _check_kind(field, {Kind.GEO}, "a place")
    return field


def _area_test(area: Area, field: Field) -> Callable[[Value], bool]:
    """Whether a point of a column's value lies in ``area``. Raises ParameterInvalid."""
    shape, schema = shape_of(area, field.name), field.schema()

    def passes(value: Value) -> bool:
        points = points_of(schema, value)
        if not points:
            return False
        return shape.select(np.array(points, np.float64), np.zeros(len(points), np.int32), 1).count > 0

    return passes


def _records(column: str, scope: Scope) -> Field:
    field = searched_field(column, scope)
    _check_kind(field, {Kind.RECORD}, "any()")
    return field


def _record_test(field: Field, condition: Expression, depth_left: int) -> Callable[[Value], bool]:
    """Whether one of the records of a column's value satisfies ``condition``. Raises ParameterInvalid."""
    holds = _condition(condition, Records(field), depth_left)

    return lambda value: any(_satisfies(holds, record) for record in _objects(value))


def _objects(value: Value) -> list[dict[str, Any]]:
    """Of an array, or the one there is; none where the value is no such text, or has anything else in it."""
    content = decode_json(value) if isinstance(value, str) else None
    objects = [content] if isinstance(content, dict) else content
    if not isinstance(objects, list):
        return []
    given = [one for one in objects if one is not None]
    return given if len(given) <= limits.NESTED_ROWS_MAX and all(isinstance(one, dict) for one in given) else []


def _satisfies(condition: ColumnCondition, record: Mapping[str, Any]) -> bool:
    """Whether a record of JSON does; what it does not have satisfies nothing."""
    match condition:
        case Composite(LogicalOperator.AND, parts):
            return all(_satisfies(part, record) for part in parts)
        case Composite(LogicalOperator.OR, parts):
            return any(_satisfies(part, record) for part in parts)
        case Composite(LogicalOperator.NOT, parts):
            return not any(_satisfies(part, record) for part in parts)
        case ColumnTest(column, passes):
            value = record.get(column)
            return value is not None and passes(_as_column(value))
    raise AssertionError(condition)


def _check_kind(field: Field | None, kinds: set[Kind], what: str) -> None:
    if field is None:
        return
    if field.kind not in kinds:
        hint = ": search(text=...) finds its words" if field.kind is Kind.TEXT else ""
        raise ParameterInvalid(f"{what} does not apply to field {field.name!r}, which is {field.kind.value}{hint}")
    if field.dates and Kind.DATETIME not in kinds:
        raise ParameterInvalid(f"{what} does not apply to field {field.name!r}, which holds dates")


def _check(expression: object) -> None:
    if not isinstance(expression, Expression):
        raise ParameterInvalid(
            f"where takes a filter expression such as lutra.col('year') >= 2020, not {type(expression).__name__}"
        )
