"""Queries as JSON: what comes back is what went in, and nothing else is a query."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon
from lutra.model.nested import InnerHits, Nested, NestedFilter, ScoreMode
from lutra.model.queries import (
    Bool,
    Exists,
    FieldSort,
    Highlight,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Missing,
    Operator,
    Prefix,
    Query,
    Range,
    ScoreSort,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.query_codec import query_from_json, query_to_json
from lutra.model.scoring import (
    ConstScore,
    DateOrigin,
    Decay,
    DecayShape,
    DisMax,
    FieldValueFactor,
    FunctionScore,
    FunctionsScore,
    GeoOrigin,
    NumberOrigin,
    RandomScore,
    ScoreFunction,
)

_values = st.sampled_from([1, 1.0, True, "true", "1", b"\xff", dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), 2**63, -0.5])
_weights = st.sampled_from([1.0, 0.5, 0])
_leaves: st.SearchStrategy[Query] = (
    st.just(MatchAll())
    | st.builds(Term, st.text(max_size=3), _values, _weights)
    | st.builds(Terms, st.just("f"), st.lists(_values).map(tuple))
    | st.builds(Range, st.just("f"), st.none() | _values, st.none() | _values, st.booleans())
    | st.builds(Prefix, st.just("f"), st.text())
    | st.builds(Suffix, st.just("f"), st.text())
    | st.builds(Wildcard, st.just("f"), st.text())
    | st.builds(Exists, st.text())
    | st.builds(Match, st.just("f"), st.text(), st.sampled_from(Operator), st.sampled_from([None, 2, "75%"]))
    | st.builds(MatchPhrase, st.just("f"), st.text(), st.integers(0, 3))
    | st.sampled_from(
        [
            GeoBoundingBox("g", GeoPoint(1, 2), GeoPoint(0.5, 3)),
            GeoDistance("g", GeoPoint(1.5, 2), 7.0),
            GeoPolygon("g", (GeoPoint(1, 2), GeoPoint(3, 4), GeoPoint(5, 0))),
        ]
    )
)
_functions = st.sampled_from(
    [
        None,
        FieldValueFactor("n", missing=1.5),
        RandomScore(3),
        Decay("n", NumberOrigin(1, 2), DecayShape.EXP),
        Decay("d", DateOrigin("2026", 2), DecayShape.GAUSS),
        Decay("g", GeoOrigin(GeoPoint(1, 2), 3.0), DecayShape.LINEAR, 0.1),
    ]
)
_hits = InnerHits(
    (
        ScoreSort(),
        FieldSort("a.b", missing=Missing.FIRST, nested_filter=NestedFilter("a", Term("a.b", "_first"))),
        FieldSort("a.c", missing="_first"),
    ),
    limit=7,
    highlight=Highlight((HighlightField("a.t"),)),
)


def _around(parts: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    several = st.lists(parts, max_size=2).map(tuple)
    function = st.builds(ScoreFunction, _functions, _weights, st.none() | parts)
    return (
        st.builds(Bool, several, several, several, several, st.sampled_from([None, 1, "1<50%"]))
        | st.builds(ConstScore, parts)
        | st.builds(DisMax, several, st.just(0.5))
        | st.builds(FunctionScore, parts, st.just("n"))
        | st.builds(FunctionsScore, parts, st.lists(function, max_size=2).map(tuple))
        | st.builds(Nested, st.just("a"), parts, st.sampled_from(ScoreMode), _weights, st.sampled_from([None, _hits]))
    )


@given(st.recursive(_leaves, _around, max_leaves=8))
def test_what_comes_back_is_what_went_in(query: Query) -> None:
    stored = json.loads(json.dumps(query_to_json(query)))
    assert repr(query_from_json(stored)) == repr(query)


def test_vectors() -> None:
    query = KnnVector("v", np.array([1.5, -2e-40], np.float32), 3, Term("n", 1), num_candidates=9)
    back = query_from_json(json.loads(json.dumps(query_to_json(query))))
    assert isinstance(back, KnnVector)
    assert back.vector.dtype == np.float32
    assert repr(back) == repr(query)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        1,
        "Term",
        [],
        ["Term"],
        ["Term", {}],
        ["Term", {"field": 1, "value": 1}],
        ["Term", {"field": "f", "value": [1]}],
        ["Term", {"field": "f", "value": 1, "weight": "1"}],
        ["Term", {"field": "f", "value": 1, "other": 1}],
        ["Bool", {"must": ["Term", {"field": "f", "value": 1}]}],
        ["Bool", {"must": [["GeoPoint", {"lat": 1, "lon": 2}]]}],
        ["NestedFilter", {"path": "a", "filter": ["MatchAll", {}]}],
        ["Match", {"field": "f", "text": "t", "operator": {"enum": 7}}],
        ["Match", {"field": "f", "text": "t", "operator": 1}],
        ["KnnVector", {"field": "v", "vector": "!", "top_k": 1}],
        ["Term", {"field": "f", "value": {"datetime": "soon"}}],
    ],
)
def test_nothing_else_is_a_query(stored: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of any text
        query_from_json(stored)
