"""Random orders of hits."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st
from support.worlds.queries import operands
from support.worlds.schemas import SCALARS

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import DocSort, FieldSort, Missing, PrimaryKeySort, ScoreSort, Sorter, SortMode

NUMBERS = (FieldType.LONG, FieldType.DOUBLE, FieldType.DATE)


def field_sorts(field: FieldSchema, schema: IndexSchema) -> st.SearchStrategy[Sorter]:
    """By a field, or others of its type."""
    others = [one.name for one in schema.fields if one.type is field.type and one.date_formats == field.date_formats]
    modes = list(SortMode) if field.type in NUMBERS else [SortMode.MIN, SortMode.MAX]
    missing = [operand for operand in operands(field) if not isinstance(operand, dt.datetime)]
    return st.builds(
        FieldSort,
        st.just(field.name),
        st.booleans(),
        st.none() | st.sampled_from(modes),
        st.none() | st.sampled_from([*Missing, *missing]),
        st.lists(st.sampled_from(others), max_size=2, unique=True).map(tuple),
    )


def sorts(schema: IndexSchema, with_scores: bool = True) -> st.SearchStrategy[tuple[Sorter, ...]]:
    """Up to three sorters."""
    sorters = [field_sorts(field, schema) for field in schema.fields if field.type in SCALARS]
    sorters += [st.builds(PrimaryKeySort, st.booleans()), st.builds(DocSort, st.booleans())]
    if with_scores:
        sorters.append(st.builds(ScoreSort, st.booleans()))
    return st.lists(st.one_of(*sorters), max_size=3).map(tuple)
