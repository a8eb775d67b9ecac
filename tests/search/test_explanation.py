"""What a search says it did is what it did."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.indexes import memory_index
from support.stored_segments import Shelf

from lutra.index.lsm.view import IndexView
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.queries import Bool, KnnVector, Match, MatchAll, Query, Range, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.server.protocol.explanations import BYTES_MAX, explanation_header
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 16
ROWS = 3_000
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("t", FieldType.TEXT, text=TextOptions()),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
    )
)
NEAR = np.zeros(DIMENSION, np.float32)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    """A segment with a graph, of whose rows the first hundred are deleted, and a buffer of as many."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    vectors = np.random.default_rng(1).standard_normal((ROWS + 100, DIMENSION)).astype("<f4")
    rows = [
        Row(
            (("id", n),), [("n", n % 100, 1), ("t", f"even {n % 7}" if n % 2 == 0 else "odd", 1), ("v", v.tobytes(), 1)]
        )
        for n, v in enumerate(vectors)
    ]
    index, buffer = memory_index(SCHEMA, KEY), memory_index(SCHEMA, KEY)
    index.apply(random.Random(1).sample(rows[:ROWS], ROWS))
    buffer.apply(rows[ROWS:])
    plans = {"v": BuildPlan(SegmentKind.GRAPH, degree=32, code_bits=4)}
    name, _ = shelf.build([index.view().parts[0]], SCHEMA, plans)
    segment = shelf.open(name, SCHEMA, dead=range(100))
    yield replace(index.view(), parts=(segment, buffer.view().parts[0]))
    segment.close()
    shelf.close()


def explained(view: IndexView, query: Query, **more: Any) -> dict[str, Any]:
    answer = search(view, SearchRequest(query, (ScoreSort(),), explain=True, **more))
    assert answer.stats.explanation is not None
    return json.loads(json.dumps(answer.stats.explanation, allow_nan=False))  # type: ignore[no-any-return]


def test_nothing_is_told_where_nobody_asks(view: IndexView) -> None:
    assert search(view, SearchRequest(MatchAll())).stats.explanation is None


def test_conditions_and_what_they_came_to(view: IndexView) -> None:
    told = explained(view, Bool(must=(Term("n", 5, weight=2.0), Range("n", 0, 49)), should=(Match("t", "odd"),)))
    segment, buffer = told["parts"]
    assert (segment["kind"], segment["documents"], segment["rows"]) == ("segment", ROWS, ROWS - 100)
    assert (buffer["kind"], buffer["documents"], buffer["rows"]) == ("buffer", 100, 100)
    for part, term, wide, odd in ((segment, 29, 1_450, 1_450), (buffer, 1, 50, 50)):
        query = part["query"]
        assert (query["query"], query["rows"], query["needed"], part["conditions"]) == ("bool", term, 0, 4)
        assert query["must"][0] == {
            "query": "term",
            "field": "n",
            "value": 5,
            "weight": 2.0,
            "estimate": term + (part is segment),
            "rows": term,
            "us": query["must"][0]["us"],
        }
        assert query["must"][1]["rows"] == wide
        assert query["should"][0]["rows"] == odd
        assert query["us"] >= query["must"][0]["us"] + query["must"][1]["us"] > 0
    assert told["us"] >= segment["us"] + buffer["us"] > 0


def test_what_was_not_listed_is_said_to_be(view: IndexView) -> None:
    query = explained(view, Bool(must=(Term("n", 777), Range("n", 0, 49))))["parts"][0]["query"]
    assert [(one["estimate"], one["rows"]) for one in query["must"]] == [(0, 0), (1_500, None)]


def test_neighbours_and_what_the_other_ways_were_thought_to_take(view: IndexView) -> None:
    told = explained(view, KnnVector("v", NEAR, 10, Range("n", 0, 49)))
    segment, buffer = (part["query"] for part in told["parts"])
    assert segment["filter"]["rows"] == 1_450
    assert segment["rows"] is None
    assert segment["estimate"] + buffer["estimate"] == 10
    (scan,) = segment["scans"]
    assert (scan["wanted"], scan["qualifying"]) == (11, 1_450)
    assert (
        scan["strategy"]
        == told["parts"][0]["strategy"]
        == min(segment["predicted_us"], key=segment["predicted_us"].get)
    )
    assert {"brute_force", "code_scan", "walk"} == set(segment["predicted_us"])
    assert (scan["distances"], scan["reads"], scan["bytes"]) == tuple(
        told["parts"][0][name] for name in ("distances", "reads", "bytes")
    )
    assert told["parts"][0]["recall"] >= 0.9
    assert [scan["strategy"] for scan in buffer["scans"]] == ["exact"]
    assert "predicted_us" not in buffer, "there is but one way"


def test_the_best_words_alone(view: IndexView) -> None:
    parts = explained(view, Match("t", "even 3"), limit=3)["parts"]
    assert {part["strategy"] for part in parts} <= {"block_max", "columns"}
    assert parts[0]["query"]["words"] == ["even", "3"]


def test_a_header_is_never_too_long(view: IndexView) -> None:
    whole = explained(view, Bool(should=tuple(Term("n", n) for n in range(5))))
    assert json.loads(explanation_header(whole)) == whole
    wide = explained(view, Bool(should=tuple(Term("n", n) for n in range(200))))
    shorter = json.loads(explanation_header(wide))
    assert len(explanation_header(wide)) <= BYTES_MAX
    assert shorter["left_out"] == {"queries": 2, "parts": 0}
    assert [part["rows"] for part in shorter["parts"]] == [ROWS - 100, 100]
    many = {**wide, "parts": wide["parts"] * 100}
    shorter = json.loads(explanation_header(many))
    assert len(explanation_header(many)) <= BYTES_MAX
    assert 0 < len(shorter["parts"]) == 200 - shorter["left_out"]["parts"]
