"""Random orders of hits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st
from support.worlds.contents import PLACES
from support.worlds.queries import operands, queries
from support.worlds.schemas import SCALARS, leaves_of, nested_of

from lutra.model.geo import DistanceType, GeoDistanceSort, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import NestedFilter
from lutra.model.queries import DocSort, FieldSort, Missing, PrimaryKeySort, ScoreSort, Sorter, SortMode

NUMBERS = (FieldType.LONG, FieldType.DOUBLE, FieldType.DATE)


def field_sorts(field: FieldSchema, known: Sequence[FieldSchema]) -> st.SearchStrategy[Sorter]:
    """By a field, or others of its type."""
    others = [one.name for one in known if one.type is field.type and one.date_formats == field.date_formats]
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


def geo_sorts(field: FieldSchema) -> st.SearchStrategy[Sorter]:
    """By how far a place is."""
    points = st.lists(st.sampled_from(PLACES).map(lambda place: GeoPoint(*place)), min_size=1, max_size=2).map(tuple)
    modes = st.none() | st.sampled_from(SortMode)
    return st.builds(GeoDistanceSort, st.just(field.name), points, st.booleans(), modes, st.sampled_from(DistanceType))


@st.composite
def nested_sorts(draw: st.DrawFn, schema: IndexSchema, path: str) -> Sorter:
    """By the documents at ``path`` that match."""
    within = NestedFilter(path, draw(queries(schema, 2, False, path)))
    places = [field for field in leaves_of(schema, path) if field.type is FieldType.GEO_POINT]
    values = [field for field in leaves_of(schema, path) if field.type in (*SCALARS, FieldType.IP)]
    if not places and not values:
        return DocSort()
    field = draw(st.sampled_from([*places, *values]))
    made = draw(geo_sorts(field) if field in places else field_sorts(field, values))
    assert isinstance(made, FieldSort | GeoDistanceSort)
    return replace(made, nested_filter=within)


def sorts(schema: IndexSchema, with_scores: bool = True) -> st.SearchStrategy[tuple[Sorter, ...]]:
    """Up to three sorters."""
    sorters = [
        field_sorts(field, leaves_of(schema)) for field in leaves_of(schema) if field.type in (*SCALARS, FieldType.IP)
    ]
    sorters += [st.builds(PrimaryKeySort, st.booleans()), st.builds(DocSort, st.booleans())]
    sorters += [geo_sorts(field) for field in leaves_of(schema) if field.type is FieldType.GEO_POINT]
    sorters += [nested_sorts(schema, path) for path in nested_of(schema, "")]
    if with_scores:
        sorters.append(st.builds(ScoreSort, st.booleans()))
    return st.lists(st.one_of(*sorters), max_size=3).map(tuple)
