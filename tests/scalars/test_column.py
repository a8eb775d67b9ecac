"""Scalar columns against lists."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scalar_streams import stage_elements

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.limits import ARRAY_ELEMENTS_MAX, KEYWORD_BYTES_MAX
from lutra.model.queries import SortMode
from lutra.scalars.column import ScalarColumn, ScalarView

ELEMENTS: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.LONG: st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    FieldType.DATE: st.integers(-3, 3),
    FieldType.DOUBLE: st.sampled_from([-1.5, -0.0, 0.0, 1.0, math.inf, -math.inf]) | st.floats(allow_nan=False),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.KEYWORD: st.sampled_from(["", "a", "ab", "a\0", "é", "b" * 70, "b" * 71, "\U0001f9a6"]),
}


@st.composite
def columns(draw: st.DrawFn) -> tuple[FieldType, bool, list[list[list[Any] | None]]]:
    """A type, whether it holds arrays, and batches of documents (None: no value)."""
    kind = draw(st.sampled_from(list(ELEMENTS)))
    is_array = draw(st.booleans())
    sizes = st.integers(0, 3) if is_array else st.just(1)
    document = sizes.flatmap(lambda n: st.lists(ELEMENTS[kind], min_size=n, max_size=n))
    complete = draw(st.booleans())
    batches = draw(st.lists(st.lists(document if complete else st.none() | document, max_size=8), max_size=4))
    return kind, is_array, batches


def build(
    kind: FieldType, is_array: bool, batches: list[list[list[Any] | None]]
) -> tuple[ScalarColumn, list[list[Any]]]:
    formats = ("epoch_nanos",) if kind is FieldType.DATE else ()
    column = ScalarColumn(FieldSchema("f", kind, is_array=is_array, date_formats=formats))
    model: list[list[Any]] = []
    for batch in batches:
        for elements in batch:
            if elements is not None:
                if is_array:
                    stage_elements(column, len(model), elements)
                else:
                    assert column.stage(len(model), elements[0])
            model.append(elements or [])
        assert column.settle() == 0
        column.publish()
    return column, model


def some(model: list[list[Any]], test: Callable[[Any], bool]) -> list[bool]:
    return [any(test(e) for e in elements) for elements in model]


def below(a: Any, b: Any) -> bool:
    return bool(a.encode() < b.encode()) if isinstance(a, str) else bool(a < b)


@given(columns(), st.data())
def test_predicates(drawn: tuple[FieldType, bool, list[list[list[Any] | None]]], data: st.DataObject) -> None:
    kind, is_array, batches = drawn
    column, model = build(kind, is_array, batches)
    view = column.view(len(model))
    element = ELEMENTS[kind]
    one = data.draw(element)
    many = data.draw(st.lists(element, max_size=9))
    low, high = data.draw(st.none() | element), data.draw(st.none() | element)
    with_low, with_high = data.draw(st.booleans()), data.draw(st.booleans())

    def within(e: Any) -> bool:
        above = low is None or below(low, e) or (with_low and e == low)
        return above and (high is None or below(e, high) or (with_high and e == high))

    assert view.exists().mask().bools().tolist() == [bool(elements) for elements in model]
    assert view.equals(view.reader.stand_in(one)).mask().bools().tolist() == some(model, lambda e: e == one)
    assert view.one_of([view.reader.stand_in(e) for e in many]).mask().bools().tolist() == some(
        model, lambda e: e in many
    )
    assert view.between(low, high, with_low, with_high).mask().bools().tolist() == some(model, within)
    if kind is FieldType.KEYWORD:
        prefix = data.draw(st.sampled_from(["", "a", "a\0", "b" * 9, "b" * 71, "\U0001f9a6"]))
        assert view.starts_with(prefix).mask().bools().tolist() == some(model, lambda e: e.startswith(prefix))
        assert view.ends_with(prefix).mask().bools().tolist() == some(model, lambda e: e.endswith(prefix))
        with_star, with_mark = f"{prefix}*", f"?{prefix}"
        assert view.like(with_star).mask().bools().tolist() == some(model, lambda e: e.startswith(prefix))
        assert view.like(with_mark).mask().bools().tolist() == some(model, lambda e: e[1:] == prefix and e != "")


def keys_of(view: ScalarView, mode: SortMode) -> list[Any]:
    keys = view.sort_keys(mode)
    present = np.ones(view.size, bool) if keys.present is None else keys.present.bools()
    values = keys.values.tolist()
    if keys.strings is not None:
        values = [keys.strings.strings[v].decode() if p else None for v, p in zip(values, present, strict=True)]
    return [v if p else None for v, p in zip(values, present, strict=True)]


@given(columns(), st.sampled_from(SortMode))
def test_sort_keys(drawn: tuple[FieldType, bool, list[list[list[Any] | None]]], mode: SortMode) -> None:
    kind, is_array, batches = drawn
    column, model = build(kind, is_array, batches)
    view = column.view(len(model))
    if is_array and mode is SortMode.AVG:
        if kind in (FieldType.KEYWORD, FieldType.BOOLEAN):
            with pytest.raises(ParameterInvalid, match="AVG"):
                view.sort_keys(mode)
        else:
            for got, elements in zip(keys_of(view, mode), model, strict=True):
                assert (got is None) == (not elements)
                if elements and all(abs(e) < 1e100 for e in elements):
                    assert got == pytest.approx(math.fsum(elements) / len(elements), rel=1e-9, abs=1e90)
        return
    pick = min if mode is SortMode.MIN else max
    order = (lambda e: e.encode()) if kind is FieldType.KEYWORD else (lambda e: e)
    assert keys_of(view, mode) == [pick(elements, key=order) if elements else None for elements in model]


@given(columns(), st.data())
def test_compacted(drawn: tuple[FieldType, bool, list[list[list[Any] | None]]], data: st.DataObject) -> None:
    kind, is_array, batches = drawn
    column, model = build(kind, is_array, batches)
    kept = data.draw(st.lists(st.booleans(), min_size=len(model), max_size=len(model)))
    renumber = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    before = column.view(len(model))
    smaller = column.compacted(renumber)
    rest = [elements for elements, keep in zip(model, kept, strict=True) if keep]
    extra = data.draw(ELEMENTS[kind])
    if is_array:
        stage_elements(smaller, len(rest), [extra])
    else:
        assert smaller.stage(len(rest), extra)
    smaller.settle()
    smaller.publish()
    rest.append([extra])
    view = smaller.view(len(rest))
    assert view.equals(view.reader.stand_in(extra)).mask().bools().tolist() == some(rest, lambda e: e == extra)
    assert view.exists().mask().bools().tolist() == [bool(elements) for elements in rest]
    assert before.equals(before.reader.stand_in(extra)).mask().bools().tolist() == some(model, lambda e: e == extra)


def test_average_of_infinities_is_a_number() -> None:
    column, _ = build(FieldType.DOUBLE, True, [[[math.inf, -math.inf], [1.0, 2.0]]])
    assert keys_of(column.view(2), SortMode.AVG) == [0.0, 1.5]


def test_view_stays_as_it_was() -> None:
    column, _ = build(FieldType.KEYWORD, False, [[["a"], ["b"], None]])
    view = column.view(3)
    column.stage(3, "b")
    column.stage(4, "new")
    column.settle()
    column.publish()
    assert view.equals("b").mask().bools().tolist() == [False, True, False]
    assert view.equals("new").mask().bools().tolist() == [False, False, False]
    assert view.one_of(["new", "a"]).mask().bools().tolist() == [True, False, False]
    assert column.view(5).equals("new").mask().bools().tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("kind", "is_array", "value"),
    [
        (FieldType.LONG, False, 1.0),
        (FieldType.LONG, False, True),
        (FieldType.LONG, False, "1"),
        (FieldType.LONG, True, "[1.0]"),
        (FieldType.LONG, True, "[9223372036854775808]"),
        (FieldType.LONG, True, f"[{'9' * 5000}]"),
        (FieldType.LONG, True, "[1, true]"),
        (FieldType.LONG, True, "[1, [2]]"),
        (FieldType.LONG, True, "[1, -9223372036854775809]"),
        (FieldType.LONG, True, "[1, 1e400]"),
        (FieldType.LONG, True, "1"),
        (FieldType.LONG, True, 1),
        (FieldType.LONG, True, "[1"),
        (FieldType.LONG, True, "[" * 100_000),
        (FieldType.LONG, True, json.dumps([0] * (ARRAY_ELEMENTS_MAX + 1))),
        (FieldType.DOUBLE, False, math.nan),
        (FieldType.DOUBLE, True, "[1, NaN]"),
        (FieldType.DOUBLE, True, "[1, Infinity]"),
        (FieldType.DOUBLE, True, "[1, -Infinity]"),
        (FieldType.DOUBLE, True, "[1, 1e400]"),
        (FieldType.DOUBLE, True, "[1, -1e400]"),
        (FieldType.DOUBLE, True, "[1, 18446744073709551617]"),
        (FieldType.DOUBLE, False, "1.0"),
        (FieldType.BOOLEAN, False, 1),
        (FieldType.KEYWORD, False, b"a"),
        (FieldType.KEYWORD, False, "a" * (KEYWORD_BYTES_MAX + 1)),
        (FieldType.KEYWORD, False, "é" * (KEYWORD_BYTES_MAX // 2 + 1)),
        (FieldType.DATE, False, "soon"),
        (FieldType.DATE, False, 2**63 // 1_000_000 + 1),
        (FieldType.DATE, True, "[0, 9223372036855]"),
    ],
)
def test_values_that_do_not_fit(kind: FieldType, is_array: bool, value: Any) -> None:
    column = ScalarColumn(FieldSchema("f", kind, is_array=is_array))
    assert not column.stage(0, value)
    column.settle()
    column.publish()
    assert not column.view(1).exists().mask().bools().any()


@pytest.mark.parametrize(
    ("kind", "value", "elements"),
    [
        (FieldType.LONG, "[]", None),
        (FieldType.LONG, "[null]", None),
        (FieldType.LONG, "[1, null, 2]", [1, 2]),
        (FieldType.KEYWORD, "[null, null]", None),
        (FieldType.DOUBLE, "[-0.0, 1.7976931348623157e308]", [0.0, 1.7976931348623157e308]),
    ],
)
def test_a_null_is_no_element(kind: FieldType, value: str, elements: list[Any] | None) -> None:
    column = ScalarColumn(FieldSchema("f", kind, is_array=True))
    assert column.stage(0, value)
    column.settle()
    column.publish()
    assert column.view(1).value(0) == elements
    assert column.view(1).exists().mask().bools().tolist() == [elements is not None]


def test_an_element_that_is_too_long_is_left_out_alone() -> None:
    column = ScalarColumn(FieldSchema("f", FieldType.KEYWORD, is_array=True))
    assert column.stage(0, json.dumps(["a", "b" * (KEYWORD_BYTES_MAX + 1), "c"]))
    assert column.stage(1, '["\\ud800"]')
    assert column.settle() == 2
    assert not column.stage(2, '["a", 1]')
    assert column.settle() == 0
    column.publish()
    assert [column.view(3).value(doc) for doc in range(3)] == [["a", "c"], None, None]


def test_infinite_doubles_are_values_of_plain_columns() -> None:
    column, _ = build(FieldType.DOUBLE, False, [[[math.inf], [-math.inf], [1.0]]])
    assert column.view(3).between(1.0, None, include_lower=False).mask().bools().tolist() == [True, False, False]


def test_longest_keyword_and_array_fit() -> None:
    keyword = ScalarColumn(FieldSchema("f", FieldType.KEYWORD))
    assert keyword.stage(0, "é" * (KEYWORD_BYTES_MAX // 2))
    array = ScalarColumn(FieldSchema("f", FieldType.LONG, is_array=True))
    assert array.stage(0, json.dumps([0] * ARRAY_ELEMENTS_MAX))


def test_operand_says_what_is_wrong() -> None:
    view = ScalarColumn(FieldSchema("price", FieldType.LONG)).view(0)
    with pytest.raises(ParameterInvalid, match=r"field \[price\] is of type LONG: 'x' is no value of that type"):
        view.reader.point("x")
    dated = ScalarColumn(FieldSchema("day", FieldType.DATE, date_formats=("yyyy-MM-dd",))).view(0)
    with pytest.raises(ParameterInvalid, match="yyyy-MM-dd"):
        dated.reader.point("08/08/2008")
    with pytest.raises(ParameterInvalid, match=r"\.\.\."):
        view.reader.point("x" * 1000)
