"""What a search says it did is what it did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.graph_and_buffer import DEAD, DIMENSION, KEY, ROWS, SCHEMA, graph_and_buffer, vectors
from support.indexes import memory_index
from support.stored_segments import Shelf

from lutra.index.lsm.view import IndexView
from lutra.model.errors import RequestTimeout
from lutra.model.queries import Bool, KnnVector, Match, MatchAll, Query, Range, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.search import search
from lutra.server.protocol.explanations import BYTES_MAX, explanation_header
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

NEAR = np.zeros(DIMENSION, np.float32)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    """A segment with a graph, of whose rows the first hundred are deleted, and a buffer of as many."""
    with graph_and_buffer(tmp_path_factory.mktemp("shelf")) as view:
        yield view


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


def test_what_the_chosen_way_was_thought_to_take(view: IndexView) -> None:
    segment, buffer = explained(view, KnnVector("v", NEAR, 10))["parts"]
    told, (scan,) = segment["query"]["predicted"], segment["query"]["scans"]
    assert (told["kind"], told["strategy"]) == ("graph", scan["planned"])
    assert told["bytes"] == told["reads"] * 4_096
    assert 0 < scan["compared"] < scan["distances"]
    assert scan["distances"] / 3 < told["distances"] < scan["distances"] * 3
    assert 0.9 <= told["recall"] <= 1
    assert "predicted" not in buffer["query"]
    assert (segment["name"], segment["size_bytes"]) == (view.parts[0].name, view.parts[0].size_bytes)
    assert "name" not in buffer
    few = explained(view, KnnVector("v", NEAR, 29, Range("n", 0, 0)), limit=29)["parts"][0]["query"]
    told, (scan,) = few["predicted"], few["scans"]
    assert (told["strategy"], told["recall"]) == ("brute_force", 1.0)
    assert (told["distances"], scan["compared"]) == (scan["distances"], scan["distances"])


@pytest.mark.parametrize("within", [None, Range("n", 0, 49)])
def test_how_many_of_the_true_neighbours_were_found(view: IndexView, within: Query | None) -> None:
    top_k, stored = 40, vectors()
    ids = np.arange(DEAD, len(stored))
    if within is not None:
        ids = ids[ids % 100 < 50]
    missed = 0
    for query in np.random.default_rng(2).standard_normal((20, DIMENSION)).astype(np.float32):
        knn = KnnVector("v", query, top_k, within, num_candidates=top_k)
        request = SearchRequest(knn, (ScoreSort(),), limit=top_k, explain=True, samples_recall=True)
        answer = search(view, request)
        true = ids[np.argsort(np.square(stored[ids] - query).sum(axis=1), kind="stable")[:top_k]]
        found = np.array([hit.key[0][1] for hit in answer.hits])
        assert answer.stats.explanation is not None
        sampled = [part["query"]["sampled"] for part in answer.stats.explanation["parts"]]
        assert [one["nearest"] for one in sampled] == [(true < ROWS).sum(), (true >= ROWS).sum()]
        assert sum(one["found"] for one in sampled) == len(np.intersect1d(true, found))
        missed += top_k - len(np.intersect1d(true, found))
    assert missed, "with so few candidates some are missed, or nothing is shown here"


def test_recall_is_sampled_only_where_asked(view: IndexView) -> None:
    assert "sampled" not in explained(view, KnnVector("v", NEAR, 10))["parts"][0]["query"]
    within = explained(view, Bool(must=(KnnVector("v", NEAR, 10), Term("n", 3))), samples_recall=True)["parts"]
    assert sum(part["query"]["must"][0]["sampled"]["nearest"] for part in within) == 10
    nothing = explained(view, KnnVector("v", NEAR, 10, Term("n", 777)), samples_recall=True)["parts"]
    assert ["sampled" in part["query"] for part in nothing] == [False, False]


def test_equally_near_rows_are_as_good(view: IndexView) -> None:
    buffer = memory_index(SCHEMA, KEY)
    buffer.apply([Row((("id", n),), [("v", np.full(DIMENSION, n // 10, "<f4").tobytes(), 1)]) for n in range(30)])
    parts = (view.parts[1], buffer.view().parts[0])
    for top_k in (5, 10, 15):
        whole = replace(view, parts=parts)
        told = explained(whole, KnnVector("v", NEAR, top_k), limit=top_k, samples_recall=True)["parts"]
        assert [part["query"].get("sampled") for part in told] == [
            {"nearest": part["query"]["estimate"], "found": part["query"]["estimate"]} for part in told
        ]
        assert sum(part["query"]["estimate"] for part in told) == top_k


def test_what_is_not_in_memory_is_read_up_to_a_bound(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    index = memory_index(SCHEMA, KEY)
    index.apply([Row((("id", n),), [("v", v.tobytes(), 1)]) for n, v in enumerate(vectors()[:ROWS])])
    name, _ = shelf.build([index.view().parts[0]], SCHEMA, {"v": BuildPlan(SegmentKind.GRAPH, code_bits=4)})
    with shelf.open(name, SCHEMA, memory_budget_bytes=0) as segment:
        bare = replace(index.view(), parts=(segment,))
        knn = KnnVector("v", NEAR, 10, num_candidates=10)
        (part,) = explained(bare, knn, samples_recall=True)["parts"]
        assert part["query"]["sampled"]["nearest"] == 10
        monkeypatch.setattr("lutra.search.recall.READ_BYTES_MAX", 1_000)
        (part,) = explained(bare, knn, samples_recall=True)["parts"]
        assert "sampled" not in part["query"]
    shelf.close()


def test_a_search_does_not_fail_by_what_is_told_of_it(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object) -> None:
        raise RequestTimeout("Request timeout.")

    monkeypatch.setattr("lutra.search.recall._truths", too_late)
    told = explained(view, KnnVector("v", NEAR, 10), samples_recall=True)
    assert told["parts"][0]["query"]["estimate"] > 0
    assert "sampled" not in told["parts"][0]["query"]


def test_the_header_of_a_search_over_very_many_shards() -> None:
    names = [f"{number:016x}" for number in range(1_000)]
    part = {"kind": "buffer", "rows": 1, "query": {"query": "match_all"}}
    told = {
        "us": 1.0,
        "rounds": 1,
        "shards": [{"name": name, "us": 1.0, "parts": 1} for name in names],
        "parts": [{"shard": name, **part} for name in names],
    }
    header = explanation_header(told)
    assert len(header) <= BYTES_MAX
    shorter = json.loads(header)
    kept = len(shorter["shards"])
    assert kept > 50
    assert [one["name"] for one in shorter["shards"]] == names[:kept]
    assert shorter["left_out"] == {"queries": 1_000, "parts": 1_000, "shards": 1_000 - kept}
    few = {**told, "shards": told["shards"][:9], "parts": told["parts"][:400]}  # type: ignore[index]
    shorter = json.loads(explanation_header(few))
    assert len(shorter["shards"]) == 9
    assert shorter["left_out"]["shards"] == 0
    assert shorter["parts"]
