"""Vectors, words and conditions in one query."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.indexes import memory_index

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.queries import Bool, KnnVector, Match, MatchPhrase, Query, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("t", FieldType.TEXT, text=TextOptions("single_word")),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)
TEXTS = ["quick brown fox", "quick quick dog", "slow fox", "brown dog", "the quick fox jumps", "nothing"]
INDEX = memory_index(SCHEMA, KEY)
INDEX.apply(
    [
        Row((("id", n),), [("n", n % 3, 1), ("t", text, 1), ("v", np.array([n, 0], "<f4").tobytes(), 1)])
        for n, text in enumerate(TEXTS)
    ]
)


def near(x: float, top_k: int, **more: Any) -> KnnVector:
    return KnnVector("v", np.array([x, 0], np.float32), top_k, **more)


def hits_of(query: Query, limit: int = 100) -> list[tuple[int, float]]:
    answer = search(INDEX.view(), SearchRequest(query, (ScoreSort(),), limit=limit))
    return [(int(hit.key[0][1]), hit.score) for hit in answer.hits]


def test_scores_of_neighbours_and_of_words_add_up() -> None:
    by_words, by_vector = dict(hits_of(Match("t", "quick fox"))), dict(hits_of(near(2.0, 3), 3))
    together = dict(hits_of(Bool(should=(near(2.0, 3, weight=2.0), Match("t", "quick fox", weight=0.5)))))
    assert len(by_vector) == 3
    assert len(together) > 3
    assert together == pytest.approx(
        {n: 2 * by_vector.get(n, 0) + by_words.get(n, 0) / 2 for n in by_words.keys() | by_vector.keys()}
    )


def test_neighbours_among_the_rows_that_words_find() -> None:
    assert [n for n, _ in hits_of(near(0.0, 2, filter=Match("t", "dog")), 2)] == [1, 3]
    assert [n for n, _ in hits_of(near(0.0, 2, filter=MatchPhrase("t", "quick fox")), 2)] == [4]


def test_several_vectors_beside_words_and_conditions() -> None:
    several = Bool(should=(near(2.0, 1), near(0.0, 2, weight=3.0), Match("t", "fox")))
    alone = [dict(hits_of(query, 1 + at)) for at, query in enumerate((near(2.0, 1), near(0.0, 2, weight=3.0)))]
    words = dict(hits_of(Match("t", "fox")))
    expected = {n: sum(of.get(n, 0.0) for of in (*alone, words)) for n in {*alone[0], *alone[1], *words}}
    assert dict(hits_of(several)) == pytest.approx(expected)
    narrowed = Bool(must=(Match("t", "fox"),), should=(near(2.0, 1), near(0.0, 2)), filter=(Term("n", 2),))
    assert [n for n, _ in hits_of(narrowed)] == [2]
