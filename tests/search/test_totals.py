"""How many rows match, up to how many it matters; and rows that are filtered out of what a query finds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from support.indexes import memory_index
from support.search_parts import shared_out

from lutra.index.lsm.view import IndexView
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import Bool, KnnVector, Match, MatchAll, Query, Range, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

COUNT = 60


@pytest.fixture(scope="module")
def view() -> IndexView:
    """Rows 0 to 59 in several parts: ``n``, its remainder by 3, a vector, and words of which row 59 has most."""
    index = memory_index(
        IndexSchema(
            (
                FieldSchema("n", FieldType.LONG),
                FieldSchema("third", FieldType.LONG),
                FieldSchema("words", FieldType.TEXT),
                FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2, Metric.EUCLIDEAN)),
            )
        ),
        (KeyColumn("id", ColumnType.INTEGER),),
    )
    rows = [
        Row(
            (("id", n),),
            [("n", n, 1), ("third", n % 3, 1), ("v", f"[{n}, 0]", 1), ("words", " ".join(["tea"] * (n + 1)), 1)],
        )
        for n in range(COUNT)
    ]
    return shared_out(index, rows, random.Random(5))


def ids(view: IndexView, request: SearchRequest) -> list[int]:
    return [int(hit.key[0][1]) for hit in search(view, request).hits]


@pytest.mark.parametrize(("most", "limit", "total"), [(None, 5, 60), (7, 5, 7), (7, 0, 7), (60, 0, 60), (61, 0, 60)])
def test_a_total_need_not_be_known_beyond_a_number(view: IndexView, most: int | None, limit: int, total: int) -> None:
    answer = search(view, SearchRequest(MatchAll(), limit=limit, count_total=True, count_max=most))
    assert (answer.total, answer.is_complete) == (total, True)
    assert len(answer.hits) == limit


def test_counting_stops_where_the_rest_is_not_needed(view: IndexView) -> None:
    assert len(view.parts) > 1
    answer = search(view, SearchRequest(Term("third", 0), limit=0, count_total=True, count_max=1, explain=True))
    assert answer.stats.explanation is not None
    assert answer.total == 1
    assert sum(part.conditions for part in answer.stats.parts) < len(view.parts)


def near(top_k: int = 9) -> KnnVector:
    return KnnVector("v", np.array([0, 0], np.float32), top_k)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (MatchAll(), range(0, 60, 3)),
        (Range("n", 10, 20), range(12, 21, 3)),
        (near(), (0, 3, 6)),
        (Bool(must=(near(), Range("n", 1, 100))), (3, 6)),
    ],
)
def test_a_filter_leaves_out_rows_of_those_found(view: IndexView, query: Query, expected: tuple[int, ...]) -> None:
    """Of neighbours after they are found: fewer than were asked for are left."""
    request = SearchRequest(query, limit=9, count_total=True, filter=Term("third", 0))
    assert ids(view, request) == list(expected)[:9]
    assert search(view, request).total == len(expected)


def test_a_filter_does_not_score(view: IndexView) -> None:
    """Nor does it keep the best of some words from being found without the others."""
    plain = search(view, SearchRequest(Match("words", "tea"), (ScoreSort(),), limit=60))
    scores = {hit.key: hit.score for hit in plain.hits}
    answer = search(view, SearchRequest(Match("words", "tea"), (ScoreSort(),), limit=5, filter=Term("third", 1)))
    assert [hit.key for hit in answer.hits] == [key for key in scores if int(key[0][1]) % 3 == 1][:5]
    assert [hit.score for hit in answer.hits] == [scores[hit.key] for hit in answer.hits]
    assert answer.stats.strategy == "block_max"


def test_a_filter_is_explained(view: IndexView) -> None:
    answer = search(view, SearchRequest(MatchAll(), filter=Term("third", 1), explain=True))
    assert answer.stats.explanation is not None
    told = [part["filter"] for part in answer.stats.explanation["parts"]]
    assert {one["query"] for one in told} == {"term"}
    assert sum(one["rows"] for one in told) == 20


def test_pages_of_a_filtered_query(view: IndexView) -> None:
    found: list[int] = []
    request = SearchRequest(MatchAll(), limit=7, filter=Term("third", 2))
    while True:
        answer = search(view, request)
        found += [int(hit.key[0][1]) for hit in answer.hits]
        if not answer.next_token:
            break
        request = SearchRequest(MatchAll(), limit=7, filter=Term("third", 2), token=answer.next_token)
    assert found == list(range(2, 60, 3))
