"""Column conditions as the official SDK encodes them arrive as the model's, whatever their shape."""

from __future__ import annotations

import pytest
import tablestore as ots
from hypothesis import given
from hypothesis import strategies as st
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.metadata import CastType, RegexRule
from tablestore.protobuf import table_store_filter_pb2 as sdk

from lutra.kernels.plainbuffer import encode_variant
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
from lutra.model.values import INF_MAX, INT64_MAX, INT64_MIN, ColumnType, Value
from lutra.server.protocol.filter_messages import parse_filter
from lutra.server.wire import filter_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")
COMPARATORS = [c for c in Comparator if c not in (Comparator.EXIST, Comparator.NOT_EXIST)]

_names = st.text(min_size=1, max_size=8)
_values = (
    st.integers(INT64_MIN, INT64_MAX)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
_singles = st.builds(SingleColumn, st.sampled_from(COMPARATORS), _names, _values, st.booleans(), st.booleans())


def _composites(parts: st.SearchStrategy[ColumnCondition]) -> st.SearchStrategy[ColumnCondition]:
    pairs = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(Composite, st.sampled_from([LogicalOperator.AND, LogicalOperator.OR]), pairs) | st.builds(
        Composite, st.just(LogicalOperator.NOT), st.tuples(parts)
    )


conditions = st.recursive(_singles, _composites, max_leaves=8)


def sdk_condition(condition: ColumnCondition) -> ots.ColumnCondition:
    """The same condition in the SDK's terms."""
    if isinstance(condition, Composite):
        composite = ots.CompositeColumnCondition(condition.operator.value - 1)
        for part in condition.parts:
            composite.add_sub_condition(sdk_condition(part))
        return composite
    assert isinstance(condition, SingleColumn)
    value = bytearray(condition.value) if isinstance(condition.value, bytes) else condition.value
    return ots.SingleColumnCondition(
        condition.column,
        value,
        condition.comparator.value - 1,
        condition.pass_if_missing,
        condition.latest_version_only,
    )


def encoded(condition: ots.ColumnCondition) -> bytes:
    message = sdk.Filter()
    ENCODER._make_column_condition(message, condition)
    return message.SerializeToString()


@given(conditions)
def test_any_condition_of_the_sdk(condition: ColumnCondition) -> None:
    assert parse_filter(encoded(sdk_condition(condition))) == condition


def test_a_regular_expression_with_a_cast() -> None:
    rule = RegexRule("t1:([0-9]+)", CastType.VT_INTEGER)
    condition = ots.SingleColumnRegexCondition("text", ots.ComparatorType.GREATER_THAN, 7, rule)
    assert parse_filter(encoded(condition)) == SingleColumn(
        Comparator.GREATER_THAN,
        "text",
        7,
        pass_if_missing=False,
        transfer=ValueTransfer("t1:([0-9]+)", ColumnType.INTEGER),
    )


def single(comparator: int = 1, value: bytes = encode_variant(1), **changes: object) -> bytes:
    leaf = wire.SingleColumnValueFilter(
        comparator=comparator,
        column_name="c",
        column_value=value,
        filter_if_missing=False,
        latest_version_only=True,
        **changes,
    )
    return whole(wire.FILTER_TYPE_SINGLE_COLUMN_VALUE, leaf.SerializeToString())


def whole(kind: int, body: bytes) -> bytes:
    return wire.Filter(type=kind, filter=body).SerializeToString()


def composite(operator: int, *parts: bytes) -> bytes:
    body = wire.CompositeColumnValueFilter(
        combinator=operator,
        sub_filters=[wire.Filter.FromString(part) for part in parts],
    )
    return whole(wire.FILTER_TYPE_COMPOSITE_COLUMN_VALUE, body.SerializeToString())


def pagination(offset: int, limit: int) -> bytes:
    body = wire.ColumnPaginationFilter(offset=offset, limit=limit)
    return whole(wire.FILTER_TYPE_COLUMN_PAGINATION, body.SerializeToString())


@pytest.mark.parametrize("comparator", [Comparator.EXIST, Comparator.NOT_EXIST])
def test_existence_needs_no_value(comparator: Comparator) -> None:
    for value in (b"", encode_variant("whatever")):
        assert parse_filter(single(comparator, value)) == SingleColumn(comparator, "c", None)


def test_pagination() -> None:
    assert parse_filter(pagination(0, 5)) == ColumnPagination(0, 5)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x01", "Deserialize filter failed."),
        (b"", "Deserialize filter failed."),
        (whole(9, b""), "Invalid type of filter: 9."),
        (whole(1, b"\xff"), "Deserialize relation filter failed."),
        (whole(2, b"\xff"), "Deserialize composite filter failed."),
        (whole(3, b"\xff"), "Deserialize column pagination filter failed."),
        (single(comparator=17), "Invalid relation operator: 17."),
        (single(value=b"\xfe"), ""),
        (single(value=encode_variant(INF_MAX)), "The value of a filter must be"),
        (single(value=b"\x06"), "The value of a filter must be"),
        (composite(9, single(), single()), "Invalid logical operator: 9."),
        (composite(LogicalOperator.NOT, single(), single()), "Invalid NOT operator"),
        (
            composite(LogicalOperator.AND, single()),
            "Invalid AND/OR operator: the number of sub-filters must be more than 1.",
        ),
        (composite(LogicalOperator.OR), "Invalid AND/OR operator"),
        (pagination(-1, 5), "Offset in ColumnPaginationFilter must be greater than or equal to 0."),
        (pagination(0, 0), "Limit in ColumnPaginationFilter must be greater than 0."),
        (single(value_trans_rule=wire.ValueTransferRule(regex="a", cast_type=6)), "Invalid cast type"),
    ],
)
def test_malformed_conditions(data: bytes, complaint: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_filter(data)
    assert complaint in str(caught.value)


def test_too_many_nodes() -> None:
    most = composite(LogicalOperator.AND, *[single()] * (limits.FILTER_NODES_MAX - 1))
    assert isinstance(parse_filter(most), Composite)
    with pytest.raises(ParameterInvalid, match=r"The count of filter exceeds the max: 32\."):
        parse_filter(composite(LogicalOperator.AND, *[single()] * limits.FILTER_NODES_MAX))


def test_nodes_are_counted_before_any_is_looked_at() -> None:
    """The same tree has a NOT of two, an AND of one, and a leaf that is none."""
    wrong = composite(LogicalOperator.NOT, composite(LogicalOperator.AND, whole(9, b"")), single())
    with pytest.raises(ParameterInvalid, match=r"^Invalid NOT operator: the number of sub-filters must be 1\.$"):
        parse_filter(wrong)
    with pytest.raises(ParameterInvalid, match=r"^The count of filter exceeds the max: 32\.$"):
        parse_filter(composite(LogicalOperator.NOT, wrong, *[single()] * 28))


def test_too_deep() -> None:
    data = single()
    for _ in range(5_000):
        data = composite(LogicalOperator.NOT, data)
    with pytest.raises(ParameterInvalid, match="The count of filter exceeds the max"):
        parse_filter(data)


def test_values_keep_their_type() -> None:
    for value in (True, 1, 1.0, "1", b"1"):
        parsed = parse_filter(single(value=encode_variant(value)))
        assert isinstance(parsed, SingleColumn)
        kept: Value | None = parsed.value
        assert (type(kept), kept) == (type(value), value)
