from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lutra
from lutra.instance.field import Field
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, VectorOptions

UTC = dt.UTC


def field(declaration: Any, name: str = "f") -> Field:
    return Field.declared(name, declaration)


@pytest.mark.parametrize(
    ("declaration", "value", "stored"),
    [
        (str, "é", "é"),
        (str, np.str_("x"), "x"),
        (int, 2**63 - 1, 2**63 - 1),
        (int, np.int32(7), 7),
        (float, 1.5, 1.5),
        (float, 2, 2.0),
        (float, np.float32(0.5), 0.5),
        (bool, True, True),
        (bool, np.bool_(False), False),
        (bytes, bytearray(b"ab"), b"ab"),
        (lutra.Stored(str), "x" * 10_000, "x" * 10_000),
        (list[str], ["a", "ü"], '["a", "ü"]'),
        (list[int], (1, 2), "[1, 2]"),
        (list[float], np.array([0.5]), "[0.5]"),
        (list[bool], [True], "[true]"),
        (dt.datetime, dt.datetime(1970, 1, 1, 0, 0, 1, 5, UTC), 1_000_005),
        (dt.datetime, dt.datetime(1970, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), 0),
        (lutra.Vector(2), [1, 2], b"\x00\x00\x80\x3f\x00\x00\x00\x40"),
        (lutra.Vector(2), np.array([1, 2], dtype=">f8"), b"\x00\x00\x80\x3f\x00\x00\x00\x40"),
        (lutra.Vector(2), np.array([1, 9, 2, 9], dtype=np.float32)[::2], b"\x00\x00\x80\x3f\x00\x00\x00\x40"),
    ],
)
def test_values_are_stored_as(declaration: Any, value: object, stored: object) -> None:
    encoded = field(declaration).encode(value)
    assert encoded == stored
    assert type(encoded) is type(stored)


def test_a_class_that_needs_no_more_declares_what_its_plain_object_does() -> None:
    assert field(lutra.Text) == field(lutra.Text())
    assert field(lutra.Stored) == field(lutra.Stored(str))


@pytest.mark.parametrize(
    ("declaration", "value", "complaint"),
    [
        (str, 1, "expected str, got int 1"),
        (str, "\ud800", "lone surrogate"),
        (str, "é" * 3_000, "6,000 bytes of text.*4,096; declare the field lutra.Stored"),
        (int, 1.5, "expected int, got float 1.5"),
        (int, float("nan"), "expected int, got float nan"),
        (int, 2.0**60, "may be an int that was rounded"),
        (int, True, "expected int, got bool"),
        (int, 2**63, "does not fit 64 bits"),
        (int, None, "expected int, got None"),
        (float, "1", "expected float, got str"),
        (float, float("nan"), "NaN"),
        (float, float("-inf"), "infinite"),
        (float, True, "expected float, got bool"),
        (bool, 1, "expected bool, got int"),
        (bytes, "x", "expected bytes, got str"),
        (dt.datetime, dt.datetime(2020, 1, 1), "no time zone"),
        (dt.datetime, dt.datetime(1600, 1, 1, tzinfo=UTC), "out of range"),
        (dt.datetime, dt.date(2020, 1, 1), "expected datetime"),
        (list[str], "abc", "expected a list of str"),
        (list[str], ["a", 1], "expected str, got int"),
        (list[str], ["x" * 5_000], "5,000 bytes"),
        (list[int], range(257), "expected a list"),
        (list[int], list(range(257)), "257 elements"),
        (list[float], [float("nan")], "NaN"),
        (list[float], [float("inf")], "infinite"),
        (lutra.Vector(3), [1.0, 2.0], r"vector of 3 numbers, got an array of float64 and shape \(2,\)"),
        (lutra.Vector(3), [[1.0, 2.0, 3.0]], r"shape \(1, 3\)"),
        (lutra.Vector(3), [1.0, float("nan"), 2.0], "element 1 of the vector is NaN"),
        (lutra.Vector(3), [1.0, 2.0, 1e300], "element 2 .* too large for float32"),
        (lutra.Vector(3), "abc", "got str"),
        (lutra.Vector(3), ["1", "2", "3"], "vector of 3 numbers"),
        (lutra.Vector(3), [1, [2], 3], "vector of 3 numbers"),
        (lutra.Vector(3), [1, None, 3], "vector of 3 numbers"),
        (lutra.Vector(3), 5.0, "got float 5.0"),
    ],
)
def test_values_that_do_not_fit_are_refused(declaration: Any, value: object, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=f"field 'f'.*{complaint}"):
        field(declaration).encode(value)


@pytest.mark.parametrize("declaration", [dict, None, list, list[bytes], dt.date, "str", lutra.Stored(dt.datetime), 3])
def test_declarations_that_mean_nothing_are_refused(declaration: Any) -> None:
    with pytest.raises(ParameterInvalid, match="'f'"):
        field(declaration)


@pytest.mark.parametrize(("dimension", "metric"), [(0, "cosine"), (4097, "cosine"), (2.0, "cosine"), (4, "manhattan")])
def test_vectors_that_cannot_be_are_refused(dimension: Any, metric: Any) -> None:
    with pytest.raises(ParameterInvalid):
        lutra.Vector(dimension, metric)


VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=50),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=50),
    list[str]: st.lists(st.text(max_size=10), max_size=5),
    list[int]: st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    list[float]: st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5),
    list[bool]: st.lists(st.booleans(), max_size=5),
    dt.datetime: st.datetimes(dt.datetime(1678, 1, 1), dt.datetime(2262, 1, 1), timezones=st.timezones()),
    lutra.Stored(str): st.text(),
}


@given(st.data())
def test_what_is_stored_reads_back_the_same(data: st.DataObject) -> None:
    declaration = data.draw(st.sampled_from(list(VALUES)))
    value = data.draw(VALUES[declaration])
    kept = field(declaration)
    # Of two zones Python takes times that summer time skips or repeats for unequal, whatever instant they are.
    expected = value.astimezone(UTC) if isinstance(value, dt.datetime) else value
    assert kept.decode(kept.encode(value)) == expected
    assert kept.declaration == declaration


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_vectors_read_back_as_float32(numbers: list[float]) -> None:
    kept = field(lutra.Vector(len(numbers), "euclidean"))
    vector = kept.decode(kept.encode(numbers))
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, np.array(numbers, dtype=np.float32))
    assert kept.declaration == lutra.Vector(len(numbers), "euclidean")


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        (lutra.Vector(2), b"abc"),
        (lutra.Vector(2), "[1]"),
        (lutra.Vector(2), "{}"),
        (lutra.Vector(2), '["a", "b"]'),
        (lutra.Vector(2), 5),
        (list[str], "not json"),
        (list[str], '{"a": 1}'),
        (list[str], 3),
        (dt.datetime, "2020"),
        (dt.datetime, 2**62),
        (str, 3),
    ],
)
def test_what_another_door_wrote_in_another_form_comes_back_as_it_is(declaration: Any, value: Any) -> None:
    assert field(declaration).decode(value) == value


def test_vectors_that_another_door_wrote_as_json() -> None:
    np.testing.assert_array_equal(field(lutra.Vector(2)).decode("[1, 2.5]"), np.array([1, 2.5], dtype=np.float32))


@pytest.mark.parametrize(
    ("formats", "stored", "moment"),
    [
        ((), 1_500, dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)),
        (("epoch_second",), 2, dt.datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)),
        (("yyyy-MM-dd",), "1970-01-02", "1970-01-02"),
    ],
)
def test_dates_of_an_index_made_elsewhere(formats: tuple[str, ...], stored: Any, moment: object) -> None:
    kept = Field.of_schema(FieldSchema("f", FieldType.DATE, date_formats=formats))
    assert kept.decode(stored) == moment
    assert kept.encode(moment) == stored


def test_an_index_schema_and_back() -> None:
    for declaration in (str, int, float, bool, list[str], list[int], dt.datetime, lutra.Vector(7, "dot_product")):
        assert Field.of_schema(field(declaration).schema()) == field(declaration)
    assert field(lutra.Vector(7)).schema().vector == VectorOptions(7, field(lutra.Vector(7)).vector.metric)  # type: ignore[union-attr]
