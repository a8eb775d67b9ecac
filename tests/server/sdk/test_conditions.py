"""Conditions that guard a write: whether the row is there, and what its columns hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import tablestore as ots
from support.sdk import (
    EXPECT_EXIST,
    EXPECT_NOT_EXIST,
    IGNORE,
    SdkClient,
    column,
    composite,
    get,
    invalid,
    is_accepted,
    put,
    refused,
    values,
)
from support.tables import TableMaker
from tablestore import ComparatorType as Is

KEY = [("id", "row")]
AND, OR, NOT = ots.LogicalOperator.AND, ots.LogicalOperator.OR, ots.LogicalOperator.NOT


def _holds(client: SdkClient, table: str, condition: ots.ColumnCondition) -> bool:
    """Whether a write under the condition is let through; the row stays as it is."""
    guard = ots.Condition(ots.RowExistenceExpectation.IGNORE, condition)
    change = ots.Row(KEY, {"DELETE_ALL": ["no_such_column"]})
    return is_accepted(lambda: client.update_row(table, change, guard))


WRITES: dict[str, Callable[[SdkClient, str, ots.Condition], Any]] = {
    "put": lambda client, table, guard: client.put_row(table, ots.Row(KEY, [("a", 2)]), guard),
    "update": lambda client, table, guard: client.update_row(table, ots.Row(KEY, {"PUT": [("a", 2)]}), guard),
    "delete": lambda client, table, guard: client.delete_row(table, KEY, guard),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("row_is_there", [True, False])
@pytest.mark.parametrize("guard", [IGNORE, EXPECT_EXIST, EXPECT_NOT_EXIST], ids=["ignore", "exist", "not exist"])
def test_row_existence(client: SdkClient, table: str, write: str, row_is_there: bool, guard: ots.Condition) -> None:
    if row_is_there:
        put(client, table, KEY, a=1)
    if (guard is EXPECT_EXIST and not row_is_there) or (guard is EXPECT_NOT_EXIST and row_is_there):
        with refused("OTSConditionCheckFail", 403, "Condition check failed."):
            WRITES[write](client, table, guard)
        row = get(client, table, KEY)
        assert (None if row is None else values(row)) == ({"a": 1} if row_is_there else None)
        return
    WRITES[write](client, table, guard)
    row = get(client, table, KEY)
    assert (None if row is None else values(row)) == (None if write == "delete" else {"a": 2})


def test_a_guarded_write_reads(client: SdkClient, table: str) -> None:
    consumed, _ = client.put_row(table, ots.Row(KEY, [("a", 1)]), EXPECT_NOT_EXIST)
    assert (consumed.read, consumed.write) == (1, 1)


@pytest.mark.parametrize(
    ("comparator", "holds_for"),
    [
        (Is.EQUAL, [5]),
        (Is.NOT_EQUAL, [4, 6]),
        (Is.GREATER_THAN, [4]),
        (Is.GREATER_EQUAL, [4, 5]),
        (Is.LESS_THAN, [6]),
        (Is.LESS_EQUAL, [5, 6]),
    ],
)
def test_comparing_a_column(client: SdkClient, table: str, comparator: int, holds_for: list[int]) -> None:
    """Each kind of value is compared in its own order: 4, 5 and 6, as integers, texts and so on."""
    kinds: list[Callable[[int], Any]] = [int, float, str, lambda number: bytearray([number])]
    for kind in kinds:
        put(client, table, KEY, a=kind(5))
        for number in (4, 5, 6):
            assert _holds(client, table, column("a", comparator, kind(number))) == (number in holds_for)


def test_comparing_booleans(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=True)
    assert _holds(client, table, column("a", Is.EQUAL, True))
    assert not _holds(client, table, column("a", Is.EQUAL, False))


def test_values_of_other_types_are_not_equal(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1)
    assert not _holds(client, table, column("a", Is.EQUAL, "1"))


def test_a_missing_column_passes_unless_told_otherwise(client: SdkClient, table: str) -> None:
    put(client, table, KEY, other=1)
    assert _holds(client, table, column("a", Is.EQUAL, 1))
    assert not _holds(client, table, column("a", Is.EQUAL, 1, pass_if_missing=False))


def test_a_column_condition_on_no_row(client: SdkClient, table: str) -> None:
    assert not _holds(client, table, column("a", Is.EQUAL, 1, pass_if_missing=False))
    assert get(client, table, KEY) is None


def test_composites(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1, b="x")
    true, false = column("a", Is.EQUAL, 1), column("b", Is.EQUAL, "y")
    for left, right in [(true, true), (true, false), (false, true), (false, false)]:
        assert _holds(client, table, composite(AND, left, right)) == (left is true and right is true)
        assert _holds(client, table, composite(OR, left, right)) == (left is true or right is true)
    assert _holds(client, table, composite(NOT, false))
    assert not _holds(client, table, composite(NOT, true))
    assert _holds(client, table, composite(AND, true, composite(OR, false, composite(NOT, false)), true))


def test_a_condition_on_any_version(client: SdkClient, make: TableMaker) -> None:
    table = make.table(options=ots.TableOptions(max_version=3))
    now_ms = int(time.time() * 1_000)
    client.put_row(table, ots.Row(KEY, [("a", "new", now_ms), ("a", "old", now_ms - 1)]), IGNORE)
    assert not _holds(client, table, column("a", Is.EQUAL, "old"))
    assert _holds(client, table, column("a", Is.EQUAL, "old", latest_version_only=False))
    assert not _holds(client, table, column("a", Is.EQUAL, "older", latest_version_only=False))


@pytest.mark.parametrize(
    ("text", "regex", "cast", "comparator", "value", "holds"),
    [
        ("temperature=23C", "=(-?[0-9]+)C", ots.CastType.VT_INTEGER, Is.GREATER_THAN, 20, True),
        ("temperature=-3C", "=(-?[0-9]+)C", ots.CastType.VT_INTEGER, Is.GREATER_THAN, 20, False),
        ("pi=3.14", "=([0-9.]+)", ots.CastType.VT_DOUBLE, Is.LESS_THAN, 3.2, True),
        ("name:otter;", "name:([a-z]+);", ots.CastType.VT_STRING, Is.EQUAL, "otter", True),
        ("name:otter;", "name:([a-z]+);", ots.CastType.VT_STRING, Is.EQUAL, "stoat", False),
        ("no number", "([0-9]+)", ots.CastType.VT_INTEGER, Is.GREATER_EQUAL, 0, False),
    ],
)
def test_comparing_what_a_regex_finds(
    client: SdkClient,
    table: str,
    text: str,
    regex: str,
    cast: ots.CastType,
    comparator: int,
    value: Any,
    holds: bool,
) -> None:
    put(client, table, KEY, a=text)
    rule = ots.RegexRule(regex, cast)
    assert _holds(client, table, ots.SingleColumnRegexCondition("a", comparator, value, rule)) == holds


def test_whether_a_column_exists(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1)
    assert _holds(client, table, ots.SingleColumnRegexCondition("a", Is.EXIST))
    assert not _holds(client, table, ots.SingleColumnRegexCondition("b", Is.EXIST))
    assert _holds(client, table, ots.SingleColumnRegexCondition("b", Is.NOT_EXIST))
    assert not _holds(client, table, ots.SingleColumnRegexCondition("a", Is.NOT_EXIST))


@pytest.mark.parametrize("regex", ["(", "[a", "(?<=a)b"])
def test_regexes_that_are_none(client: SdkClient, table: str, regex: str) -> None:
    put(client, table, KEY, a="text")
    with invalid():
        _update_if(client, table, ots.SingleColumnRegexCondition("a", Is.EQUAL, "x", _string_rule(regex)))


def test_a_regex_cannot_be_made_to_take_for_ever(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a="a" * 100_000)
    condition = ots.SingleColumnRegexCondition("a", Is.EQUAL, "x", _string_rule("(a+)+$b"))
    started = time.monotonic()
    assert not _holds(client, table, condition)
    assert time.monotonic() - started < 2


def _string_rule(regex: str) -> ots.RegexRule:
    return ots.RegexRule(regex, ots.CastType.VT_STRING)


def _update_if(client: SdkClient, table: str, condition: ots.ColumnCondition) -> None:
    guard = ots.Condition(ots.RowExistenceExpectation.IGNORE, condition)
    client.update_row(table, ots.Row(KEY, {"PUT": [("b", 1)]}), guard)


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(composite(NOT), id="not of nothing"),
        pytest.param(composite(NOT, column("a", Is.EQUAL, 1), column("b", Is.EQUAL, 1)), id="not of two"),
        pytest.param(composite(AND), id="and of nothing"),
    ],
)
def test_composites_that_are_none(client: SdkClient, table: str, condition: ots.ColumnCondition) -> None:
    with invalid():
        _update_if(client, table, condition)
    assert get(client, table, KEY) is None


def test_too_many_conditions(client: SdkClient, table: str) -> None:
    parts = [column(f"c{number}", Is.EQUAL, number) for number in range(32)]
    _update_if(client, table, composite(AND, *parts[:31]))
    with invalid("The count of filter exceeds the max: 32."):
        _update_if(client, table, composite(AND, *parts))


def test_conditions_nested_too_deep(client: SdkClient, table: str) -> None:
    condition: ots.ColumnCondition = column("a", Is.EQUAL, 1)
    for _ in range(100):
        condition = composite(NOT, condition)
    with invalid():
        _update_if(client, table, condition)
