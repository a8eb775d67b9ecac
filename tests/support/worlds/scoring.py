"""Random queries that say what a score is."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from support.worlds.contents import PLACES

from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import Query
from lutra.model.scoring import (
    CombineMode,
    ConstScore,
    DateOrigin,
    Decay,
    DecayShape,
    DisMax,
    FieldValueFactor,
    FunctionMode,
    FunctionScore,
    FunctionsScore,
    GeoOrigin,
    ManyMode,
    Modifier,
    NumberOrigin,
    Origin,
    ScoreFunction,
)

MS_NS, DAY_NS = 10**6, 86_400 * 10**9
NUMBERS = (FieldType.LONG, FieldType.DOUBLE)
PART_WEIGHTS = st.sampled_from([1.0, 0.0, 0.5, 3.0, 1e38])


@st.composite
def factors(draw: st.DrawFn, field: FieldSchema) -> FieldValueFactor:
    missing = draw(st.sampled_from([None, 1.0, 3.5]))
    factor = draw(st.sampled_from([1.0, 0.5, 1e30] + ([] if missing else [-2.0])))
    return FieldValueFactor(field.name, factor, draw(st.sampled_from(Modifier)), missing)


def decays(field: FieldSchema) -> st.SearchStrategy[Decay]:
    origins: st.SearchStrategy[Origin]
    if field.type is FieldType.GEO_POINT:
        points = st.sampled_from(PLACES).map(lambda place: GeoPoint(*place))
        origins = st.builds(GeoOrigin, points, st.sampled_from([1_000.0, 1e6]), st.sampled_from([0.0, 5_000.0]))
    elif field.type is FieldType.DATE:
        at = st.sampled_from([0, 2 * MS_NS, 1_711_846_800 * 10**9, -(2**63), 2**63 - 1])
        origins = st.builds(DateOrigin, at, st.sampled_from([MS_NS, 3 * DAY_NS, 5]), st.sampled_from([0, 400_000]))
    else:
        at = st.sampled_from([0.0, 1.3, -4.0])
        origins = st.builds(NumberOrigin, at, st.sampled_from([1.0, 3.0, 1e9]), st.sampled_from([0.0, 0.5]))
    shapes, modes = st.sampled_from(DecayShape), st.sampled_from(ManyMode)
    return st.builds(Decay, st.just(field.name), origins, shapes, st.sampled_from([0.5, 0.1, 0.99]), modes)


def score_functions(
    known: Sequence[FieldSchema], filters: st.SearchStrategy[Query]
) -> st.SearchStrategy[ScoreFunction]:
    """Each times a weight, of what a filter lets pass or of all."""
    functions: list[st.SearchStrategy[FieldValueFactor | Decay | None]] = [st.none()]
    functions += [factors(field) for field in known if field.type in NUMBERS]
    functions += [decays(field) for field in known if field.type in (*NUMBERS, FieldType.DATE, FieldType.GEO_POINT)]
    return st.builds(ScoreFunction, st.one_of(*functions), PART_WEIGHTS, st.none() | filters)


def rescored(
    known: Sequence[FieldSchema], part: st.SearchStrategy[Query], filters: st.SearchStrategy[Query]
) -> st.SearchStrategy[Query]:
    """Queries of ``part`` that score otherwise."""
    ties, weights = st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([1.0, 0.5, 3e38])
    names = [field.name for field in known if field.type in NUMBERS]
    by_value = [st.builds(FunctionScore, part, st.sampled_from(names))] if names else []
    return st.one_of(
        *by_value,
        st.builds(ConstScore, part),
        st.builds(DisMax, st.lists(part, min_size=1, max_size=3).map(tuple), ties, weights),
        st.builds(
            FunctionsScore,
            part,
            st.lists(score_functions(known, filters), min_size=1, max_size=3).map(tuple),
            st.sampled_from(FunctionMode),
            st.sampled_from(CombineMode),
            st.sampled_from([None, None, None, -1.0, 0.4, 2.0]),
            st.sampled_from([None, None, 0.7, 100.0]),
        ),
    )
