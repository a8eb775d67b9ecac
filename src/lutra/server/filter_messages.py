"""Conditions on columns: the protocol's Filter, bytes within bytes, to `lutra.model.conditions`."""

from __future__ import annotations

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
from lutra.server.parsing import enum_of, parse, parse_value
from lutra.server.wire import filter_pb2 as wire

_CAST_TYPES = {
    wire.VARIANT_TYPE_INTEGER: ColumnType.INTEGER,
    wire.VARIANT_TYPE_DOUBLE: ColumnType.DOUBLE,
    wire.VARIANT_TYPE_STRING: ColumnType.STRING,
}


def parse_filter(data: bytes) -> ColumnCondition:
    """The condition in ``data``. Raises ParameterInvalid where it is malformed, too deep, or has too many nodes."""
    return _Reader().read(parse(wire.Filter, data, "Deserialize filter failed."), depth=1)


class _Reader:
    """Reads one tree and counts its nodes, so that a small request cannot ask for endless work."""

    def __init__(self) -> None:
        self._nodes = 0

    def read(self, message: wire.Filter, depth: int) -> ColumnCondition:
        self._nodes += 1
        if self._nodes > limits.FILTER_NODES_MAX:
            raise ParameterInvalid(f"The count of filter exceeds the max: {limits.FILTER_NODES_MAX}.")
        if depth > limits.FILTER_DEPTH_MAX:
            raise ParameterInvalid(f"The depth of filter exceeds the max: {limits.FILTER_DEPTH_MAX}.")
        if message.type == wire.FILTER_TYPE_SINGLE_COLUMN_VALUE:
            return _single(message.filter)
        if message.type == wire.FILTER_TYPE_COMPOSITE_COLUMN_VALUE:
            return self._composite(message.filter, depth)
        if message.type == wire.FILTER_TYPE_COLUMN_PAGINATION:
            return _pagination(message.filter)
        raise ParameterInvalid(f"Invalid type of filter: {message.type}.")

    def _composite(self, data: bytes, depth: int) -> Composite:
        message = parse(wire.CompositeColumnValueFilter, data, "Deserialize composite filter failed.")
        operator = enum_of(LogicalOperator, message.combinator, "logical operator")
        count = len(message.sub_filters)
        if operator is LogicalOperator.NOT and count != 1:
            raise ParameterInvalid("Invalid NOT operator: the number of sub-filters must be 1.")
        if operator is not LogicalOperator.NOT and count < 2:
            raise ParameterInvalid("Invalid AND/OR operator: the number of sub-filters must be 2 or more.")
        return Composite(operator, tuple(self.read(part, depth + 1) for part in message.sub_filters))


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
