"""Queries for documents within rows: as a plain model, in a buffer, in segments, and in both."""

from __future__ import annotations

import gc
import json
import math
import random
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.nested_queries import KEY, docs_of, filled, found, index_of, random_query, random_rows, row_of
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.index.lsm.index import SearchIndex
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.nested import InnerHits, InnerHitsByPath, Nested, NestedFilter, ScoreMode
from lutra.model.queries import (
    Bool,
    DocSort,
    Exists,
    FieldSort,
    Highlight,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    PrimaryKeySort,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Term,
)
from lutra.model.rows import Row
from lutra.model.scoring import FunctionScore, FunctionsScore, ScoreFunction
from lutra.search import search, search_many
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.booleans())
def test_as_the_model(shelf: Shelf, seed: int, by_score: bool) -> None:
    rng = random.Random(seed)
    rows = random_rows(rng, rng.choice([3, 15, 40]))
    docs, index = docs_of(rows), filled(rng, rows)
    view = shared_out(index, [row_of(number, columns) for number, columns in rows.items()], rng, shelf)
    for _ in range(8):
        query = random_query(rng, "", rng.randint(1, 5))
        expected = {doc.row: score for doc, score in found(query, docs).items()}
        request = SearchRequest(query, (ScoreSort(),) if by_score else (), limit=100, count_total=True)
        whole = search(index.view(), request)
        assert {hit.key[0][1] for hit in whole.hits} == set(expected), query
        assert whole.total == len(expected)
        if by_score:
            scores = {hit.key[0][1]: hit.score for hit in whole.hits}
            assert scores == pytest.approx(expected), query
        answer = search(view, request)
        assert list(map(repr, answer.hits)) == list(map(repr, whole.hits)), query
        assert (answer.total, answer.next_token) == (whole.total, whole.next_token)


def scores_of(index: SearchIndex, query: Query) -> dict[Any, float]:
    hits = search(index.view(), SearchRequest(query, (ScoreSort(),), limit=100)).hits
    return {hit.key[0][1]: hit.score for hit in hits}


def inner(index: SearchIndex, query: Query) -> dict[Any, Any]:
    """By row: by path the place, the score and what is below each document."""
    answer = search(index.view(), SearchRequest(query, limit=100))
    return {hit.key[0][1]: told(own) for hit, own in zip(answer.hits, answer.inner_hits, strict=True)}


def told(hits: InnerHitsByPath) -> dict[str, Any]:
    return {
        path: [(*hit.offsets, hit.score, told(hit.inner)) if hit.inner else (*hit.offsets, hit.score) for hit in own]
        for path, own in hits.items()
    }


def test_scores_by_mode() -> None:
    index = index_of({1: [{"price": 1}, {"price": 2}, {"price": 7}], 2: [{"price": 2}], 3: [{"price": 9}]})
    own = FunctionScore(Range("items.price", 0, 8), "items.price")
    expected = {
        ScoreMode.NONE: (0.0, 0.0),
        ScoreMode.AVG: (10 / 3, 2.0),
        ScoreMode.MAX: (7.0, 2.0),
        ScoreMode.MIN: (1.0, 2.0),
        ScoreMode.TOTAL: (10.0, 2.0),
    }
    for mode, (first, second) in expected.items():
        scores = scores_of(index, Nested("items", own, mode, 2.0))
        assert scores == pytest.approx({1: 2 * first, 2: 2 * second}), mode


def test_conditions_hold_of_one_document() -> None:
    """And what must not be is asked of each document, not of the row."""
    red, dear = Term("items.color", "red"), Range("items.price", 5)
    index = index_of(
        {
            1: [{"color": "red", "price": 1}, {"color": "blue", "price": 9}],
            2: [{"color": "red", "price": 9}],
            3: [{"price": 9}],
            4: [],
        }
    )
    assert set(scores_of(index, Nested("items", Bool(must=(red, dear))))) == {2}
    assert set(scores_of(index, Bool(must=(Nested("items", red), Nested("items", dear))))) == {1, 2}
    assert set(scores_of(index, Nested("items", Bool(must_not=(red,))))) == {1, 3}
    assert set(scores_of(index, Bool(must_not=(Nested("items", red),)))) == {3, 4}
    assert set(scores_of(index, Nested("items", Bool(must_not=(Exists("items.color"),))))) == {3}
    assert set(scores_of(index, Exists("items"))) == {1, 2, 3}


def test_words_are_counted_among_documents(shelf: Shelf) -> None:
    """A document scores as a row would in an index of such rows, wherever it lies, and none that is deleted counts."""
    texts = {n: [{"text": "otter " * (n % 3) + "river " * k} for k in range(n % 5)] for n in range(40)}
    index = index_of(texts | {100: [{"text": "otter"}] * 50})
    index.apply([], [(("id", 100),)])
    flat = memory_index(IndexSchema((FieldSchema("text", FieldType.TEXT),)), KEY)
    flat.apply(
        [
            Row((("id", 1_000 * n + k),), [("text", item["text"], 1)])
            for n, items in texts.items()
            for k, item in enumerate(items)
        ]
    )
    each = scores_of_all(flat, Match("text", "otter"))
    expected: dict[int, list[float]] = {}
    for key, score in each.items():
        expected.setdefault(key // 1_000, []).append(score)
    query = Nested("items", Match("items.text", "otter"), ScoreMode.TOTAL)
    assert scores_of(index, query) == pytest.approx({n: sum(scores) for n, scores in expected.items()})
    rows = [Row((("id", n),), [("items", json.dumps(items), 1)]) for n, items in texts.items()]
    view = shared_out(index, rows, random.Random(5), shelf)
    answer = search(view, SearchRequest(query, (ScoreSort(),), limit=100))
    assert {hit.key[0][1]: hit.score for hit in answer.hits} == pytest.approx(scores_of(index, query))
    hits = inner(index, replace(query, inner_hits=InnerHits(limit=256)))
    for n, found_hits in hits.items():
        assert [score for _, score in found_hits["items"]] == pytest.approx(sorted(expected[n], reverse=True))


def scores_of_all(index: SearchIndex, query: Query) -> dict[Any, float]:
    hits = search(index.view(), SearchRequest(query, (ScoreSort(),), limit=1_000)).hits
    return {hit.key[0][1]: hit.score for hit in hits}


def test_neighbours_are_rows(shelf: Shelf) -> None:
    """Many near documents of one row take no other row's place; equally near rows come by key."""
    rows = {0: [{"v": [0.0]}] * 200, **{n: [{"v": [float(n)]}, {"v": [n + 0.5]}] for n in range(1, 30)}}
    rows |= {100 + n: [{"v": [50.0]}] * 40 for n in range(20)}
    index = index_of(rows)
    near = KnnVector("items.v", np.array([0.0], np.float32), 5)
    stored = [Row((("id", n),), [("items", json.dumps(items), 1)]) for n, items in rows.items()]
    views = [index.view(), *(shared_out(index, stored, random.Random(seed), shelf) for seed in range(3))]
    tied = KnnVector("items.v", np.array([50.0], np.float32), 7)
    within = KnnVector("items.v", np.array([0.0], np.float32), 3, Bool(must_not=(Exists("items.color"),)))
    for view in views:
        for query, expected in ((near, range(5)), (tied, range(100, 107)), (within, range(3))):
            answer = search(view, SearchRequest(Nested("items", query), limit=100))
            assert [hit.key[0][1] for hit in answer.hits] == list(expected)
    nearest = inner(index, Nested("items", near, ScoreMode.TOTAL, inner_hits=InnerHits()))
    assert nearest[0] == {"items": [(0, 1.0)]}
    assert nearest[2] == {"items": [(0, pytest.approx(1 / 5))]}
    assert scores_of(index, Nested("items", near, ScoreMode.TOTAL))[0] == 1.0


def test_documents_filter_neighbours() -> None:
    """Rows nearest to a vector among those that hold a document, which come with them."""
    items = FieldSchema("items", FieldType.NESTED, fields=(FieldSchema("n", FieldType.LONG),))
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(1)), items))
    index = memory_index(schema, KEY)
    held = [json.dumps([{"n": n % 3}, {"n": 7}]) for n in range(12)]
    index.apply([Row((("id", n),), [("items", held[n], 1), ("v", f"[{n}]", 1)]) for n in range(12)])
    asked = Nested("items", Term("items.n", 2), inner_hits=InnerHits())
    near = KnnVector("v", np.zeros(1, np.float32), 3, asked)
    assert inner(index, Bool(must=(near,))) == {n: {"items": [(0, 1.0)]} for n in (2, 5, 8)}


def test_neighbours_by_graphs(shelf: Shelf) -> None:
    """Nearly all of the rows that are nearest are found by walks, too, of rows with one document or many."""
    dimension = 16
    schema = IndexSchema(
        (
            FieldSchema(
                "items",
                FieldType.NESTED,
                fields=(
                    FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(dimension)),
                    FieldSchema("n", FieldType.LONG),
                ),
            ),
        )
    )
    rng = np.random.default_rng(4)
    rows = {
        n: [
            {"v": [round(float(x), 3) for x in rng.standard_normal(dimension)], "n": k % 2}
            for k in range(8 if n % 50 == 0 else 1 + n % 3)
        ]
        for n in range(600)
    }
    index = index_of(rows, schema)
    stored = [Row((("id", n),), [("items", json.dumps(items), 1)]) for n, items in rows.items()]
    plans = {"items.v": BuildPlan(SegmentKind.GRAPH, degree=24, code_bits=4)}
    view = shared_out(index, stored, random.Random(1), shelf, plans)
    common = 0
    for within in (None, Term("items.n", 1)):
        for vector in rng.standard_normal((15, dimension)).astype(np.float32):
            near = Nested("items", KnnVector("items.v", vector, 10, within), ScoreMode.MAX)
            request = SearchRequest(near, (ScoreSort(),))
            exact, answer = search(index.view(), request), search(view, request)
            assert len(answer.hits) == len(exact.hits) == 10
            common += len({hit.key for hit in exact.hits} & {hit.key for hit in answer.hits})
    assert common >= 0.95 * 10 * 30
    assert {part.strategy for part in answer.stats.parts} > {"exact"}


def test_what_a_search_looked_at_is_let_go_of_when_it_is_over() -> None:
    """By counting references alone, as of rows: `test_nodes`."""
    index = index_of(DEEP)  # type: ignore[arg-type]
    near = KnnVector("items.v", np.zeros(1, np.float32), 2)
    deep = Nested("items.parts", Term("items.parts.size", 5), inner_hits=InnerHits())
    query = Nested("items", Bool(should=(near, deep, Match("items.text", "a"))), inner_hits=InnerHits())
    sort = FieldSort("items.price", nested_filter=NestedFilter("items", MatchAll()))
    request = SearchRequest(query, (ScoreSort(), sort))
    assert search(index.view(), request).hits
    gc.collect()
    gc.disable()
    try:
        assert search(index.view(), request).hits
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_many_searches_at_once() -> None:
    """Each as if it were alone, its figures its own."""
    index = index_of({n: [{"v": [float(n)], "price": n, "text": "otter " * n}] for n in range(9)})
    queries: list[Query] = [
        *(Nested("items", KnnVector("items.v", np.array([x], np.float32), 3)) for x in (0.0, 8.0)),
        *(Nested("items", Match("items.text", "otter"), mode, inner_hits=InnerHits()) for mode in ScoreMode),
        Bool(
            must=(
                Nested("items", Range("items.price", 4)),
                Nested("items", KnnVector("items.v", np.zeros(1, np.float32), 6)),
            )
        ),
    ]
    requests = [SearchRequest(query, (ScoreSort(),)) for query in queries]
    together = search_many(index.view(), requests)
    for request, answer in zip(requests, together, strict=True):
        alone = search(index.view(), request)
        assert (answer.hits, answer.inner_hits) == (alone.hits, alone.inner_hits)
        assert answer.stats.distances == alone.stats.distances


def test_documents_that_do_not_score_enough(shelf: Shelf) -> None:
    """What a word says is known before a condition is listed that goes by it, inside too."""
    rows = {n: [{"text": "otter " * k + "river " * n} for k in range(n % 4)] for n in range(30)}
    index = index_of(rows)
    scores = scores_of(index, Nested("items", Match("items.text", "otter"), ScoreMode.MAX))
    bound = sorted(scores.values())[len(scores) // 2]
    enough = FunctionsScore(Match("items.text", "otter"), (ScoreFunction(),), min_score=bound)
    stored = [Row((("id", n),), [("items", json.dumps(items), 1)]) for n, items in rows.items()]
    for view in (index.view(), shared_out(index, stored, random.Random(2), shelf)):
        hits = search(view, SearchRequest(Bool(filter=(Nested("items", enough),)), limit=100)).hits
        assert {hit.key[0][1] for hit in hits} == {
            key for key, score in scores.items() if np.float32(score) >= np.float32(bound)
        }


def test_scores_stay_within_float64() -> None:
    index = index_of({1: [{"price": 1}, {"price": 2}]})
    vast = Range("items.price", 1)
    for mode in ScoreMode:
        inner = Bool(must=(vast,), weight=1.5e308)
        for weight in (1.0, 1e300):
            score = scores_of(index, Nested("items", inner, mode, weight))[1]
            assert math.isfinite(score)
            assert score == (0.0 if mode is ScoreMode.NONE else sys.float_info.max if weight > 1 else score)


DEEP = {
    1: [
        {"price": 1, "parts": [{"size": 1}, {"size": 5}]},
        None,
        {"price": 3, "parts": [{"size": 5}, {"size": 5}, {"size": 2}]},
    ],
    2: [{"price": 2}],
    3: [{"price": 3, "parts": {"size": 5}}],
}


def test_documents_within_documents() -> None:
    """Asked for through each of the paths, or through the lowest alone."""
    index = index_of(DEEP)  # type: ignore[arg-type]
    sized = Term("items.parts.size", 5)
    asked = InnerHits()
    direct = Nested("items.parts", sized, ScoreMode.TOTAL, inner_hits=asked)
    assert scores_of(index, direct) == {1: 3.0, 3: 1.0}
    assert inner(index, direct) == {
        1: {"items.parts": [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.0)]},
        3: {"items.parts": [(0, 0, 1.0)]},
    }
    through = Nested("items", Nested("items.parts", sized, ScoreMode.TOTAL, inner_hits=asked), inner_hits=asked)
    assert scores_of(index, through) == {1: 1.5, 3: 1.0}
    assert inner(index, through) == {
        1: {
            "items": [
                (1, 2.0, {"items.parts": [(0, 1.0), (1, 1.0)]}),
                (0, 1.0, {"items.parts": [(1, 1.0)]}),
            ]
        },
        3: {"items": [(0, 1.0, {"items.parts": [(0, 1.0)]})]},
    }


def test_an_answer_has_so_many_inner_hits() -> None:
    index = index_of({n: [{"parts": [{"size": 1}] * 40}] * 100 for n in range(26)})
    parts = Nested("items.parts", MatchAll(), inner_hits=InnerHits(limit=40))
    query = Nested("items", parts, inner_hits=InnerHits(limit=100))
    with pytest.raises(ParameterInvalid, match="more than 100000 together: ask for fewer"):
        search(index.view(), SearchRequest(query, limit=26))
    [hits, *_] = search(index.view(), SearchRequest(query, limit=24)).inner_hits
    assert sum(len(hit.inner["items.parts"]) for hit in hits["items"]) == 4_000


def test_inner_hits_in_any_order() -> None:
    index = index_of({1: [{"price": price, "color": color} for price, color in zip([3, 1, 2, 1], "bac", strict=False)]})
    everything = MatchAll()

    def places(*sort: Any, **more: Any) -> list[int]:
        found = inner(index, Nested("items", everything, inner_hits=InnerHits(sort, **{"limit": 10} | more)))
        return [place for place, _ in found[1]["items"]]

    assert places() == [0, 1, 2]
    index = index_of({1: [{"price": 3, "color": "b"}, {"price": 1, "color": "a"}, {"price": 2}, {"price": 1}]})
    assert places() == [0, 1, 2, 3]
    assert places(limit=2, offset=1) == [1, 2]
    assert places(limit=0) == []
    assert places(FieldSort("items.price")) == [1, 3, 2, 0]
    assert places(FieldSort("items.price"), DocSort(True)) == [3, 1, 2, 0]
    assert places(FieldSort("items.color", descending=True)) == [0, 1, 2, 3]
    assert places(DocSort(True)) == [3, 2, 1, 0]
    assert places(PrimaryKeySort(), limit=1) == [0]
    by_field = inner(index, Nested("items", everything, inner_hits=InnerHits((FieldSort("items.price"),))))
    assert all(math.isnan(score) for _, score in by_field[1]["items"])


def test_inner_hits_go_with_each_row_of_the_page() -> None:
    """Of a row that another clause found there are none; nothing is asked of those that must not match."""
    index = index_of({n: [{"price": n}, {"price": 5}] for n in range(10)})
    asked = Nested("items", Term("items.price", 5), inner_hits=InnerHits())
    both = Bool(
        should=(asked, Nested("items", Term("items.price", 3))), must_not=(Nested("items", Term("items.price", 9)),)
    )
    answer = search(index.view(), SearchRequest(both, offset=2, limit=5))
    assert [hit.key[0][1] for hit in answer.hits] == [2, 3, 4, 5, 6]
    assert [told(own)["items"] for own in answer.inner_hits] == [[(1, 1.0)]] * 3 + [[(0, 1.0), (1, 1.0)]] + [[(1, 1.0)]]
    only = Bool(should=(asked, MatchAll()))
    assert all(hits["items"] for hits in inner(index, only).values())
    none = Bool(should=(Nested("items", Term("items.price", 99), inner_hits=InnerHits()), MatchAll()))
    assert all(hits == {"items": []} for hits in inner(index, none).values())
    assert search(index.view(), SearchRequest(MatchAll())).inner_hits == []


ASKED = InnerHits()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Term("items.price", 1), r"\[term query\] field: items.price is in the nested field items: use a nested query"),
        (Nested("no", MatchAll()), r"\[nested query\] path: no does not exist"),
        (Nested("title", MatchAll()), r"path: title type: text is invalid, allow \[nested, json\]"),
        (Nested("o", MatchAll()), r"path: o type: json is invalid"),
        (Nested("items", Term("title", "a")), r"field: title is not below the nested field items"),
        (Nested("items", Term("items.no", "a")), r"field: items.no does not exist"),
        (Nested("items", Term("items.parts.size", 1)), "items.parts.size is in the nested field items.parts"),
        (Nested("items.parts", Nested("items", MatchAll())), "path: items is not below the nested field items.parts"),
        (Nested("items", Nested("items", MatchAll())), "path: items is not below the nested field items"),
        (Nested("items", MatchAll(), weight=-1.0), r"\[nested query\] weight"),
        (Nested("items", MatchAll(), inner_hits=InnerHits(offset=-1)), "must not be negative: -1, 3"),
        (Nested("items", MatchAll(), inner_hits=InnerHits(limit=257)), "must not exceed 256: 257"),
        (Nested("items", MatchAll(), inner_hits=InnerHits((FieldSort("title"),))), "title"),
        (
            Nested("items", MatchAll(), inner_hits=InnerHits((FieldSort("items.parts.size"),))),
            "items.parts.size is in the nested field items.parts",
        ),
        (
            Nested("items", MatchAll(), inner_hits=InnerHits(highlight=Highlight((HighlightField("title"),)))),
            r"\[highlight\] field: title is not below the nested field items",
        ),
        (
            Bool(
                should=(
                    Nested("items", MatchAll(), inner_hits=ASKED),
                    Nested("items", Term("items.price", 1), inner_hits=ASKED),
                )
            ),
            r"\[inner_hits\] of path items are asked for twice",
        ),
        (
            Nested("items", Nested("items.parts", MatchAll(), inner_hits=ASKED)),
            r"\[inner_hits\] of path items.parts go with inner_hits of path items",
        ),
        (
            Nested(
                "items",
                KnnVector(
                    "items.v",
                    np.zeros(1, np.float32),
                    1,
                    Bool(must=(KnnVector("items.v", np.zeros(1, np.float32), 1),)),
                ),
            ),
            "must not hold another",
        ),
    ],
)
def test_refuses(query: Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(index_of({1: []}).view(), SearchRequest(query))


def test_explains_itself() -> None:
    near = KnnVector("items.v", np.zeros(1, np.float32), 2, Range("items.price", 1))
    index = index_of({n: [{"v": [n], "price": n}] for n in range(5)})
    answer = search(index.view(), SearchRequest(Nested("items", Bool(must=(near,))), explain=True))
    assert answer.stats.explanation is not None
    [part] = answer.stats.explanation["parts"]
    nested = part["query"]
    assert (nested["query"], nested["path"], nested["mode"], nested["rows"]) == ("nested", "items", "avg", 2)
    [knn] = nested["of"]["must"]
    assert (knn["query"], knn["rows"], knn["filter"]["rows"], part["strategy"]) == ("knn_vector", 2, 4, "exact")
    assert answer.stats.distances == 4
