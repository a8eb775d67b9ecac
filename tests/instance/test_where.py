"""A filter means the same in a search, in a scan and in Python."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import holds

import lutra
from lutra.instance import where as filters
from lutra.instance.expression import (
    Between,
    Comparison,
    Expression,
    OneOf,
    Operator,
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
    "price": [-1.5, 0.0, 0.1, 1e300, 2020.0, 2.0**53],
    "ok": [True, False],
    "at": [dt.datetime(2020, 1, 1, microsecond=us, tzinfo=UTC) for us in (0, 1, 999_999)],
}
ELEMENTS: dict[str, list[Any]] = {"tags": VALUES["text"], "marks": VALUES["year"]}
# What values are compared with: also what lies between them, or beyond all.
OPERANDS: dict[str, list[Any]] = {name: list(values) for name, values in (VALUES | ELEMENTS).items()}
OPERANDS["year"] += [0.5, -0.5, 2020.0, 2.0**53, 2.0**63, -(2.0**64), 2**70, math.inf]
OPERANDS["marks"] += [0.5, 2**63]
OPERANDS["price"] += [2**53 + 1, 2020, -math.inf, 10**400]
OPERANDS["at"] += [dt.datetime(3000, 1, 1, tzinfo=UTC), dt.datetime(1, 1, 1, tzinfo=UTC)]


def made_rows(count: int) -> list[dict[str, Any]]:
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {"id": f"{number:03}"}
        row |= {name: chance.choice(values) for name, values in VALUES.items() if chance.random() < 0.8}
        row |= {
            name: chance.choices(values, k=chance.randrange(4))
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


def comparisons() -> st.SearchStrategy[Expression]:
    def of_column(name: str) -> st.SearchStrategy[Expression]:
        values = st.sampled_from(OPERANDS[name])
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

    return st.sampled_from(sorted(OPERANDS)).flatmap(of_column)


def expressions() -> st.SearchStrategy[Expression]:
    return st.recursive(
        comparisons(),
        lambda parts: st.one_of(
            parts.map(lambda a: ~a),
            st.tuples(parts, parts).map(lambda ab: ab[0] & ab[1]),
            st.tuples(parts, parts).map(lambda ab: ab[0] | ab[1]),
        ),
        max_leaves=4,
    )


@given(expressions())
@settings(deadline=None, max_examples=100)
def test_a_search_finds_the_rows_that_python_finds(table: lutra.Table, expression: Expression) -> None:
    found = [row["id"] for row in table.search(where=expression, limit=1_000, columns=[], fresh=False)]
    assert found == [row["id"] for row in ROWS if holds(expression, row)]


@given(expressions())
@settings(deadline=None, max_examples=60)
def test_a_scan_finds_the_rows_that_python_finds(table: lutra.Table, expression: Expression) -> None:
    # The protocol allows 32 nodes in a filter.
    if nodes(filters.to_condition(expression, LAYOUT)) <= 32:
        found = [row["id"] for row in table.scan(where=expression, columns=[])]
        assert found == [row["id"] for row in ROWS if holds(expression, row)]


@given(expressions())
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
        (year >= float("nan"), "NaN"),
        (year == True, "expected int, got bool"),  # noqa: E712
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
        (lutra.col("tags") == 1, "expected str, got int"),
        (lutra.col("ok") > False, "ordering comparison does not apply to field 'ok', which is bool"),
        (year.starts_with("2"), "starts_with does not apply to field 'year'"),
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


def test_a_write_is_guarded_by_the_same_meaning() -> None:
    with lutra.connect() as database:
        table = database.create_table("rows", {"id": str}, FIELDS)
        table.put({"id": "a", "year": 1, "tags": []})
        table.update("a", set={"text": "x"}, where=(year > 0.5) & lutra.col("tags").is_missing())
        with pytest.raises(lutra.ConditionCheckFail):
            table.update("a", set={"text": "y"}, where=lutra.col("tags").exists())
        with pytest.raises(lutra.ConditionCheckFail):
            table.put({"id": "a"}, where=year == 1.5)
        assert table.get("a", columns=["text"]) == {"id": "a", "text": "x"}


def test_columns_that_nobody_declared_compare_by_their_own_types() -> None:
    with lutra.connect() as database:
        table = database.create_table("open", {"id": int})
        for number, value in enumerate([1, 1.0, True, "1", b"1", 2**53, 2.0**53, 2**53 + 1]):
            table.put({"id": number, "x": value})

        def found(where: Any) -> list[Any]:
            return [row["id"] for row in table.scan(where=where)]

        x = lutra.col("x")
        assert found(x == 1) == found(x.is_in([1.0])) == [0, 1]
        assert found(x.is_in(["1", True, b"1"])) == [2, 3, 4]
        assert found(x > 2.0**53) == [7]
        assert found(x >= 2**53 + 1) == [7]
        assert found(x.between(0.5, 1.5)) == [0, 1]
        assert found(x.starts_with("")) == found(x.exists()) == [*range(8)]
        assert found(x.starts_with("1")) == [3]
        assert found(x.is_in([])) == []
        with pytest.raises(lutra.ParameterInvalid, match="takes str, int, float, bool and bytes"):
            found(x > dt.datetime(2020, 1, 1, tzinfo=UTC))


def test_a_filter_sees_columns_that_are_not_returned(table: lutra.Table) -> None:
    (expected, *_) = [row for row in ROWS if row.get("year") == 2020 and "text" in row]
    found = next(row for row in table.scan(where=year == 2020, columns=["text"]) if row["id"] == expected["id"])
    assert dict(found) == {"id": expected["id"], "text": expected["text"]}
