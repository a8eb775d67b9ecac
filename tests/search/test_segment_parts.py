"""Segments beside buffers answer as one buffer does that has all the rows, to the last byte of the token."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.shared_out import segment_of, shared_out
from support.stored_segments import Shelf
from support.worlds.expected import expected_hits
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import (
    Bool,
    FieldSort,
    KnnVector,
    MatchAll,
    PrimaryKeySort,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Sorter,
    SortMode,
    Term,
)
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(1, 8), st.integers(0, 4), st.integers(0, 2**32))
def test_pages_over_segments(
    shelf: Shelf, world: World, data: st.DataObject, limit: int, offset: int, seed: int
) -> None:
    """A token of a page is taken to another sharing out, as after a flush or a merge."""
    rng = random.Random(seed)
    rows = list(world.written.values())
    views = [shared_out(world.index, rows, rng, shelf) for _ in range(2)]
    query, sort = data.draw(queries(world.schema)), data.draw(sorts(world.schema))
    request = SearchRequest(query, sort, offset, limit, count_total=True)
    expected = expected_hits(world, request, limit)
    seen: list[PrimaryKey] = []
    for page in range(len(rows) + 2):
        whole = search(world.index.view(), request)
        answer = search(views[page % 2], request)
        assert [hit.key for hit in answer.hits] == [hit.key for hit in whole.hits]
        assert np.array_equal([hit.score for hit in answer.hits], [hit.score for hit in whole.hits], equal_nan=True)
        assert (answer.total, answer.next_token) == (len(expected), whole.next_token)
        seen += [hit.key for hit in answer.hits]
        if not answer.next_token:
            break
        request = SearchRequest(query, limit=limit, token=answer.next_token, count_total=True)
    assert not answer.next_token
    assert seen == [key for key, _ in expected[offset:]]


DIMENSION = 37
ROWS = 3_000
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("x", FieldType.DOUBLE),
        FieldSchema("word", FieldType.KEYWORD),
        FieldSchema("many", FieldType.LONG, is_array=True),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION, Metric.COSINE)),
    )
)
KEY = (KeyColumn("id", ColumnType.STRING),)
NEAR = np.linspace(-1, 1, DIMENSION, dtype=np.float32)
CASES: list[tuple[Query, tuple[Sorter, ...], int]] = [
    (KnnVector("v", NEAR, 10), (ScoreSort(),), 0),
    (KnnVector("v", NEAR, 100, Range("n", 0, 9)), (), 30),
    (Bool(should=(KnnVector("v", NEAR, 50), Range("n", 0, 4))), (ScoreSort(),), 90),
    (Bool(must=(KnnVector("v", np.ones(DIMENSION, np.float32), 40),)), (), 0),
    (MatchAll(), (), 2_500),
    (Term("n", 3), (PrimaryKeySort(descending=True),), 20),
    (MatchAll(), (FieldSort("word", descending=True), FieldSort("x")), 1_000),
    (MatchAll(), (FieldSort("word", missing="w" * 71),), 100),
    (MatchAll(), (FieldSort("many", mode=SortMode.AVG), FieldSort("n", descending=True)), 900),
]


def many_rows() -> list[Row]:
    """A third of the vectors are one and the same."""
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((ROWS, DIMENSION)).astype("<f4")
    vectors[rng.random(ROWS) < 0.3] = 1.0
    rows = []
    for i in range(ROWS):
        cells = [("n", int(rng.integers(0, 50)), 1), ("v", vectors[i].tobytes(), 1)]
        if rng.random() < 0.8:
            cells += [("word", "w" * 70 + str(rng.integers(0, 30)), 1), ("x", float(rng.random()), 1)]
        cells.append(("many", str(rng.integers(0, 9, rng.integers(1, 3)).tolist()), 1))
        rows.append(Row((("id", f"{i * 7919 % 10_007:05d}"),), sorted(cells)))
    return rows


def test_many_rows(shelf: Shelf) -> None:
    rows = many_rows()
    index = memory_index(SCHEMA, KEY)
    index.apply(rows)
    plans = {"v": BuildPlan(SegmentKind.FLAT, code_bits=4)}
    views = [shared_out(index, rows, random.Random(seed), shelf, plans) for seed in range(2)]
    for query, sort, offset in CASES:
        request = SearchRequest(query, sort, offset, 10, count_total=True)
        whole = search(index.view(), request)
        assert len(whole.hits) == 10
        for view in views:
            answer = search(view, request)
            assert (list(map(repr, answer.hits)), answer.total) == (list(map(repr, whole.hits)), whole.total)
            assert answer.next_token == whole.next_token


def test_stand_in_for_missing_words(shelf: Shelf) -> None:
    """Of a dictionary whose numbers fill a byte: what stands in gets one more."""
    index = memory_index(SCHEMA, KEY)
    rows = [Row((("id", f"{i:03d}"),), [("word", f"w{i:03d}", 1)] if i < 256 else []) for i in range(300)]
    index.apply(rows)
    view = replace(index.view(), parts=(segment_of(index, rows, [], random.Random(1), shelf),))
    for missing in ("w1005", "w100", "", "z"):
        request = SearchRequest(MatchAll(), (FieldSort("word", missing=missing),), 95, 60)
        whole, answer = search(index.view(), request), search(view, request)
        assert (answer.hits[0].key, answer.next_token) == (whole.hits[0].key, whole.next_token)


def test_neighbours_by_graphs(shelf: Shelf) -> None:
    """Nearly all neighbours are found, and none that a filter or a deletion leaves out."""
    rows = many_rows()
    index = memory_index(SCHEMA, KEY)
    index.apply(rows)
    plans = {"v": BuildPlan(SegmentKind.GRAPH, degree=32, code_bits=4)}
    view = shared_out(index, rows, random.Random(1), shelf, plans)
    queries = np.random.default_rng(8).standard_normal((40, DIMENSION)).astype(np.float32)
    for knn_filter in (None, Range("n", 0, 9)):
        found = 0
        for vector in queries:
            request = SearchRequest(KnnVector("v", vector, 10, knn_filter, num_candidates=200), (ScoreSort(),))
            exact, answer = search(index.view(), request), search(view, request)
            assert len(answer.hits) == 10
            found += len({hit.key for hit in exact.hits} & {hit.key for hit in answer.hits})
        assert found >= 0.95 * 10 * len(queries)
    stats = answer.stats
    assert {part.strategy for part in stats.parts} > {"exact"}
    for part in stats.parts:  # what is searched otherwise than planned says so, and how well was measured
        assert part.fallback == ""
        assert (part.recall is None) == (part.strategy == "exact")
        assert part.recall is None or part.recall >= 0.92
    assert stats.reads == sum(part.reads for part in stats.parts) > 0
    assert stats.bytes == sum(part.bytes for part in stats.parts) > 0
