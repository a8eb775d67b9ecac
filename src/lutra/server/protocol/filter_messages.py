"""Conditions on columns: the protocol's Filter, bytes within bytes, to `lutra.model.conditions`."""

from __future__ import annotations

from dataclasses import dataclass

from lutra.model import limits
from lutra.model.conditions import (
    ColumnCondition,
    ColumnPagination,
    Comparator,
    Composite,
    LogicalOperator,
    SingleColumn,
    ValueTransfer,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.values import ColumnType
from lutra.server.protocol.parsing import enum_of, parse, parse_value
from lutra.server.wire import filter_pb2 as wire

_CAST_TYPES = {
    wire.VARIANT_TYPE_INTEGER: ColumnType.INTEGER,
    wire.VARIANT_TYPE_DOUBLE: ColumnType.DOUBLE,
    wire.VARIANT_TYPE_STRING: ColumnType.STRING,
}


def parse_filter(data: bytes) -> ColumnCondition:
    """The condition in ``data``. Raises ParameterInvalid where it is malformed or has too many nodes."""
    return _condition(_opened(data))


@dataclass(slots=True)
class _Node:
    """One filter, and where it is composite what that holds."""

    message: wire.Filter
    composite: wire.CompositeColumnValueFilter | None
    parts: list[_Node]


def _opened(data: bytes) -> _Node:
    """The tree, all of whose nodes are counted before any is looked at: a small request cannot ask for endless work."""
    root = _node(parse(wire.Filter, data, "Deserialize filter failed."))
    waiting = [root]
    count = 1
    while waiting:
        node = waiting.pop()
        if node.composite is None:
            continue
        count += len(node.composite.sub_filters)
        if count > limits.FILTER_NODES_MAX:
            raise ParameterInvalid(f"The count of filter exceeds the max: {limits.FILTER_NODES_MAX}.")
        node.parts = [_node(part) for part in node.composite.sub_filters]
        waiting += node.parts
    return root


def _node(message: wire.Filter) -> _Node:
    composite = None
    if message.type == wire.FILTER_TYPE_COMPOSITE_COLUMN_VALUE:
        composite = parse(wire.CompositeColumnValueFilter, message.filter, "Deserialize composite filter failed.")
    return _Node(message, composite, [])


def _condition(node: _Node) -> ColumnCondition:
    message = node.message
    if node.composite is not None:
        return _composite(node.composite, node.parts)
    if message.type == wire.FILTER_TYPE_SINGLE_COLUMN_VALUE:
        return _single(message.filter)
    if message.type == wire.FILTER_TYPE_COLUMN_PAGINATION:
        return _pagination(message.filter)
    raise ParameterInvalid(f"Invalid type of filter: {message.type}.")


def _composite(message: wire.CompositeColumnValueFilter, parts: list[_Node]) -> Composite:
    operator = enum_of(LogicalOperator, message.combinator, "logical operator")
    if operator is LogicalOperator.NOT and len(parts) != 1:
        raise ParameterInvalid("Invalid NOT operator: the number of sub-filters must be 1.")
    if operator is not LogicalOperator.NOT and len(parts) < 2:
        raise ParameterInvalid("Invalid AND/OR operator: the number of sub-filters must be more than 1.")
    return Composite(operator, tuple(map(_condition, parts)))


def _single(data: bytes) -> SingleColumn:
    message = parse(wire.SingleColumnValueFilter, data, "Deserialize relation filter failed.")
    comparator = enum_of(Comparator, message.comparator, "relation operator")
    # SDKs send some value with EXIST and NOT_EXIST too; it means nothing there.
    has_value = comparator not in (Comparator.EXIST, Comparator.NOT_EXIST)
    transfer = None
    if message.HasField("value_trans_rule"):
        rule = message.value_trans_rule
        if rule.cast_type not in _CAST_TYPES:
            raise ParameterInvalid(f"Invalid cast type of value transfer rule: {rule.cast_type}.")
        # Without a cast the text is compared as it is.
        cast = _CAST_TYPES[rule.cast_type] if rule.HasField("cast_type") else ColumnType.STRING
        transfer = ValueTransfer(rule.regex, cast)
    return SingleColumn(
        comparator=comparator,
        column=message.column_name,
        value=parse_value(message.column_value, "The value of a filter") if has_value else None,
        pass_if_missing=not message.filter_if_missing,
        latest_version_only=message.latest_version_only,
        transfer=transfer,
    )


def _pagination(data: bytes) -> ColumnPagination:
    message = parse(wire.ColumnPaginationFilter, data, "Deserialize column pagination filter failed.")
    if message.offset < 0:
        raise ParameterInvalid("Offset in ColumnPaginationFilter must be greater than or equal to 0.")
    if message.limit <= 0:
        raise ParameterInvalid("Limit in ColumnPaginationFilter must be greater than 0.")
    return ColumnPagination(offset=message.offset, limit=message.limit)
