"""The picture of a search shows what its explanation tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.graph_and_buffer import BUFFERED, DEAD, DIMENSION, ROWS, graph_and_buffer

from lutra.console.explaining import ExplanationPicture, picture_of
from lutra.console.languages import translate
from lutra.index.lsm.view import IndexView
from lutra.model.queries import Bool, KnnVector, Match, MatchAll, Query, Range, ScoreSort, SearchRequest, Term
from lutra.search import search

NEAR = np.zeros(DIMENSION, np.float32)
LIVE = ROWS - DEAD


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    with graph_and_buffer(tmp_path_factory.mktemp("shelf")) as view:
        yield view


def english(message: str, **values: object) -> str:
    return translate("en", message, **values)


def picture(view: IndexView, query: Query, **more: Any) -> tuple[ExplanationPicture, dict[str, Any]]:
    """Of a search for ``query``, and the explanation it is of."""
    answer = search(view, SearchRequest(query, (ScoreSort(),), explain=True, **more))
    assert answer.stats.explanation is not None
    return picture_of(answer.stats.explanation, english), answer.stats.explanation


def test_neighbours_have_a_lane_a_part_with_predicted_and_actual_cost(view: IndexView) -> None:
    drawn, told = picture(view, KnnVector("v", NEAR, 10, Range("n", 0, 49)), samples_recall=True)
    segment, buffer = drawn.lanes
    assert (segment.title, segment.kind) == ("Segment 00000000", "codes and graph")
    assert (segment.rows, segment.documents, segment.share) == (LIVE, ROWS, LIVE / (LIVE + BUFFERED))
    assert (buffer.title, buffer.kind, buffer.rows) == ("Rows in memory", "buffer in memory", BUFFERED)
    assert segment.size_bytes == view.parts[0].size_bytes

    (near,), query = segment.neighbours, told["parts"][0]["query"]
    (scan,), predicted = query["scans"], query["predicted"]
    assert {bar.name: (bar.predicted, bar.actual) for bar in near.bars} == {
        "time": (query["predicted_us"][predicted["strategy"]], scan["us"]),
        "distances": (predicted["distances"], scan["distances"]),
        "reads": (predicted["reads"], scan["reads"]),
        "bytes read": (predicted["bytes"], scan["bytes"]),
    }
    assert (near.qualifying, near.qualifying_share) == (LIVE // 2, 0.5)
    assert (near.candidates, near.found) == (scan["compared"], query["estimate"])
    assert (near.recall.predicted, near.recall.checked) == (predicted["recall"], told["parts"][0]["recall"])
    assert (drawn.nearest, drawn.found) == (10, sum(one.recall.found or 0 for one in (near, *buffer.neighbours)))
    ways = sorted(query["predicted_us"].items(), key=lambda way: way[1])
    assert f"{round(ways[0][1])} µs" in near.why[0]
    assert f"{round(ways[1][1])} µs" in near.why[0]

    (in_memory,) = buffer.neighbours
    assert in_memory.strategy == "filter first, compare what passes"
    assert [bar.predicted for bar in in_memory.bars] == [None] * 4
    assert (in_memory.candidates, in_memory.recall.predicted) == (BUFFERED // 2, 1.0)


def test_bars_are_as_long_as_figures_are_large(view: IndexView) -> None:
    drawn, _ = picture(view, KnnVector("v", NEAR, 10))
    bars = [bar for lane in drawn.lanes for one in lane.neighbours for bar in one.bars]
    for name in ("time", "distances", "reads", "bytes read"):
        some = [bar for bar in bars if bar.name == name]
        most = max(max(bar.actual, bar.predicted or 0) for bar in some)
        for bar in some:
            assert bar.actual_share == pytest.approx(bar.actual / most)
            assert bar.predicted_share == pytest.approx((bar.predicted or 0) / most)
    assert max(lane.us_share for lane in drawn.lanes) == 1
    assert sum(lane.share for lane in drawn.lanes) == pytest.approx(1)


def test_conditions_stand_in_the_order_of_the_query(view: IndexView) -> None:
    query = Bool(must=(Term("n", 5), Range("n", 0, 49)), should=(Match("t", "odd"),))
    drawn, _ = picture(view, query, filter=Bool(must_not=(Term("n", 6),)))
    lines = drawn.lanes[0].conditions
    assert [(line.depth, line.role, line.kind) for line in lines] == [
        (0, "", "bool"),
        (1, "must", "term"),
        (1, "must", "range"),
        (1, "should", "words"),
        (0, "filter", "bool"),
        (1, "must_not", "term"),
    ]
    assert (lines[1].operands, lines[1].rows, lines[1].rows_share) == ("field n, value 5", 29, 29 / ROWS)
    assert lines[3].operands == "field t, words odd, needed 1"
    assert lines[1].estimate_share == 30 / ROWS
    assert drawn.lanes[0].why == ("Conditions were looked up in columns and postings, the rarest first.",)


def test_several_neighbour_queries_are_shown_each(view: IndexView) -> None:
    query = Bool(should=(KnnVector("v", NEAR, 5), KnnVector("v", NEAR + 1, 5, Term("n", 777))))
    lane = picture(view, query)[0].lanes[0]
    first, nothing = lane.neighbours
    assert (first.field, first.found > 0) == ("v", True)
    assert (nothing.strategy, nothing.why) == ("nothing to look for", ("No row here passes the filter.",))
    assert (nothing.qualifying, nothing.candidates, nothing.found) == (None, 0, 0)


def test_searches_without_neighbours_say_what_they_did(view: IndexView) -> None:
    assert picture(view, MatchAll())[0].lanes[0].why == ("All rows match: nothing had to be looked up.",)
    best, _ = picture(view, Match("t", "even 3"), limit=3)
    assert {lane.strategy for lane in best.lanes} <= {"best blocks of postings", "columns and postings"}
    assert best.nearest is None


def test_a_query_of_very_many_conditions_is_shown_in_part(view: IndexView) -> None:
    lane = picture(view, Bool(should=tuple(Term("n", n) for n in range(300))))[0].lanes[0]
    assert (len(lane.conditions), lane.conditions_left_out) == (200, 101)


def test_what_the_build_found_is_why(view: IndexView) -> None:
    _, told = picture(view, KnnVector("v", NEAR, 10))
    for part, words in (
        ({"fallback": "exact"}, "codes tell too little"),
        ({"fallback": "scan"}, "miss too much"),
        ({"exact_rows": 7}, "7 rows that codes do not describe"),
    ):
        changed = {**told, "parts": [{**told["parts"][0], **part}]}
        (near,) = picture_of(changed, english).lanes[0].neighbours
        assert any(words in reason for reason in near.why)
