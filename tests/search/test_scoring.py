"""Queries that score otherwise: as a plain model, in a buffer, in segments, and in both."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.reference.answer import sort_of
from support.shared_out import shared_out
from support.stored_segments import Shelf
from support.worlds.expected import expected_hits
from support.worlds.queries import queries
from support.worlds.schemas import leaves_of
from support.worlds.scoring import rescored as random_rescored
from support.worlds.world import World, worlds

from lutra.index.lsm.index import SearchIndex
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Bool, Exists, MatchAll, PrimaryKeySort, Query, Range, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
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
    RandomScore,
    ScoreFunction,
)
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("x", FieldType.DOUBLE),
        FieldSchema("word", FieldType.KEYWORD),
        FieldSchema("day", FieldType.DATE, date_formats=("yyyy-MM-dd",)),
        FieldSchema("text", FieldType.TEXT),
    )
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.booleans(), st.integers(0, 2**32))
def test_as_the_reference(shelf: Shelf, world: World, data: st.DataObject, by_score: bool, seed: int) -> None:
    query = data.draw(
        random_rescored(leaves_of(world.schema), queries(world.schema, 3), queries(world.schema, 2, False))
    )
    request = SearchRequest(query, (ScoreSort(),) if by_score else (), limit=100, count_total=True)
    expected = expected_hits(world, request, 100)
    whole = search(world.index.view(), request)
    assert whole.total == len(expected)
    assert [hit.key for hit in whole.hits] == [key for key, _ in expected]
    if any(isinstance(sorter, ScoreSort) for sorter in sort_of(world.schema, request)):
        assert [hit.score for hit in whole.hits] == [score for _, score in expected]
    answer = search(shared_out(world.index, list(world.written.values()), random.Random(seed), shelf), request)
    assert list(map(repr, answer.hits)) == list(map(repr, whole.hits))
    assert answer.next_token == whole.next_token


def filled(rows: int = 20) -> SearchIndex:
    """``x`` is there in every second row, ``day`` the n-th of January."""
    index = memory_index(SCHEMA, KEY)
    index.apply(
        [
            Row(
                (("id", n),),
                [("day", f"2026-01-{n + 1:02d}", 1), ("n", n, 1), ("text", "otter " * (n % 3) + "x", 1)]
                + ([("x", n / 2, 1)] if n % 2 == 0 else []),
            )
            for n in range(rows)
        ]
    )
    return index


INDEX = filled()


def found(query: Query, index: SearchIndex = INDEX, **more: Any) -> dict[int, float]:
    hits = search(index.view(), SearchRequest(query, (ScoreSort(),), limit=100, **more)).hits
    return {int(hit.key[0][1]): hit.score for hit in hits}  # type: ignore[call-overload]


def rescored(*functions: ScoreFunction, query: Query | None = None, **more: Any) -> FunctionsScore:
    return FunctionsScore(MatchAll() if query is None else query, functions, **more)


DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize("shape", DecayShape)
def test_decays_by_scale_and_offset(shape: DecayShape) -> None:
    """1 up to the offset, ``decay`` a scale beyond it: the same of numbers and of dates."""
    number = Decay("n", NumberOrigin(5, 4, 2), shape, 0.3)
    date = Decay("day", DateOrigin("2026-01-06", 4 * DAY_NS, 2 * DAY_NS), shape, 0.3)
    for decay in (number, date):
        scores = found(rescored(ScoreFunction(decay)))
        assert [scores[n] for n in (3, 4, 5, 6, 7)] == [1.0] * 5
        assert [scores[n] for n in (11,)] == pytest.approx([0.3])
        assert all(scores[n] > scores[n + 1] or not scores[n] for n in range(7, 19))
    assert found(rescored(ScoreFunction(number))) == pytest.approx(found(rescored(ScoreFunction(date))))


def test_the_best_come_first_where_no_order_is_asked_for() -> None:
    """As an official SDK's tests have it; of queries within another the order is that of the other."""
    query = rescored(ScoreFunction(Decay("n", NumberOrigin(5, 1), DecayShape.LINEAR)))
    answer = search(INDEX.view(), SearchRequest(query, limit=2))
    assert ([hit.key[0][1] for hit in answer.hits], [hit.score for hit in answer.hits]) == ([5, 4], [1.0, 0.5])
    again = search(INDEX.view(), SearchRequest(query, limit=1, token=answer.next_token))
    assert [hit.key[0][1] for hit in again.hits] == [6]
    assert search(INDEX.view(), SearchRequest(Bool(must=(query,)), limit=1)).hits[0].key[0][1] == 0


def test_a_row_without_the_field() -> None:
    """To a decay it is at the origin; of a value that is not there nothing is said, but for what stands in for it."""
    decay = found(rescored(ScoreFunction(Decay("x", NumberOrigin(0, 1), DecayShape.EXP))))
    assert (decay[1], decay[2]) == (1.0, 0.5)
    values = found(rescored(ScoreFunction(FieldValueFactor("x", 10.0)), combine=CombineMode.SUM))
    assert (values[3], values[4]) == (1.0 + 1.0, 1.0 + 20.0)
    assert found(FunctionScore(Term("n", 3), "x")) == {3: 1.0}
    stood_in = found(
        rescored(
            ScoreFunction(FieldValueFactor("x", 10.0, Modifier.LN1P, missing=0.5)),
        )
    )
    assert stood_in[3] == pytest.approx(math.log(6.0))
    zero = found(rescored(ScoreFunction(FieldValueFactor("n", 1.0, Modifier.LOG, missing=100.0))))
    assert (zero[0], zero[10]) == (2.0, 1.0)


def test_of_an_array_one_distance_counts() -> None:
    index = memory_index(IndexSchema((FieldSchema("many", FieldType.LONG, is_array=True),)), KEY)
    index.apply([Row((("id", n),), [("many", many, 1)]) for n, many in enumerate(["[1, -3, 6]", "[]", "[2]"])])
    distances = {ManyMode.MIN: 1, ManyMode.MAX: 6, ManyMode.SUM: 10, ManyMode.AVG: 10 / 3}
    for mode, distance in distances.items():
        decay = Decay("many", NumberOrigin(0, 1), DecayShape.EXP, mode=mode)
        assert found(rescored(ScoreFunction(decay)), index) == pytest.approx({0: 0.5**distance, 1: 1.0, 2: 0.25})


def test_decays_over_the_earth(shelf: Shelf) -> None:
    """By metres, of the nearest of several points; in a buffer and in segments."""
    schema = IndexSchema((FieldSchema("at", FieldType.GEO_POINT, is_array=True),))
    places: dict[int, list[str]] = {0: ["0,0"], 1: ["0,0.1"], 2: ["0,0.2", "0,-0.1"], 3: [], 4: ["60,170", "0,0.3"]}
    rows = [Row((("id", n),), [("at", json.dumps(at), 1)]) for n, at in places.items()]
    index = memory_index(schema, KEY)
    index.apply(rows)
    tenth_m = 6_371_008.8 * math.radians(0.1)
    expected = {ManyMode.MIN: [1, 0.5, 0.5, 1, 0.125], ManyMode.SUM: [1, 0.5, 0.125, 1, 0.0]}
    for mode, scores in expected.items():
        query = rescored(ScoreFunction(Decay("at", GeoOrigin(GeoPoint(0, 0), tenth_m), DecayShape.EXP, mode=mode)))
        assert found(query, index) == pytest.approx(dict(enumerate(scores)), rel=2e-3)
        view = shared_out(index, rows, random.Random(3), shelf)
        hits = search(view, SearchRequest(query, (ScoreSort(),))).hits
        assert {hit.key[0][1]: hit.score for hit in hits} == found(query, index)


def test_functions_apply_where_their_filters_do() -> None:
    some = (ScoreFunction(weight=3.0, filter=Range("n", 0, 9)), ScoreFunction(weight=5.0, filter=Range("n", 5, 14)))
    modes = {
        FunctionMode.SUM: (3.0, 8.0, 5.0, 1.0),
        FunctionMode.MULTIPLY: (3.0, 15.0, 5.0, 1.0),
        FunctionMode.AVG: (1.0, 1.0, 1.0, 1.0),
        FunctionMode.FIRST: (3.0, 3.0, 5.0, 1.0),
        FunctionMode.MAX: (3.0, 5.0, 5.0, 1.0),
        FunctionMode.MIN: (3.0, 3.0, 5.0, 1.0),
    }
    for mode, expected in modes.items():
        scores = found(rescored(*some, mode=mode))
        assert tuple(scores[n] for n in (0, 7, 12, 19)) == expected, mode
        assert max(found(rescored(*some, mode=mode, max_score=4.0)).values()) <= 4.0


def test_rows_that_do_not_score_enough_do_not_match() -> None:
    """Wherever the query stands, and whether or not anybody asks for scores."""
    enough = rescored(ScoreFunction(FieldValueFactor("n")), min_score=15.0)
    assert sorted(found(enough)) == [15, 16, 17, 18, 19]
    for query in (enough, Bool(filter=(enough,)), Bool(must_not=(Bool(must_not=(enough,)),)), ConstScore(enough)):
        answer = search(INDEX.view(), SearchRequest(query, (PrimaryKeySort(),), limit=100, count_total=True))
        assert (answer.total, [hit.key[0][1] for hit in answer.hits]) == (5, [15, 16, 17, 18, 19])
        assert all(math.isnan(hit.score) for hit in answer.hits)


def test_words_score_alike_wherever_rows_lie(shelf: Shelf) -> None:
    """How much a word says is known of all parts, also where its scores only decide what matches."""
    rows = [Row((("id", n),), [("n", n, 1), ("text", "otter " * (n % 5) + "x " * n, 1)]) for n in range(60)]
    index = memory_index(SCHEMA, KEY)
    index.apply(rows)
    words = Term("text", "otter")
    scores = found(words, index)
    bound = sorted(scores.values())[len(scores) // 2]
    query = Bool(filter=(FunctionsScore(words, (ScoreFunction(),), min_score=bound),))
    expected = {key for key, score in scores.items() if np.float32(score) >= np.float32(bound)}
    dis_max = DisMax((words, Term("n", 7, 0.1)), 0.5)
    for seed in range(4):
        view = shared_out(index, rows, random.Random(seed), shelf)
        answer = search(view, SearchRequest(query, limit=100))
        assert {hit.key[0][1] for hit in answer.hits} == expected
        best = search(view, SearchRequest(dis_max, (ScoreSort(),), limit=100)).hits
        assert {hit.key[0][1]: hit.score for hit in best} == pytest.approx(found(dis_max, index))
    assert found(dis_max, index)[7] == pytest.approx(scores[7] + 0.05)


def test_random_scores() -> None:
    """Each row has its own, in [0, 1); others with another seed, and in the next search, which no seed was given."""
    query = rescored(ScoreFunction(RandomScore(7)))
    first = found(query)
    assert len(set(first.values())) == 20
    assert all(0 <= score < 1 for score in first.values())
    assert found(query, filled(40)).items() >= first.items()
    assert found(rescored(ScoreFunction(RandomScore(8)))) != first
    drawn = rescored(ScoreFunction(RandomScore()))
    assert found(drawn) != found(drawn)
    twice = found(
        rescored(ScoreFunction(RandomScore()), ScoreFunction(RandomScore(), -0.0 + 1.0), mode=FunctionMode.MAX)
    )
    assert len(twice) == 20
    many = found(query, filled(20))
    assert 0.25 < sum(many.values()) / len(many) < 0.75


def test_random_order_goes_on_from_a_token() -> None:
    """No row comes twice, none is left out, although nobody said a seed."""
    request = SearchRequest(rescored(ScoreFunction(RandomScore())), (ScoreSort(),), limit=3)
    seen: list[Any] = []
    for _ in range(10):
        answer = search(INDEX.view(), request)
        seen += [(hit.key[0][1], hit.score) for hit in answer.hits]
        if not answer.next_token:
            break
        request = replace(request, token=answer.next_token, sort=())
    assert sorted(key for key, _ in seen) == list(range(20))
    assert [score for _, score in seen] == sorted((score for _, score in seen), reverse=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (DisMax(()), r"\[dis_max query\] has no queries"),
        (DisMax((MatchAll(),), 1.5), r"tie_breaker must be in \[0, 1\], not 1.5"),
        (DisMax((MatchAll(),), math.nan), "tie_breaker"),
        (DisMax((MatchAll(),), weight=-1.0), r"\[dis_max query\] weight"),
        (FunctionScore(MatchAll(), "word"), r"field: word type: keyword is invalid, allow \[long, double\]"),
        (FunctionScore(MatchAll(), "no"), r"\[field_value_factor\] field: no does not exist"),
        (rescored(), "takes 1 to 3 functions, not 0"),
        (rescored(*[ScoreFunction()] * 4), "takes 1 to 3 functions, not 4"),
        (rescored(ScoreFunction(weight=math.inf)), r"\[functions_score query\] weight"),
        (rescored(ScoreFunction(filter=Term("no", 1))), "no does not exist"),
        (rescored(ScoreFunction(), min_score=math.nan), "min_score must be a finite number"),
        (rescored(ScoreFunction(), max_score=math.inf), "max_score must be a finite number"),
        (rescored(ScoreFunction(FieldValueFactor("n", math.nan))), "factor must be a finite number"),
        (rescored(ScoreFunction(FieldValueFactor("n", 1.0, Modifier.LOG, 0.0))), "missing: 0.0 has no LOG"),
        (rescored(ScoreFunction(FieldValueFactor("n", missing=math.nan))), "missing"),
        (rescored(ScoreFunction(Decay("n", NumberOrigin(0, 0), DecayShape.EXP))), "scale must be more than 0"),
        (rescored(ScoreFunction(Decay("n", NumberOrigin(0, 1, -1), DecayShape.EXP))), "offset must not be negative"),
        (rescored(ScoreFunction(Decay("n", NumberOrigin(math.nan, 1), DecayShape.EXP))), "origin must be a finite"),
        (rescored(ScoreFunction(Decay("n", NumberOrigin(0, 1), DecayShape.EXP, 1.0))), r"decay must be in \(0, 1\)"),
        (
            rescored(ScoreFunction(Decay("day", NumberOrigin(0, 1), DecayShape.EXP))),
            r"field: day type: date is invalid, allow \[long, double\]",
        ),
        (
            rescored(ScoreFunction(Decay("n", DateOrigin("2026-01-01", 1), DecayShape.EXP))),
            r"field: n type: long is invalid, allow \[date\]",
        ),
        (rescored(ScoreFunction(Decay("day", DateOrigin("soon", 1), DecayShape.EXP))), "'soon' is no value"),
        (
            rescored(ScoreFunction(Decay("day", GeoOrigin(GeoPoint(0, 0), 1), DecayShape.EXP))),
            r"type: date is invalid, allow \[geo_point\]",
        ),
    ],
)
def test_refuses(query: Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(INDEX.view(), SearchRequest(query))


def test_explains_itself() -> None:
    inner = FunctionsScore(
        DisMax((Exists("x"), Term("n", 1))),
        (
            ScoreFunction(Decay("n", NumberOrigin(1, 2), DecayShape.GAUSS), 2.0, Range("n", 0, 5)),
            ScoreFunction(RandomScore(3)),
            ScoreFunction(FieldValueFactor("x", 2.0, Modifier.SQRT)),
        ),
        min_score=0.0,
    )
    answer = search(INDEX.view(), SearchRequest(Bool(must=(ConstScore(inner),)), (ScoreSort(),), explain=True))
    assert answer.stats.explanation is not None
    [constant] = answer.stats.explanation["parts"][0]["query"]["must"]
    told = constant["filter"]
    assert (told["query"], told["mode"], told["combine"], told["min_score"]) == (
        "functions_score",
        "multiply",
        "multiply",
        0.0,
    )
    assert [one.get("function") for one in told["functions"]] == ["gauss", "random", "field_value_factor"]
    assert told["functions"][0]["filter"]["rows"] == 6
    assert told["of"]["query"] == "dis_max"
    assert [one["query"] for one in told["of"]["queries"]] == ["exists", "term"]
