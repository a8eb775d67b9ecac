"""Columns of any type for property tests: the elements of each document, and the same in memory."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from support.scalar_streams import stage_elements

from lutra.model.indexes import FieldSchema, FieldType
from lutra.scalars.column import ScalarColumn, ScalarView

ELEMENTS: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.LONG: st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    FieldType.DATE: st.integers(-3, 3) | st.integers(1_790_000_000_000_000_000, 1_790_000_000_000_000_300),
    FieldType.DOUBLE: st.sampled_from([-1.5, -0.0, 0.0, 1.0, math.inf, -math.inf]) | st.floats(allow_nan=False),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.KEYWORD: st.sampled_from(
        ["", "a", "ab", "a\0", "é", "z\u07ff", "b" * 70, "b" * 71, "\U0001f9a6", "\U0010ffff"]
    )
    | st.text(max_size=3),
    FieldType.FUZZY_KEYWORD: st.text("ab\0é", max_size=4),
}

Model = list[list[Any]]


@st.composite
def columns(draw: st.DrawFn, kind: FieldType | None = None) -> tuple[FieldSchema, Model]:
    """A field, and the elements of each document."""
    kind = kind or draw(st.sampled_from(list(ELEMENTS)))
    is_array = draw(st.booleans())
    formats = ("epoch_nanos",) if kind is FieldType.DATE else ()
    field = FieldSchema("f", kind, is_array=is_array, date_formats=formats)
    least = 1 if draw(st.booleans()) else 0
    document = st.lists(ELEMENTS[kind], min_size=least, max_size=3 if is_array else 1)
    return field, draw(st.lists(document, max_size=30))


def in_memory(field: FieldSchema, model: Model) -> ScalarView:
    column = ScalarColumn(field)
    for doc, elements in enumerate(model):
        if elements or field.is_array:
            if field.is_array:
                stage_elements(column, doc, elements)
            else:
                assert column.stage(doc, elements[0])
    column.settle()
    column.publish()
    return column.view(len(model))
