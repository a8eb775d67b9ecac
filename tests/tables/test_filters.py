"""Conditions, alone: what passes, and what is refused."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model.conditions import (
    ColumnCondition,
    ColumnPagination,
    ColumnTest,
    Comparator,
    Composite,
    LogicalOperator,
    SingleColumn,
    ValueTransfer,
)
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.rows import Cell
from lutra.model.values import ColumnType, Value
from lutra.tables.filters import compile_condition

KEY = (("pk", "key"), ("n", 3))
COMPARE: dict[Comparator, Callable[[Any, Any], bool]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.NOT_EQUAL: operator.ne,
    Comparator.GREATER_THAN: operator.gt,
    Comparator.GREATER_EQUAL: operator.ge,
    Comparator.LESS_THAN: operator.lt,
    Comparator.LESS_EQUAL: operator.le,
}
VALUES = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([-1.0, 0.0, 1.5]),
    st.booleans(),
    st.sampled_from("abc"),
    st.sampled_from([b"a", b"b"]),
)
SINGLES = st.builds(
    SingleColumn,
    st.sampled_from(list(Comparator)),
    st.sampled_from(["a", "b", "pk", "n"]),
    VALUES,
    st.booleans(),
    st.booleans(),
)


def composites(parts: st.SearchStrategy[ColumnCondition]) -> st.SearchStrategy[ColumnCondition]:
    return st.one_of(
        st.builds(lambda part: Composite(LogicalOperator.NOT, (part,)), parts),
        st.builds(
            Composite,
            st.sampled_from([LogicalOperator.AND, LogicalOperator.OR]),
            st.lists(parts, min_size=2, max_size=3).map(tuple),
        ),
    )


CONDITIONS: st.SearchStrategy[ColumnCondition] = st.recursive(SINGLES, composites, max_leaves=6)


def comparable(left: Value, right: Value) -> bool:
    numbers = (int, float)
    return type(left) is type(right) or (type(left) in numbers and type(right) in numbers)


def model(condition: ColumnCondition, columns: dict[str, list[Value]]) -> bool:
    """Says the same as plainly as can be."""
    if isinstance(condition, Composite):
        parts = [model(part, columns) for part in condition.parts]
        if condition.operator is LogicalOperator.NOT:
            return not parts[0]
        return all(parts) if condition.operator is LogicalOperator.AND else any(parts)
    assert isinstance(condition, SingleColumn)
    found = columns.get(condition.column, [])
    if condition.comparator is Comparator.EXIST:
        return bool(found)
    if condition.comparator is Comparator.NOT_EXIST:
        return not found
    if not found:
        return condition.pass_if_missing
    assert condition.value is not None
    looked_at = found[:1] if condition.latest_version_only else found
    return any(
        COMPARE[condition.comparator](value, condition.value)
        if comparable(value, condition.value)
        else condition.comparator is Comparator.NOT_EQUAL
        for value in looked_at
    )


@given(CONDITIONS, st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=2))
def test_agrees_with_the_plain_reading(condition: ColumnCondition, of_a: list[Value], of_b: list[Value]) -> None:
    cells: list[Cell] = [("a", value, 9 - i) for i, value in enumerate(of_a)]
    cells += [("b", value, 9 - i) for i, value in enumerate(of_b)]
    columns: dict[str, list[Value]] = {"a": of_a, "b": of_b, "pk": ["key"], "n": [3]}
    assert compile_condition(condition)(KEY, cells) == model(condition, columns)


def single(column: str = "a") -> SingleColumn:
    return SingleColumn(Comparator.EQUAL, column, 1)


def nested(depth: int, kind: LogicalOperator) -> ColumnCondition:
    condition: ColumnCondition = single()
    for _ in range(depth):
        parts = (condition,) if kind is LogicalOperator.NOT else (condition, single())
        condition = Composite(kind, parts)
    return condition


@pytest.mark.parametrize("kind", list(LogicalOperator))
def test_at_most_32_nodes_however_deep(kind: LogicalOperator) -> None:
    compile_condition(nested(15, kind))
    for depth in (32, 1_000, 100_000):
        with pytest.raises(ParameterInvalid, match=r"^The count of filter exceeds the max: 32\.$"):
            compile_condition(nested(depth, kind))
    compile_condition(Composite(LogicalOperator.OR, (single(),) * 31))
    with pytest.raises(ParameterInvalid, match=r"^The count of filter exceeds the max: 32\.$"):
        compile_condition(Composite(LogicalOperator.OR, (single(),) * 32))


LONG = r"^The length of attribute column: 'a' exceeds the MaxLength:2097152 with CurrentLength:2097153\.$"


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Composite(LogicalOperator.NOT, ()), "Invalid NOT operator"),
        (Composite(LogicalOperator.NOT, (single(), single())), "Invalid NOT operator"),
        (
            Composite(LogicalOperator.AND, (single(),)),
            r"^Invalid AND/OR operator: the number of sub-filters must be more than 1\.$",
        ),
        (Composite(LogicalOperator.OR, ()), "Invalid AND/OR operator"),
        (ColumnPagination(0, 1), "pagination"),
        (Composite(LogicalOperator.AND, (single(), ColumnPagination(0, 1))), "pagination"),
        (SingleColumn(Comparator.EQUAL, "a", None), "No value is given to compare column 'a' with"),
        (SingleColumn(Comparator.EXIST, "#a", None), r"^Invalid column name: '#a'\.$"),
        (SingleColumn(Comparator.EQUAL, "a", "é" * 2**20 + "x"), LONG),
        (Composite(LogicalOperator.NOT, (SingleColumn(Comparator.LESS_THAN, "a", b"x" * (2**21 + 1)),)), LONG),
    ],
)
def test_what_is_not_well_formed_is_refused(condition: ColumnCondition, text: str) -> None:
    with pytest.raises(ParameterInvalid, match=text):
        compile_condition(condition)


def passes(text: Value, regex: str, cast: ColumnType, comparator: Comparator, value: Value) -> bool:
    condition = SingleColumn(comparator, "a", value, transfer=ValueTransfer(regex, cast))
    return compile_condition(condition)(KEY, [("a", text, 1)])


def test_a_part_of_a_string_is_compared() -> None:
    text = "{cluster_name:名1,lastupdatetime:12345}"
    regex = "lastupdatetime:([0-9]+)}"
    assert passes(text, regex, ColumnType.INTEGER, Comparator.EQUAL, 12345)
    assert passes(text, regex, ColumnType.INTEGER, Comparator.GREATER_THAN, 12344)
    assert not passes(text, regex, ColumnType.INTEGER, Comparator.LESS_THAN, 9)
    assert passes(text, regex, ColumnType.STRING, Comparator.LESS_THAN, "9")
    assert passes(text, "name:([^,]+)", ColumnType.STRING, Comparator.EQUAL, "名1")
    assert passes("t=-1.5e2;", "t=([^;]*)", ColumnType.DOUBLE, Comparator.EQUAL, -150.0)


@pytest.mark.parametrize("comparator", [Comparator.EQUAL, Comparator.NOT_EQUAL, Comparator.LESS_THAN])
def test_what_cannot_be_taken_or_cast_does_not_pass(comparator: Comparator) -> None:
    for text, regex, cast in (
        ("nothing", "x([0-9]+)", ColumnType.INTEGER),
        ("b", "(a)|b", ColumnType.STRING),
        ("xabc", "x(.*)", ColumnType.INTEGER),
        ("x1.5", "x(.*)", ColumnType.INTEGER),
        ("x", "x(.*)", ColumnType.INTEGER),
        ("x99999999999999999999", "x(.*)", ColumnType.INTEGER),
        ("x9223372036854775808", "x(.*)", ColumnType.INTEGER),
        ("x٣", "x(.*)", ColumnType.INTEGER),
        ("xabc", "x(.*)", ColumnType.DOUBLE),
        (7, "(.*)", ColumnType.STRING),
        (b"x1", "x(.*)", ColumnType.INTEGER),
    ):
        assert not passes(text, regex, cast, comparator, 5 if cast is not ColumnType.STRING else "5")


@pytest.mark.parametrize("regex", ["(a", "(?<!a)(b)", r"(a)\1", "(a{1001})", "([[:nope:]])", "\ud800(a)"])
def test_a_pattern_that_is_not_one_is_refused(regex: str) -> None:
    with pytest.raises(ParameterInvalid, match="is not valid"):
        passes("a", regex, ColumnType.STRING, Comparator.EQUAL, "a")


def test_a_pattern_has_a_group_and_a_bounded_length_and_a_cast() -> None:
    with pytest.raises(ParameterInvalid, match="has no group"):
        passes("a", "a+", ColumnType.STRING, Comparator.EQUAL, "a")
    with pytest.raises(ParameterInvalid, match="at most 256 bytes"):
        passes("a", "(" + "a" * 255 + ")", ColumnType.STRING, Comparator.EQUAL, "a")
    with pytest.raises(ParameterInvalid, match="cannot be transferred to BINARY"):
        passes("a", "(a)", ColumnType.BINARY, Comparator.EQUAL, b"a")


def test_a_group_may_end_within_a_character() -> None:
    for regex in (r"(\C)", r"\C(\C)", r"(\C\C\C)"):
        assert not passes("éaé", regex, ColumnType.STRING, Comparator.EQUAL, "5")


def test_no_pattern_keeps_the_server_busy() -> None:
    text = "aé" * 1_000_000
    for regex in (
        "((a+)+)$",
        "((a|aa)+)$",
        "((a*)*)c",
        "((.*)(.*)(.*)(.*)(.*))c",
        "((?:a|é)*?c)",
        "(.{0,40}x)(.{0,9}y)",
    ):
        begun_s = time.monotonic()
        with suppress(ParameterInvalid, RequestTimeout):
            assert not passes(text, regex, ColumnType.INTEGER, Comparator.EQUAL, 1)
        assert time.monotonic() - begun_s < 3, regex


@pytest.mark.parametrize("regex", ["((((a?){30}){30}))c", "((a?){1000})c", "(.{0,500}x)(.{0,400}y)"])
def test_a_pattern_that_repeats_too_much_is_refused(regex: str) -> None:
    with pytest.raises(ParameterInvalid, match="repeats too much"):
        passes("a", regex, ColumnType.STRING, Comparator.EQUAL, "a")


def test_a_large_pattern_is_refused_on_a_large_text() -> None:
    regex = "((?:a?){100})c"
    assert not passes("a" * 10_000, regex, ColumnType.STRING, Comparator.EQUAL, "a")
    with pytest.raises(ParameterInvalid, match="too large for a text of 2000000"):
        passes("a" * 2_000_000, regex, ColumnType.STRING, Comparator.EQUAL, "a")


def test_matching_has_a_budget_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.tables.filters.REGEX_SECONDS_MAX", 0.005)
    one = SingleColumn(Comparator.EQUAL, "a", "b", transfer=ValueTransfer("(a)$", ColumnType.STRING))
    predicate = compile_condition(Composite(LogicalOperator.OR, (one, one)))

    def match_on() -> None:
        for _ in range(100_000):
            predicate(KEY, [("a", "a" * 1_000, 1)])

    with pytest.raises(RequestTimeout, match="takes too long"):
        match_on()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([], False),
        ([("a", 2, 9)], True),
        ([("a", 1, 9), ("a", 2, 8)], False),  # the newest version is asked
        ([("a", 2, 9), ("a", 1, 8), ("b", 1, 9)], True),
    ],
)
def test_a_function_of_the_caller_s(cells: list[Cell], expected: bool) -> None:
    test = ColumnTest("a", lambda value: value == 2)
    assert compile_condition(test)(KEY, cells) is expected
    assert compile_condition(Composite(LogicalOperator.NOT, (test,)))(KEY, cells) is not expected
    assert compile_condition(ColumnTest("n", lambda value: value == 3))(KEY, cells)
