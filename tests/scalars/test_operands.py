"""Operands of queries against exact arithmetic: fractions of numbers, and fractions of nanoseconds of dates."""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import Exists, Operand, Prefix, Range, Term, Terms
from lutra.scalars.meaning import value_test
from lutra.scalars.operands import Point
from lutra.scalars.values import ScalarReader

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
UNITS_NS = {"epoch_second": 10**9, "epoch_millis": 10**6, "epoch_micros": 10**3, "epoch_nanos": 1}
BOUNDS: list[tuple[Callable[[Any, Any], bool], Callable[[Operand], Range]]] = [
    (operator.ge, lambda operand: Range("f", lower=operand)),
    (operator.gt, lambda operand: Range("f", lower=operand, include_lower=False)),
    (operator.le, lambda operand: Range("f", upper=operand)),
    (operator.lt, lambda operand: Range("f", upper=operand, include_upper=False)),
]

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 2**53, 2**53 + 1, 0])
DOUBLES = st.floats(allow_nan=False) | st.sampled_from([2.0**53, math.inf, -math.inf, 1.7976931348623157e308, 5e-324])
NUMBERS = INTEGERS | st.integers(-(2**70), 2**70) | DOUBLES | st.sampled_from([10**400, -(10**400), 2**63 - 0.5])


def reader(kind: FieldType, *formats: str, is_array: bool = False) -> ScalarReader:
    return ScalarReader(FieldSchema("f", kind, is_array=is_array, date_formats=formats))


def near(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    """A value and an operand: any, or one right beside it."""

    def beside(value: Any) -> st.SearchStrategy[Any]:
        if isinstance(value, float) and math.isinf(value):
            return st.just(value)
        at = int(value)
        return st.sampled_from([value, at, at - 1, at + 1, float(at), at + 0.5, at - 0.5])

    return values.flatmap(lambda value: st.tuples(st.just(value), NUMBERS | beside(value)))


def exact(number: Any) -> Any:
    return number if isinstance(number, float) and math.isinf(number) else Fraction(number)


def check(kind: ScalarReader, stored: Any, value: Any, operand: Operand, expected: Any) -> None:
    """That comparisons of ``stored`` with ``operand`` hold where those of ``value`` with ``expected`` do."""
    for compare, query in BOUNDS:
        assert value_test(kind, query(operand))(stored) == compare(value, expected), (compare, stored, operand)
    assert value_test(kind, Term("f", operand))(stored) == (value == expected)
    assert value_test(kind, Terms("f", (operand,)))(stored) == (value == expected)


@given(near(INTEGERS))
@example((2**63 - 1, 2.0**63))
@example((-(2**63), -(2.0**63)))
def test_integers(pair: tuple[int, Any]) -> None:
    stored, operand = pair
    check(reader(FieldType.LONG), stored, stored, operand, exact(operand))


@given(near(DOUBLES))
@example((2.0**53, 2**53 + 1))
@example((math.inf, 10**400))
@example((-math.inf, -(10**400)))
@example((0.0, -0.0))
def test_doubles(pair: tuple[float, Any]) -> None:
    stored, operand = pair
    check(reader(FieldType.DOUBLE), stored, exact(stored), operand, exact(operand))


@st.composite
def dates(draw: st.DrawFn) -> tuple[str, int, dt.datetime]:
    """A format, what is stored, and a datetime: any, or right beside it, in a zone."""
    form = draw(st.sampled_from(sorted(UNITS_NS)))
    day_ns = draw(st.integers(-(2**62), 2**62) | st.integers(-3_000_000_000, 3_000_000_000))
    stored = day_ns // UNITS_NS[form]
    step_us = draw(st.sampled_from([0, -1, 1, 500, -1_000, 999_999]) | st.integers(-(10**9), 10**9))
    moment = EPOCH + dt.timedelta(microseconds=stored * UNITS_NS[form] // 1_000 + step_us)
    zone = dt.timezone(dt.timedelta(hours=draw(st.integers(-12, 12))))
    return form, stored, moment.astimezone(zone)


@given(dates())
@example(("epoch_millis", 1_000, dt.datetime(1970, 1, 1, 0, 0, 1, 500, UTC)))
@example(("epoch_millis", -1_000, dt.datetime(1969, 12, 31, 23, 59, 58, 999_500, UTC)))
@example(("epoch_second", 0, dt.datetime(3000, 1, 1, tzinfo=UTC)))
@example(("epoch_second", 0, dt.datetime(1, 1, 1, tzinfo=UTC)))
def test_dates(drawn: tuple[str, int, dt.datetime]) -> None:
    form, stored, moment = drawn
    expected_ns = (moment - EPOCH) // dt.timedelta(microseconds=1) * 1_000
    check(reader(FieldType.DATE, form), stored, stored * UNITS_NS[form], moment, expected_ns)


@given(
    st.sampled_from(sorted(UNITS_NS)), st.integers(-3_000, 3_000), st.integers(-30, 30), st.sampled_from([0, 0.5, 0.1])
)
def test_dates_by_parts_of_their_unit(form: str, stored: int, step: int, part: float) -> None:
    operand = stored + step + part
    check(reader(FieldType.DATE, form), stored, Fraction(stored), operand, Fraction(operand))
    check(reader(FieldType.DATE, form), stored, Fraction(stored), repr(operand), Fraction(operand))


def test_dates_as_text() -> None:
    kind = reader(FieldType.DATE, "yyyy-MM-dd", "epoch_millis")
    day_ns = 86_400 * 10**9
    check(kind, "1970-01-02", day_ns, "1970-01-02", day_ns)
    check(kind, "1970-01-02", day_ns, "86400000", day_ns)
    check(kind, "1970-01-02", day_ns, dt.datetime(1970, 1, 2, 0, 0, 0, 1, UTC), day_ns + 1_000)
    check(kind, "1970-01-02", day_ns, "9999-12-31", 10**30)  # no 64 bits of nanoseconds, but later
    check(kind, "1970-01-02", day_ns, "0001-01-01", -(10**30))


def test_nanoseconds_of_a_datetime_count() -> None:
    class Timestamp(dt.datetime):
        nanosecond = 7  # as pandas has it

    check(reader(FieldType.DATE, "epoch_nanos"), 8, 8, Timestamp(1970, 1, 1, tzinfo=UTC), 7)


@pytest.mark.parametrize(
    ("kind", "operand", "point"),
    [
        (FieldType.LONG, "900", Point(900, True)),
        (FieldType.LONG, "-007", Point(-7, True)),
        (FieldType.LONG, "9223372036854775808", Point(2**63 - 1, False)),
        (FieldType.LONG, "1.5", Point(1, False)),
        (FieldType.LONG, "1e3", Point(1_000, True)),
        (FieldType.LONG, "9007199254740993.0", Point(2**53 + 1, True)),
        (FieldType.LONG, "1e-999999999", Point(0, True)),
        (FieldType.LONG, math.inf, Point(2**63 - 1, False)),
        (FieldType.LONG, -math.inf, Point(None, False)),
        (FieldType.DOUBLE, "1.5", Point(1.5, True)),
        (FieldType.DOUBLE, ".1", Point(0.1, True)),
        (FieldType.DOUBLE, "9007199254740993", Point(2.0**53, False)),
        (FieldType.BOOLEAN, "true", Point(True, True)),
        (FieldType.BOOLEAN, "false", Point(False, True)),
        (FieldType.KEYWORD, 5, Point("5", True)),
        (FieldType.KEYWORD, -(2**63), Point("-9223372036854775808", True)),
        (FieldType.KEYWORD, True, Point("true", True)),
        (FieldType.DATE, "1000", Point(1_000_000_000, True)),
        (FieldType.DATE, "1600000000123.456789", Point(1_600_000_000_123_456_789, True)),
    ],
)
def test_operands_of_another_type_are_coerced(kind: FieldType, operand: Operand, point: Point) -> None:
    coerced = reader(kind).point(operand)
    assert coerced == point
    assert type(coerced.floor) is type(point.floor)


@pytest.mark.parametrize(
    ("kind", "operand"),
    [
        *(
            (FieldType.LONG, text)
            for text in (
                "",
                " 1",
                "1 ",
                "0x1",
                "1_000",
                "x",
                "NaN",
                "inf",
                "1e400",
                "٣",
                "9" * 401,
                "9" * 2_000_000 + "x",
            )
        ),
        *((FieldType.LONG, value) for value in (True, b"1", math.nan)),
        *((FieldType.DOUBLE, value) for value in ("", "Infinity", "nan", ".", "1e", True, b"1", math.nan)),
        *((FieldType.BOOLEAN, value) for value in ("True", "1", "", 1, 0.0, b"true")),
        *((FieldType.KEYWORD, value) for value in (1.5, b"a", "\ud800", "é" * 2_049)),
        *((FieldType.DATE, value) for value in ("soon", True, b"1", math.nan, dt.datetime(2020, 1, 1))),
    ],
)
def test_what_cannot_be_coerced_is_refused(kind: FieldType, operand: Any) -> None:
    with pytest.raises(ParameterInvalid, match=rf"field \[f\] is of type {kind.name}: .* is no value of that type"):
        reader(kind).point(operand)


@pytest.mark.parametrize(
    ("kind", "most"), [(FieldType.KEYWORD, 4_096), (FieldType.FUZZY_KEYWORD, 2_048), (FieldType.FLATTENED, 4_096)]
)
def test_a_text_that_is_too_long_is_told_so(kind: FieldType, most: int) -> None:
    assert reader(kind).point("é" * (most // 2)).is_value
    with pytest.raises(ParameterInvalid, match=rf"no value of that type: it has {most + 2} bytes, more than {most}$"):
        reader(kind).point("é" * (most // 2 + 1))
    with pytest.raises(ParameterInvalid, match=r"no value of that type$"):
        reader(kind).point("\ud800")


def test_numbers_are_no_dates_where_no_format_counts() -> None:
    with pytest.raises(ParameterInvalid, match="yyyy"):
        reader(FieldType.DATE, "yyyy").point(2_020)


@pytest.mark.parametrize(
    ("kind", "operand", "value"),
    [
        (FieldType.LONG, "7", 7),
        (FieldType.LONG, 0.5, 0),
        (FieldType.LONG, -math.inf, -(2**63)),
        (FieldType.DOUBLE, 2**63 - 1, math.nextafter(2.0**63, 0)),
        (FieldType.DATE, 2**63 - 1, 2**63 - 1),
        (FieldType.DATE, -(2**63), -(2**63)),
        (FieldType.KEYWORD, 5, "5"),
    ],
)
def test_stand_ins_of_sorts(kind: FieldType, operand: Operand, value: Any) -> None:
    assert reader(kind).stand_in(operand) == value


@pytest.mark.parametrize(
    ("stored", "query", "expected"),
    [
        ("[]", Exists("f"), False),
        ("[null]", Exists("f"), False),
        ("[1]", Exists("f"), True),
        ("[1, 1e400]", Exists("f"), False),
        ("[1, NaN]", Term("f", 1), False),
        ("[1, 18446744073709551617]", Range("f", 0.9), False),
        ("[1, null]", Range("f", 0.9), True),
        ("[3, 1]", Range("f", 2, 2), False),
        ("1", Exists("f"), False),
        (1.0, Exists("f"), False),
    ],
)
def test_arrays(stored: Any, query: Any, expected: bool) -> None:
    assert value_test(reader(FieldType.DOUBLE, is_array=True), query)(stored) is expected


def test_text() -> None:
    kind = reader(FieldType.KEYWORD)
    assert value_test(kind, Prefix("f", "é"))("éa")
    assert not value_test(kind, Prefix("f", "é"))("e")
    assert not value_test(kind, Exists("f"))("x" * 4_097)
    assert value_test(kind, Range("f", "\ud7ff", include_lower=False))("\U0010ffff")
