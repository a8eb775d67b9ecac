"""How a query is evaluated: what comes twice is looked for once, the rarest first, and no further than needed."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from support.indexes import memory_index

from lutra.index.lsm.index import SearchIndex
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import (
    Bool,
    Exists,
    KnnVector,
    MatchAll,
    Prefix,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Term,
    Terms,
)
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.search.plan import plan_of

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("x", FieldType.DOUBLE),
        FieldSchema("k", FieldType.KEYWORD),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)


def filled(rows: int) -> SearchIndex:
    index = memory_index(SCHEMA, KEY)
    vectors = [np.array([n, 0], "<f4").tobytes() for n in range(rows)]
    index.apply(
        [Row((("id", n),), [("k", f"k{n % 7}", 1), ("n", n % 3, 1), ("v", vectors[n], 1)]) for n in range(rows)]
    )
    return index


INDEX = filled(42)


def near(x: float, **more: Any) -> KnnVector:
    return KnnVector("v", np.array([x, 0], np.float32), 3, **more)


def conditions(query: Query) -> int:
    """How many were listed, in the one part that there is."""
    return search(INDEX.view(), SearchRequest(query, (ScoreSort(),))).stats.parts[0].conditions


def test_a_condition_that_comes_twice_is_evaluated_once() -> None:
    once = Bool(must=(Term("n", 1), Range("n", 0, 1)), must_not=(Prefix("k", "k6"),), should=(Exists("n"),))
    again = Bool(filter=(Term("n", 1), Range("n", 0, 1), Terms("n", (1, 1))), should=(Prefix("k", "k6"), once, once))
    assert conditions(once) == 5
    assert conditions(again) == 5 + 1
    assert conditions(Bool(must=(MatchAll(), Bool(must=(MatchAll(),)), Bool(must=(MatchAll(),), weight=2.0)))) == 4


def test_weights_do_not_make_it_another() -> None:
    query = Bool(should=(Term("n", 1, 2.0), Term("n", 1, 0.5), Term("n", 1)))
    assert conditions(query) == 2
    assert {hit.score for hit in search(INDEX.view(), SearchRequest(query, (ScoreSort(),))).hits} == {3.5}


def test_the_same_neighbours_are_looked_for_once() -> None:
    """And the filter of two, once for both."""
    one, other = near(5.0, filter=Term("n", 1)), near(5.0, filter=Term("n", 1))
    twice = search(INDEX.view(), SearchRequest(Bool(should=(one, other)), (ScoreSort(),)))
    assert twice.stats.distances == 14
    assert [(hit.key[0][1], hit.score) for hit in twice.hits] == [(4, 1.0), (7, 0.4), (1, 2 / 17)]
    another = near(5.0, filter=Term("n", 1), weight=2.0)
    assert search(INDEX.view(), SearchRequest(Bool(should=(one, another)))).stats.distances == 28
    assert conditions(Bool(should=(one, near(9.0, filter=Term("n", 1))))) == 4


def test_values_that_are_equal_are_one_value() -> None:
    binds = [Bool(should=(Term("x", one), Term("x", other))) for one, other in ((0, 0.0), (0.0, -0.0), ("1", 1))]
    assert [len(plan_of(INDEX.view(), SearchRequest(query)).conditions) for query in binds] == [2, 2, 2]
    assert len(plan_of(INDEX.view(), SearchRequest(Bool(should=(Term("x", 1), Term("n", 1))))).conditions) == 3


def test_the_rarest_condition_comes_first_and_ends_it_where_nothing_is_left() -> None:
    assert conditions(Bool(must=(Exists("n"), Range("n", 0, 9)), filter=(Term("n", 77),))) == 2
    assert conditions(Bool(must=(Term("n", 77),), must_not=(Exists("k"),), should=(Exists("v"), Exists("x")))) == 2


def test_several_neighbours_and_a_filter_in_one_query() -> None:
    query = Bool(should=(near(5.0), near(20.0, weight=2.0)), filter=(Range("n", 1, 2),))
    hits = search(INDEX.view(), SearchRequest(query, (ScoreSort(),))).hits
    by_first, by_second = {4: 0.5, 5: 1.0}, {19: 1.0, 20: 2.0}
    found = {hit.key[0][1]: hit.score for hit in hits}
    assert {n: found[n] for n in (4, 5, 19, 20)} == {**by_first, **by_second}


def test_what_a_search_looked_at_is_let_go_of_when_it_is_over() -> None:
    """By counting references alone: segments that a merge has replaced are closed when the last search ends."""
    query = Bool(must=(near(1.0, filter=Bool(must=(Term("n", 1),))), MatchAll()), should=(Exists("n"),))
    gc.collect()
    gc.disable()
    try:
        assert search(INDEX.view(), SearchRequest(query, (ScoreSort(),))).hits
        assert gc.collect() == 0
    finally:
        gc.enable()
