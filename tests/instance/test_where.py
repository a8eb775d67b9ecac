"""A filter means the same in a search, in a scan and in Python."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lutra
from lutra.instance import where as filters
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
from lutra.instance.layout import Layout
from lutra.model.conditions import ColumnCondition, Composite
from lutra.model.errors import ParameterInvalid

UTC = dt.UTC
FIELDS: dict[str, Any] = {
    "text": str,
    "year": int,
    "price": float,
    "ok": bool,
    "at": dt.datetime,
    "tags": list[str],
    "marks": list[int],
    "body": lutra.Stored(str),
    "blob": bytes,
    "embedding": lutra.Vector(2, "euclidean"),
}
# Few values, so that rows share them; texts around the edges of prefixes and of UTF-8's order.
VALUES: dict[str, list[Any]] = {
    "text": ["", "a", "ab", "abc", "b", "\ud7ff", "\ue000", "\U0010ffff", "\U0010ffffa", "é"],
    "year": [-(2**63), -1, 0, 1, 2020, 2**53, 2**53 + 1, 2**63 - 1],
    "price": [-1.5, 0.0, 0.1, 1e300, 2020.0],
    "ok": [True, False],
    "at": [dt.datetime(2020, 1, 1, microsecond=us, tzinfo=UTC) for us in (0, 1, 999_999)],
}
ELEMENTS: dict[str, list[Any]] = {"tags": VALUES["text"], "marks": VALUES["year"]}
COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: lambda a, b: a == b,
    Operator.LESS_THAN: lambda a, b: a < b,
    Operator.LESS_EQUAL: lambda a, b: a <= b,
    Operator.GREATER_THAN: lambda a, b: a > b,
    Operator.GREATER_EQUAL: lambda a, b: a >= b,
}


def holds(expression: Expression, row: dict[str, Any]) -> bool:
    """The meaning of a filter, in plain Python."""

    def any_value(column: str, test: Callable[[Any], bool]) -> bool:
        value = row.get(column)
        values = value if isinstance(value, list) else [] if value is None else [value]
        return any(test(value) for value in values)

    match expression:
        case And(parts):
            return all(holds(part, row) for part in parts)
        case Or(parts):
            return any(holds(part, row) for part in parts)
        case Not(part):
            return not holds(part, row)
        case Present(column):
            return any_value(column, lambda value: True)
        case StartsWith(column, prefix):
            return any_value(column, lambda value: value.startswith(prefix))
        case OneOf(column, values):
            return any_value(column, lambda value: value in values)
        case Between(column, low, high):
            return any_value(column, lambda value: low <= value <= high)
        case Comparison(column, operator, operand):
            return any_value(column, lambda value: COMPARE[operator](value, operand))
    raise AssertionError(expression)


def made_rows(count: int) -> list[dict[str, Any]]:
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {"id": f"{number:03}"}
        row |= {name: chance.choice(values) for name, values in VALUES.items() if chance.random() < 0.8}
        row |= {
            name: chance.choices(values, k=chance.randrange(1, 4))
            for name, values in ELEMENTS.items()
            if chance.random() < 0.8
        }
        rows.append(row)
    return rows


ROWS = made_rows(60)


@pytest.fixture(scope="module")
def table() -> Iterator[lutra.Table]:
    with lutra.connect() as database:
        table = database.create_table("rows", {"id": str}, FIELDS)
        table.put_many(ROWS)
        assert table.count() == len(ROWS)  # which waits until the searches below can see them
        yield table


def comparisons(columns: dict[str, list[Any]]) -> st.SearchStrategy[Expression]:
    def of_column(name: str) -> st.SearchStrategy[Expression]:
        values = st.sampled_from(columns[name])
        choices: list[st.SearchStrategy[Expression]] = [
            st.builds(Comparison, st.just(name), st.just(Operator.EQUAL), values),
            st.builds(OneOf, st.just(name), st.lists(values, max_size=3).map(tuple)),
            st.builds(Present, st.just(name)),
        ]
        if name != "ok":
            choices.append(st.builds(Comparison, st.just(name), st.sampled_from(Operator), values))
            choices.append(st.builds(Between, st.just(name), values, values))
        if name in ("text", "tags"):
            choices.append(st.builds(StartsWith, st.just(name), values))
        return st.one_of(choices)

    return st.sampled_from(sorted(columns)).flatmap(of_column)


def expressions(columns: dict[str, list[Any]]) -> st.SearchStrategy[Expression]:
    return st.recursive(
        comparisons(columns),
        lambda parts: st.one_of(
            parts.map(lambda a: ~a),
            st.tuples(parts, parts).map(lambda ab: ab[0] & ab[1]),
            st.tuples(parts, parts).map(lambda ab: ab[0] | ab[1]),
        ),
        max_leaves=4,
    )


@given(expressions(VALUES | ELEMENTS))
@settings(deadline=None, max_examples=100)
def test_a_search_finds_the_rows_that_python_finds(table: lutra.Table, expression: Expression) -> None:
    found = [row["id"] for row in table.search(where=expression, limit=1_000, columns=[], fresh=False)]
    assert found == [row["id"] for row in ROWS if holds(expression, row)]


@given(expressions(VALUES))
@settings(deadline=None, max_examples=60)
def test_a_scan_finds_the_rows_that_python_finds(table: lutra.Table, expression: Expression) -> None:
    # The protocol allows 32 nodes in a filter.
    if nodes(filters.to_condition(expression, LAYOUT)) <= 32:
        found = [row["id"] for row in table.scan(where=expression, columns=[])]
        assert found == [row["id"] for row in ROWS if holds(expression, row)]


@given(expressions(VALUES | ELEMENTS))
@settings(deadline=None, max_examples=20)
def test_a_vector_search_finds_only_rows_that_pass(table: lutra.Table, expression: Expression) -> None:
    everything = table.search([0.0, 0.0], where=expression, limit=5, fresh=False)
    assert len(everything) == 0, "no row has a vector"


LAYOUT = Layout.declared("rows", {"id": str}, FIELDS)
year, text = lutra.col("year"), lutra.col("text")


def nodes(condition: ColumnCondition) -> int:
    return 1 + sum(nodes(part) for part in condition.parts) if isinstance(condition, Composite) else 1


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (lutra.col("color") == 1, "has no column 'color': it has id, text"),
        (year == "2020", "field 'year': expected int, got str '2020'"),
        (year >= 2020.5, "expected int, got float"),
        (lutra.col("price") > float("nan"), "NaN"),
        (lutra.col("ok") > False, "ordering comparison does not apply to field 'ok', which is bool"),
        (lutra.col("embedding") == 1, "does not apply to field 'embedding', which is vector"),
        (year.starts_with("2"), "starts_with does not apply to field 'year'"),
        (lutra.col("at") > dt.datetime(2020, 1, 1), "no time zone"),
        (lutra.col("body") == "x", "'body' is not indexed"),
        (lutra.col("blob").exists(), "'blob' is not indexed"),
        (year.is_in(range(1_025)), "at most 1024 values"),
        ("year > 3", "such as lutra.col"),
    ],
)
def test_a_search_refuses(expression: Any, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        filters.to_query(expression, LAYOUT)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (lutra.col("color") == 1, "has no column 'color'"),
        (lutra.col("tags") == "a", "'tags' is an array: only a search"),
        (lutra.col("embedding") == 1, "which is vector"),
        (year == "2020", "expected int"),
        (lutra.col("id") == 5, "expected str"),
    ],
)
def test_a_scan_refuses(expression: Any, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        filters.to_condition(expression, LAYOUT)


def test_depth_is_bounded() -> None:
    expression: Expression = year == 1
    for _ in range(5_000):
        expression = ~(expression & (text == "a"))
    with pytest.raises(ParameterInvalid, match="deeper than 64"):
        filters.to_query(expression, LAYOUT)
    with pytest.raises(ParameterInvalid, match="deeper than 32"):
        filters.to_condition(expression, LAYOUT)


def test_scans_filter_by_stored_fields_bytes_and_keys_too(table: lutra.Table) -> None:
    assert [row["id"] for row in table.scan(where=lutra.col("id") < "003")] == ["000", "001", "002"]
    assert list(table.scan(where=lutra.col("body").exists() | (lutra.col("blob") == b"x"))) == []


def test_a_filter_sees_columns_that_are_not_returned(table: lutra.Table) -> None:
    (expected, *_) = [row for row in ROWS if row.get("year") == 2020 and "text" in row]
    found = next(row for row in table.scan(where=year == 2020, columns=["text"]) if row["id"] == expected["id"])
    assert dict(found) == {"id": expected["id"], "text": expected["text"]}
