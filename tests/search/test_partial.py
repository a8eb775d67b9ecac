"""What a search answers whose time is up before all parts are searched: what it found in the others, and that it is
not all."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from support.indexes import memory_index
from support.search_parts import shared_out

from lutra.fields.capabilities import FieldPart, Fields
from lutra.index.lsm.view import IndexView
from lutra.instance.living import answer_of_living
from lutra.kernels.selection import Selection
from lutra.model.aggregations import Count
from lutra.model.deadline import NEVER, Deadline, current_deadline
from lutra.model.errors import RequestTimeout
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import Bool, FieldSort, KnnVector, MatchAll, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.scalars.values import Scalar
from lutra.search import search, search_many
from lutra.search.scan import Position, scan
from lutra.segments.part import Part

QUERY = Term("group", 1)
REQUEST = SearchRequest(QUERY, limit=100, count_total=True, timeout_ms=900, explain=True, allow_partial=True)

NEAREST = replace(REQUEST, limit=5, explain=False)


class SlowColumn:
    """Takes until the deadline to say which documents are equal to anything, or near it."""

    def __init__(self, column: FieldPart) -> None:
        self._column = column

    def __getattr__(self, name: str) -> Any:
        return getattr(self._column, name)

    def equals(self, value: Scalar) -> Selection:
        time.sleep(current_deadline().left_s)
        current_deadline().check()
        raise AssertionError("the deadline has not passed")

    def topk_many(self, *asked: Any, **more: Any) -> None:
        self.equals(0)


class SlowFields(Mapping[str, FieldPart]):
    def __init__(self, fields: Fields, slow: Sequence[str]) -> None:
        self._fields, self._slow = fields, slow

    def __getitem__(self, name: str) -> Any:
        return SlowColumn(self._fields[name]) if name in self._slow else self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


@dataclass(frozen=True)
class SlowPart:
    part: Part
    names: Sequence[str] = ("group", "v")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)

    @property
    def fields(self) -> Fields:
        return SlowFields(self.part.fields, self.names)


@pytest.fixture(scope="module")
def view() -> IndexView:
    """Rows 0 to 99 in three parts or more; odd ones have ``group`` 1."""
    index = memory_index(
        IndexSchema((FieldSchema("group", FieldType.LONG), FieldSchema("n", FieldType.LONG))),
        (KeyColumn("id", ColumnType.INTEGER),),
    )
    rows = [Row((("id", n),), [("group", n % 2, 1), ("n", n, 1)]) for n in range(100)]
    for seed in range(100):
        view = shared_out(index, rows, random.Random(seed))
        if len(view.parts) > 2:
            return view
    raise AssertionError("there is no such seed")


def slow(view: IndexView, *numbers: int) -> IndexView:
    return replace(view, parts=tuple(SlowPart(part) if n in numbers else part for n, part in enumerate(view.parts)))


def without(view: IndexView, late: int) -> IndexView:
    return replace(view, parts=tuple(part for number, part in enumerate(view.parts) if number != late))


def test_parts_that_were_searched_in_time(view: IndexView) -> None:
    expected = search(without(view, 2), REQUEST)
    assert 0 < expected.total < 50
    answer = search(slow(view, 2), REQUEST)
    assert not answer.is_complete
    assert answer.hits == expected.hits
    assert answer.total == expected.total
    assert answer.stats.explanation is not None
    assert len(answer.stats.explanation["parts"]) == len(view.parts) - 1
    assert search(view, REQUEST).is_complete


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("change", [{}, {"limit": 0}, {"aggregations": (Count("n", "n"),)}])
def test_a_part_that_takes_all_the_time_leaves_some_to_the_others(
    view: IndexView, late: int, change: dict[str, Any]
) -> None:
    request = replace(REQUEST, timeout_ms=2_000, **change)
    expected, answer = search(without(view, late), request), search(slow(view, late), request)
    assert (answer.hits, answer.total, answer.is_complete) == (expected.hits, expected.total, False)
    assert answer.aggregated == expected.aggregated
    assert answer.stats.explanation is not None
    assert len(answer.stats.explanation["parts"]) == len(view.parts) - 1


def test_no_token_leads_on_from_rows_that_may_be_missing(view: IndexView) -> None:
    assert search(view, replace(REQUEST, limit=5)).next_token
    assert not search(slow(view, 2), replace(REQUEST, limit=5)).next_token


@pytest.mark.parametrize("change", [{"collapse": "n"}, {"sort": (FieldSort("n", True),)}, {"limit": 0}])
def test_whatever_is_asked_of_the_rows(view: IndexView, change: dict[str, Any]) -> None:
    request = replace(REQUEST, **change)
    expected = search(without(view, 2), request)
    answer = search(slow(view, 2), request)
    assert (answer.hits, answer.total, answer.is_complete) == (expected.hits, expected.total, False)


def test_who_does_not_want_a_part_gets_none(view: IndexView) -> None:
    with pytest.raises(RequestTimeout, match="The search took longer than 900 ms"):
        search(slow(view, 2), replace(REQUEST, allow_partial=False))


def view_of_vectors() -> IndexView:
    """Two parts in memory, whose vectors are looked at one after the other."""
    vectors = VectorOptions(2)
    schema = IndexSchema((FieldSchema("group", FieldType.LONG), FieldSchema("v", FieldType.VECTOR, vector=vectors)))
    rows = [Row((("id", n),), [("group", n % 2, 1), ("v", np.array([n, 1], "<f4").tobytes(), 1)]) for n in range(40)]
    views = []
    for own in (rows[::3], rows[1::3]):
        index = memory_index(schema, (KeyColumn("id", ColumnType.INTEGER),))
        index.apply(own)
        views.append(index.view())
    return replace(views[0], parts=tuple(view.parts[0] for view in views))


def near(at: int) -> KnnVector:
    return KnnVector("v", np.array([at, 1], np.float32), 5)


def test_queries_of_one_request_that_are_the_same_are_all_told_of_it() -> None:
    """Their neighbours are looked for once."""
    requests = [replace(NEAREST, query=near(at), sort=(ScoreSort(),)) for at in (3, 9, 3)]
    view = view_of_vectors()
    answers = search_many(slow(view, 1), requests)
    assert [answer.is_complete for answer in answers] == [False] * 3
    assert answers[0].hits == answers[2].hits != answers[1].hits
    assert [answer.is_complete for answer in search_many(view, requests)] == [True] * 3


@pytest.mark.parametrize(
    "change",
    [{"sort": (ScoreSort(),)}, {"sort": (FieldSort("group"),)}, {"sort": ()}, {"aggregations": (Count("n", "group"),)}],
)
def test_neighbours_found_in_time_are_an_answer_whatever_becomes_of_them(change: dict[str, Any]) -> None:
    view = view_of_vectors()
    request = replace(NEAREST, query=near(3), **change)
    expected = search(replace(view, parts=view.parts[:1]), request)
    answer = search(slow(view, 1), request)
    assert (answer.hits, answer.is_complete) == (expected.hits, False)
    assert answer.hits


@pytest.mark.parametrize(
    "query",
    [
        Bool(must_not=(near(3),)),
        Bool(must=(Term("group", 1),), must_not=(Bool(should=(near(3), near(9))),)),
        Bool(filter=(Bool(must_not=(near(3),)),)),
    ],
)
def test_what_is_left_out_is_not_found_where_there_was_no_time_to_know_it(query: Bool) -> None:
    """Of the part that there was no time for nobody knows which rows are the nearest."""
    view = view_of_vectors()
    request = replace(NEAREST, query=query, limit=100, timeout_ms=1_000)
    right = {hit.key for hit in search(view, request).hits}
    of_others = {
        hit.key for hit in search(replace(view, parts=view.parts[:1]), replace(request, query=MatchAll())).hits
    }
    vectors = replace(view, parts=(view.parts[0], SlowPart(view.parts[1], ("v",))))
    answer = search(vectors, request)
    assert not answer.is_complete
    assert {hit.key for hit in answer.hits} <= right & of_others
    assert answer.hits


def test_a_filter_that_takes_all_the_time_in_one_part_leaves_neighbours_of_the_others() -> None:
    view = view_of_vectors()
    query = replace(near(3), filter=Term("group", 1))
    request = replace(NEAREST, query=query, sort=(ScoreSort(),), timeout_ms=2_000)
    expected = search(without(view, 0), request)
    answer = search(slow(view, 0), request)
    assert (answer.hits, answer.is_complete) == (expected.hits, False)
    assert answer.hits


def test_nothing_was_searched_in_time(view: IndexView) -> None:
    with pytest.raises(RequestTimeout, match="The search took longer than 900 ms"):
        search(slow(view, *range(len(view.parts))), REQUEST)


def test_what_does_not_take_time_is_complete(view: IndexView) -> None:
    assert search(slow(view, 0, 1, 2), replace(REQUEST, query=MatchAll())).is_complete


def test_rows_that_are_gone_are_left_out_without_looking_further(view: IndexView) -> None:
    read: list[int] = []

    def rows(hits: list[Any]) -> list[Row | None]:
        read.append(len(hits))
        return [None if place == 1 else Row(hit.key) for place, hit in enumerate(hits)]

    whole = search(slow(view, 2), REQUEST)
    answer, found = answer_of_living(slow(view, 2), REQUEST, read=rows, are_gone=lambda hits: [False] * len(hits))
    assert read == [len(whole.hits)]
    assert [row.key for row in found] == [hit.key for hit in answer.hits]
    assert answer.hits == [whole.hits[0], *whole.hits[2:]]


def test_a_scan_goes_on_from_where_its_time_was_up(view: IndexView) -> None:
    expected = scan(replace(view, parts=view.parts[:2]), QUERY, Position(), 100, NEVER)
    page = scan(slow(view, 2), QUERY, Position(), 100, Deadline(0.3))
    assert page == expected
    rest = scan(view, QUERY, page.after[-1], 100, NEVER)
    assert len(page.keys) + len(rest.keys) == len(set(page.keys) | set(rest.keys)) == 50
