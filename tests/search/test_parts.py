"""The same rows in one part, and shared out to several: every answer is the same, to the last byte of its token."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.search_parts import shared_out
from support.worlds.expected import expected_hits
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.index.lsm.index import SearchIndex
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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(), st.data(), st.integers(1, 8), st.integers(0, 4), st.integers(0, 2**32))
def test_any_sharing_out(world: World, data: st.DataObject, limit: int, offset: int, seed: int) -> None:
    """Each page is asked of another sharing out, and of a single part, with the same token."""
    rng = random.Random(seed)
    rows = list(world.written.values())
    query, sort = data.draw(queries(world.schema)), data.draw(sorts(world.schema))
    request = SearchRequest(query, sort, offset, limit, count_total=True)
    expected = expected_hits(world, request, limit)
    views = [shared_out(world.index, rows, rng) for _ in range(3)]
    seen: list[PrimaryKey] = []
    for _ in range(len(rows) + 2):
        whole = search(world.index.view(), request)
        answer = search(rng.choice(views), request)
        assert [hit.key for hit in answer.hits] == [hit.key for hit in whole.hits]
        assert np.array_equal([hit.score for hit in answer.hits], [hit.score for hit in whole.hits], equal_nan=True)
        assert (answer.total, answer.next_token) == (len(expected), whole.next_token)
        seen += [hit.key for hit in answer.hits]
        if not answer.next_token:
            break
        request = SearchRequest(query, limit=limit, token=answer.next_token, count_total=True)
    assert not answer.next_token
    assert seen == [key for key, _ in expected[offset:]]


# --- more rows, and vectors longer than a register -------------------------------------------------------------------

DIMENSION = 37
ROWS = 3_000
KEY = (KeyColumn("id", ColumnType.STRING),)


def schema_of(metric: Metric) -> IndexSchema:
    return IndexSchema(
        (
            FieldSchema("n", FieldType.LONG),
            FieldSchema("x", FieldType.DOUBLE),
            FieldSchema("word", FieldType.KEYWORD),
            FieldSchema("many", FieldType.LONG, is_array=True),
            FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION, metric)),
        )
    )


def rows_of(seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((ROWS, DIMENSION)).astype("<f4")
    vectors[rng.random(ROWS) < 0.3] = vectors[0]
    rows = []
    for i in range(ROWS):
        cells: list[Any] = [("n", int(rng.integers(0, 50)), 1), ("v", vectors[i].tobytes(), 1)]
        if rng.random() < 0.8:
            cells += [("word", "w" * 70 + str(rng.integers(0, 30)), 1), ("x", float(rng.random()), 1)]
        cells.append(("many", str(rng.integers(0, 9, rng.integers(1, 3)).tolist()), 1))
        rows.append(Row((("id", f"{i * 7919 % 10_007:05d}"),), sorted(cells)))
    return rows


def pairs(index: SearchIndex, rows: list[Row], request: SearchRequest, seed: int) -> tuple[Any, Any]:
    whole = search(index.view(), request)
    answer = search(shared_out(index, rows, random.Random(seed)), request)
    return [(list(map(repr, a.hits)), a.total, a.next_token) for a in (answer, whole)]  # type: ignore[return-value]


@pytest.fixture(scope="module", params=list(Metric))
def filled(request: pytest.FixtureRequest) -> tuple[SearchIndex, list[Row]]:
    rows = rows_of(1)
    index = memory_index(schema_of(request.param), KEY)
    index.apply(rows)
    return index, rows


NEAR = np.linspace(-1, 1, DIMENSION, dtype=np.float32)
CASES: list[tuple[Query, tuple[Sorter, ...], int]] = [
    (KnnVector("v", NEAR, 10), (ScoreSort(),), 0),
    (KnnVector("v", NEAR, 100, Range("n", 0, 9)), (), 30),
    (Bool(must=(KnnVector("v", NEAR, 500), Term("n", 3))), (ScoreSort(), FieldSort("n")), 0),
    (Bool(should=(KnnVector("v", NEAR, 50), Range("n", 0, 4))), (ScoreSort(),), 90),
    (MatchAll(), (), 2_500),
    (MatchAll(), (PrimaryKeySort(descending=True),), 500),
    (MatchAll(), (FieldSort("word", descending=True), FieldSort("x")), 1_000),
    (MatchAll(), (FieldSort("word", missing="w" * 71),), 100),
    (MatchAll(), (FieldSort("x", descending=True),), 700),
    (MatchAll(), (FieldSort("many", mode=SortMode.AVG), FieldSort("n", descending=True)), 900),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_many_rows(filled: tuple[SearchIndex, list[Row]], case: int) -> None:
    index, rows = filled
    query, sort, offset = CASES[case]
    request = SearchRequest(query, sort, offset, 10, count_total=True)
    for seed in range(2):
        answer, whole = pairs(index, rows, request, seed)
        assert answer == whole
        assert len(whole[0]) == 10


@pytest.mark.parametrize("top_k", [1, 3, 40])
def test_equally_near_rows_go_by_key(top_k: int) -> None:
    """However many there are, and whatever the order they came in."""
    index = memory_index(schema_of(Metric.EUCLIDEAN), KEY)
    vector = np.ones(DIMENSION, "<f4").tobytes()
    rows = [Row((("id", f"{i:04d}"),), [("v", vector, 1)]) for i in range(500)]
    index.apply(random.Random(3).sample(rows, len(rows)))
    request = SearchRequest(Bool(must=(KnnVector("v", NEAR, top_k),)), limit=100)
    for seed in range(5):
        for hits in (
            search(view, request).hits for view in (index.view(), shared_out(index, rows, random.Random(seed)))
        ):
            assert [hit.key[0][1] for hit in hits] == [f"{i:04d}" for i in range(top_k)]


def test_stats_by_part() -> None:
    rows = [Row((("id", str(i)),), [("n", i, 1), ("v", bytes(4 * DIMENSION), 1)]) for i in range(30)]
    indexes = [memory_index(schema_of(Metric.COSINE), KEY) for _ in range(3)]
    for i, index in enumerate(indexes[:2]):
        index.apply(rows[i * 10 : i * 10 + 10])
    view = replace(indexes[0].view(), parts=tuple(index.view().parts[0] for index in indexes))
    stats = search(view, SearchRequest(KnnVector("v", NEAR, 2, Range("n", 8, 30)))).stats
    assert (stats.strategy, stats.rows_scanned, stats.distances) == ("columns+exact", 20, 12)
    assert [(p.strategy, p.rows, p.distances) for p in stats.parts] == [
        ("exact", 10, 2),
        ("exact", 10, 10),
        ("columns", 0, 0),
    ]


def test_averages_of_parts_without_an_array_of_several() -> None:
    """They are of the same kind in all parts, so that a token of one goes on in the other."""
    buffers = []
    for arrays in (["[3]", "[1]"], ["[1, 3]", "[0, 1]"]):
        buffer = memory_index(schema_of(Metric.COSINE), KEY)
        buffer.apply([Row((("id", array),), [("many", array, 1)]) for array in arrays])
        buffers.append(buffer)
    view = replace(buffers[0].view(), parts=tuple(buffer.view().parts[0] for buffer in buffers))
    request = SearchRequest(MatchAll(), (FieldSort("many", mode=SortMode.AVG),), limit=1)
    seen = []
    for _ in range(4):
        answer = search(view, request)
        seen += [hit.key[0][1] for hit in answer.hits]
        request = SearchRequest(MatchAll(), limit=1, token=answer.next_token)
    assert seen == ["[0, 1]", "[1]", "[1, 3]", "[3]"]
