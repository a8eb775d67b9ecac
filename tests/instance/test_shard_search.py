"""Searches over rows that are shared out to shards answer what one view of all rows does."""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.local_shards import LocalShards, TableRows, coordinator_of, in_shards, of_one
from support.same import assert_same
from support.worlds.aggregations import aggregations, group_bys
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.index.lsm.index import SearchIndex
from lutra.model.aggregations import Count, GroupByField, Max, TopRows
from lutra.model.errors import (
    Corruption,
    LutraError,
    ParameterInvalid,
    RequestTimeout,
    ServerBusy,
    SessionExpired,
)
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.nested import InnerHits, Nested
from lutra.model.queries import (
    Bool,
    ColumnsToGet,
    FieldSort,
    Highlight,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    PrimaryKeySort,
    Query,
    Range,
    ReturnColumns,
    ScoreSort,
    SearchRequest,
    SearchResult,
)
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.scoring import FunctionsScore, RandomScore, ScoreFunction
from lutra.model.shards import ShardCall, ShardReply, ShardStep
from lutra.model.values import ColumnType
from lutra.search.coordinator import ROUNDS_MAX

COLLAPSED = (FieldType.LONG, FieldType.DOUBLE, FieldType.KEYWORD)


@st.composite
def requests(draw: st.DrawFn, world: World) -> SearchRequest:
    """Of all that can be asked at once."""
    schema = world.schema
    query: Any = draw(queries(schema))
    if isinstance(query, Nested):
        query = replace(query, inner_hits=draw(st.none() | st.builds(InnerHits, limit=st.integers(0, 3))))
    collapsed = [None, None, *(f.name for f in schema.fields if f.type in COLLAPSED and not f.is_array)]
    texts = [f.name for f in schema.fields if f.text is not None and f.text.highlighting]
    is_aggregating = draw(st.booleans())
    return SearchRequest(
        query,
        draw(sorts(schema)),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 8)),
        count_total=draw(st.booleans()),
        count_max=draw(st.none() | st.integers(1, 30)),
        columns=ColumnsToGet(draw(st.sampled_from([ReturnColumns.NONE, ReturnColumns.ALL]))),
        highlight=Highlight(tuple(map(HighlightField, texts))) if texts else None,
        aggregations=draw(aggregations(schema)) if is_aggregating else (),
        group_bys=draw(group_bys(schema)) if is_aggregating else (),
        collapse=draw(st.sampled_from(collapsed)),
        filter=draw(st.none() | queries(schema, 2, False)),
        explain=draw(st.booleans()),
    )


def assert_equal(found: SearchResult, expected: SearchResult) -> None:
    assert [row.key for row in found.rows] == [row.key for row in expected.rows]
    assert [*map(repr, found.rows)] == [*map(repr, expected.rows)]  # some are not numbers
    assert np.array_equal(found.scores, expected.scores, equal_nan=True)
    assert (found.total, found.next_token) == (expected.total, expected.next_token)
    assert (found.highlights, found.is_complete) == (expected.highlights, expected.is_complete)
    assert_same(found.inner_hits, expected.inner_hits)
    assert_same(found.aggregated, expected.aggregated)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(1, 4), st.integers(0, 2**32))
def test_as_one_view(world: World, data: st.DataObject, count: int, seed: int) -> None:
    rows = TableRows(world.schema, world.written)
    request = data.draw(requests(world))
    shards = LocalShards(in_shards(world.index, [*world.written.values()], count, random.Random(seed)), rows)
    for _ in range(4):
        expected = of_one(world.index.view(), request, rows)
        found = coordinator_of(world.index).search(request, shards, rows.fill)
        assert_equal(found, expected)
        if request.explain:
            told = found.stats.explanation
            assert told is not None
            assert told["rounds"] == len(shards.calls) <= 3
        if not expected.next_token:
            break
        request = replace(request, offset=0, token=expected.next_token)
        shards.calls.clear()
    shards.close()


# --- rows that are known ---------------------------------------------------------------------------------------------

SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("group", FieldType.KEYWORD),
        FieldSchema("text", FieldType.TEXT, text=TextOptions("single_word", highlighting=True)),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
        FieldSchema("items", FieldType.NESTED, fields=(FieldSchema("price", FieldType.LONG),)),
    )
)
KEY = (KeyColumn("id", ColumnType.INTEGER),)
ROWS = 300
WORDS = ("red", "green", "blue")
NEAR = np.zeros(2, np.float32)


def row_of(number: int) -> Row:
    cells: list[Any] = [
        ("group", f"g{number % 7}", 1),
        ("items", json.dumps([{"price": number}, {"price": -number}]), 1),
        ("n", number * 7919 % ROWS, 1),
        ("text", " ".join(WORDS[number % 3 :]) + " word" * (number % 5), 1),
        ("v", np.array([number, 0], "<f4").tobytes(), 1),
    ]
    return Row((("id", number),), cells)


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    index = memory_index(SCHEMA, KEY)
    index.apply([row_of(number) for number in range(ROWS)])
    return index


Made = Callable[..., LocalShards]


@pytest.fixture
def made(index: SearchIndex) -> Iterator[Made]:
    """Makes shards of all rows, of which the table has those but the ones ``gone``."""
    all_made = []

    def make(gone: set[int] = frozenset(), answering: Any = None, count: int = 3) -> LocalShards:  # type: ignore[assignment]
        rows = [row_of(number) for number in range(ROWS)]
        table = TableRows(SCHEMA, {row.key: row for row in rows if row.key[0][1] not in gone})
        shards = LocalShards(in_shards(index, rows, count, random.Random(1)), table, answering)
        all_made.append(shards)
        return shards

    yield make
    for shards in all_made:
        shards.close()


def asked(index: SearchIndex, shards: LocalShards, request: SearchRequest) -> SearchResult:
    return coordinator_of(index).search(request, shards, shards.rows.fill)


def ids(result: SearchResult) -> list[Any]:
    return [row.key[0][1] for row in result.rows]


ALL = ColumnsToGet(ReturnColumns.ALL)
NEAREST = KnnVector("v", NEAR, 8)
BY_SCORE = (ScoreSort(),)
IN_BOOL = Bool(must=(KnnVector("v", NEAR, 8),), filter=(Range("n", 0),))
WITH_WORDS = Bool(must=(Match("text", "red word"),), should=(NEAREST,))


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        (SearchRequest(MatchAll(), columns=ALL), [ShardStep.WHOLE]),
        (SearchRequest(MatchAll(), (FieldSort("n"),), 3, 20, count_total=True, columns=ALL), [ShardStep.WHOLE]),
        (SearchRequest(Match("text", "red"), columns=ALL), [ShardStep.WHOLE]),
        (SearchRequest(MatchAll(), limit=0, aggregations=(Max("m", "n"),)), [ShardStep.WHOLE]),
        (SearchRequest(NEAREST, BY_SCORE, limit=5, columns=ALL), [ShardStep.WHOLE]),
        (SearchRequest(NEAREST, BY_SCORE, limit=5, count_total=True), [ShardStep.GATHER, ShardStep.COLLECT]),
        (SearchRequest(NEAREST, (FieldSort("n"),), limit=5), [ShardStep.GATHER, ShardStep.COLLECT]),
        (SearchRequest(IN_BOOL, BY_SCORE, limit=5), [ShardStep.GATHER, ShardStep.COLLECT]),
        (SearchRequest(Match("text", "red"), BY_SCORE, columns=ALL), [ShardStep.GATHER, ShardStep.COLLECT]),
        (SearchRequest(MatchAll(), offset=190, limit=100, columns=ALL), [ShardStep.COLLECT, ShardStep.FETCH]),
        (
            SearchRequest(WITH_WORDS, BY_SCORE, offset=190, limit=20, columns=ALL),
            [ShardStep.GATHER, ShardStep.COLLECT, ShardStep.FETCH],
        ),
        (
            SearchRequest(Nested("items", Range("items.price", 5), inner_hits=InnerHits())),
            [ShardStep.COLLECT, ShardStep.FETCH],
        ),
    ],
)
def test_which_steps_a_search_takes(
    index: SearchIndex, made: Made, request_: SearchRequest, steps: list[ShardStep]
) -> None:
    shards = made()
    found = asked(index, shards, replace(request_, explain=True))
    assert [{call.step for call in calls.values()} for calls in shards.calls] == [{step} for step in steps]
    assert_equal(found, of_one(index.view(), request_, shards.rows))
    told = found.stats.explanation
    assert told is not None
    assert told["rounds"] == len(steps)
    assert [one["name"] for one in told["shards"]] == shards.names
    assert {part["shard"] for part in told["parts"]} == {*shards.names}
    json.dumps(told)


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        (SearchRequest(MatchAll(), columns=ALL), [ShardStep.WHOLE]),
        (SearchRequest(NEAREST, (FieldSort("n"),), limit=5), [ShardStep.WHOLE]),
        (SearchRequest(WITH_WORDS, BY_SCORE, limit=20, count_total=True, columns=ALL), [ShardStep.WHOLE]),
        (SearchRequest(MatchAll(), offset=190, limit=100, columns=ALL), [ShardStep.COLLECT, ShardStep.FETCH]),
        (
            SearchRequest(WITH_WORDS, BY_SCORE, offset=190, limit=20, columns=ALL),
            [ShardStep.GATHER, ShardStep.COLLECT, ShardStep.FETCH],
        ),
    ],
)
def test_one_shard_is_asked_once_but_for_long_pages(
    index: SearchIndex, made: Made, request_: SearchRequest, steps: list[ShardStep]
) -> None:
    shards = made(count=1)
    assert_equal(asked(index, shards, request_), of_one(index.view(), request_, shards.rows))
    assert [[call.step for call in calls.values()] for calls in shards.calls] == [[step] for step in steps]


def test_only_the_rows_of_a_long_page_are_read(index: SearchIndex, made: Made) -> None:
    shards = made()
    assert len(asked(index, shards, SearchRequest(MatchAll(), offset=190, limit=90, columns=ALL)).rows) == 90
    assert shards.rows.reads == 90


@pytest.mark.parametrize(
    "request_",
    [
        SearchRequest(MatchAll(), (FieldSort("n"),), limit=20, columns=ALL),
        SearchRequest(MatchAll(), (FieldSort("n"),), offset=10, limit=7, columns=ALL),
        SearchRequest(MatchAll(), (FieldSort("n"),), offset=120, limit=90, columns=ALL),
        SearchRequest(MatchAll(), (FieldSort("n"),), limit=6, columns=ALL, collapse="group"),
        SearchRequest(NEAREST, BY_SCORE, limit=8, columns=ALL),
        SearchRequest(KnnVector("v", NEAR, 150), BY_SCORE, offset=120, limit=90, columns=ALL),
        SearchRequest(IN_BOOL, BY_SCORE, limit=8, columns=ALL),
        SearchRequest(Nested("items", Range("items.price", 5), inner_hits=InnerHits()), limit=30, columns=ALL),
    ],
)
def test_rows_that_are_gone_take_nobodys_place(index: SearchIndex, made: Made, request_: SearchRequest) -> None:
    gone = {number for number in range(ROWS) if number % 3 == 0 or 30 < number < 100}
    shards = made(gone)
    expected = of_one(index.view(), request_, shards.rows)
    assert len(expected.rows) >= 5
    found = asked(index, shards, request_)
    assert_equal(found, expected)
    assert len(shards.calls) < 20
    if found.next_token:
        page = replace(request_, offset=0, token=found.next_token)
        assert_equal(asked(index, shards, page), of_one(index.view(), page, shards.rows))


def test_words_count_no_rows_that_are_known_to_be_gone(index: SearchIndex, made: Made) -> None:
    request = SearchRequest(Match("text", "red green blue word"), BY_SCORE, limit=ROWS, columns=ALL)
    gone = set(range(0, ROWS, 2))
    found = asked(index, made(gone), request)
    left = memory_index(SCHEMA, KEY)
    left.apply([row_of(number) for number in range(ROWS) if number not in gone])
    assert_equal(
        found, of_one(left.view(), request, TableRows(SCHEMA, {row.key: row for row in map(row_of, range(ROWS))}))
    )


def test_rows_of_groups(index: SearchIndex, made: Made) -> None:
    by_group = GroupByField("g", "group", aggregations=(TopRows("first", 2, (FieldSort("n"),)), Count("c", "*")))
    request = SearchRequest(Match("text", "red"), limit=0, columns=ALL, group_bys=(by_group,))
    shards = made()
    found = asked(index, shards, request)
    assert_equal(found, of_one(index.view(), request, shards.rows))
    assert found.aggregated is not None
    first = found.aggregated.group_bys["g"].groups[0].aggregations["first"]
    assert len(first.rows) == 2  # type: ignore[union-attr]


def test_chance_is_the_same_in_all_shards_and_on_all_pages(index: SearchIndex, made: Made) -> None:
    query = FunctionsScore(MatchAll(), (ScoreFunction(RandomScore()),))
    shards = made()
    request = SearchRequest(query, limit=40)
    first = asked(index, shards, request)
    seen, scores, token = ids(first), list(first.scores), first.next_token
    while token:
        page = asked(index, shards, replace(request, token=token))
        seen, scores, token = seen + ids(page), scores + page.scores, page.next_token
    assert sorted(seen) == list(range(ROWS))
    assert scores == sorted(scores, reverse=True)


def test_neighbours_that_score_the_same_though_some_are_nearer(index: SearchIndex, made: Made) -> None:
    """A weight of 0 leaves nothing of how near they are: what a shard found by itself does not say who is in."""
    sort = (ScoreSort(), PrimaryKeySort(descending=True))
    request = SearchRequest(KnnVector("v", NEAR, 30, weight=0.0), sort, limit=4)
    shards = made()
    assert_equal(asked(index, shards, request), of_one(index.view(), request, shards.rows))
    assert [{call.step for call in calls.values()} for calls in shards.calls] == [
        {ShardStep.WHOLE},
        {ShardStep.GATHER},
        {ShardStep.COLLECT},
    ]


def test_rows_that_are_too_much_for_an_answer_are_fetched(
    index: SearchIndex, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each shard has more than the page: only that is too much or not."""
    shards, read = made(), TableRows.read

    def limited(self: TableRows, hits: list[Any], request: SearchRequest, shown: Any = None) -> list[Row | None]:
        if len(hits) > 12:
            raise ParameterInvalid("too much")
        return read(self, hits, request, shown)

    request = SearchRequest(MatchAll(), offset=15, limit=12, columns=ALL)
    expected = of_one(index.view(), request, shards.rows)
    monkeypatch.setattr(TableRows, "read", limited)
    assert_equal(asked(index, shards, request), expected)
    with pytest.raises(ParameterInvalid, match="too much"):
        asked(index, shards, replace(request, limit=60))


# --- shards that do not answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", list(ShardStep))
@pytest.mark.parametrize("kind", [RequestTimeout, ServerBusy, ParameterInvalid])
def test_a_shard_that_is_away(index: SearchIndex, made: Made, step: ShardStep, kind: type[LutraError]) -> None:
    def answering(shard: int, call: ShardCall, answer: Callable[[ShardCall], ShardReply]) -> ShardReply:
        if shard == 1 and call.step is step:
            raise kind("away")
        return answer(call)

    shards = made(answering=answering)
    query: Query = MatchAll() if step is ShardStep.WHOLE else WITH_WORDS
    limit = 250 if step is ShardStep.FETCH else 20
    request = SearchRequest(query, BY_SCORE, limit=limit, count_total=True, columns=ALL)
    with pytest.raises(kind):
        asked(index, shards, request)
    request = replace(request, allow_partial=True)
    if kind is ParameterInvalid:
        with pytest.raises(ParameterInvalid):
            asked(index, shards, request)
        return
    found = asked(index, shards, request)
    assert not found.is_complete
    assert not found.next_token
    there = [
        id_
        for view in (shards.views[0], shards.views[2])
        for id_ in ids(of_one(view, replace(request, limit=ROWS), shards.rows))
    ]
    assert {*ids(found)} <= {*there}
    assert len(found.rows) == min(limit, len(there))
    assert found.total == len(there)


def test_no_shard_that_answers(index: SearchIndex, made: Made) -> None:
    def answering(shard: int, call: ShardCall, answer: Any) -> ShardReply:
        raise RequestTimeout("late")

    with pytest.raises(RequestTimeout, match="late"):
        asked(index, made(answering=answering), SearchRequest(MatchAll(), allow_partial=True))


def test_a_session_that_is_gone_is_told(index: SearchIndex, made: Made) -> None:
    def answering(shard: int, call: ShardCall, answer: Callable[[ShardCall], ShardReply]) -> ShardReply:
        return answer(replace(call, session=b"gone") if call.session else call)

    with pytest.raises(SessionExpired):
        asked(index, made(answering=answering), SearchRequest(WITH_WORDS, BY_SCORE))


def test_a_shard_whose_rows_go_for_ever(index: SearchIndex, made: Made) -> None:
    def answering(shard: int, call: ShardCall, answer: Callable[[ShardCall], ShardReply]) -> ShardReply:
        reply = answer(call)
        if call.step is ShardStep.COLLECT and shard == 2:
            reply.is_behind, reply.gathered = True, gathered[shard]
        if call.step is ShardStep.GATHER:
            gathered[shard] = reply.gathered
        return reply

    gathered: dict[int, bytes] = {}
    shards = made(answering=answering)
    with pytest.raises(ServerBusy):
        asked(index, shards, SearchRequest(WITH_WORDS, BY_SCORE))
    assert len(shards.calls) == ROUNDS_MAX


# --- bytes that make no sense -----------------------------------------------------------------------------------------

BY_GROUP = GroupByField("g", "group", aggregations=(TopRows("first", 2, (FieldSort("n"),)), Max("m", "n")))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["hits", "aggregated", "gathered", "known"]),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4),
    st.none() | st.integers(0, 1 << 20),
    st.booleans(),
)
def test_hostile_bytes(
    index: SearchIndex, made: Made, what: str, changes: list[tuple[int, int]], end: int | None, is_sealed: bool
) -> None:
    """Whatever a shard sends, or is sent: an error that says so, or an answer."""

    def spoilt(data: bytes) -> bytes:
        body = bytearray(data[:-4] if is_sealed else data)
        for place, byte in changes if body else ():
            body[place % len(body)] = byte
        if end is not None and body:
            body = body[: end % len(body)]
        return bytes(body) + (zlib.crc32(body).to_bytes(4, "little") if is_sealed else b"")

    def answering(shard: int, call: ShardCall, answer: Callable[[ShardCall], ShardReply]) -> ShardReply:
        if what == "known" and call.known and shard == 1:
            call = replace(call, known=spoilt(call.known))
        reply = answer(call)
        if what != "known" and shard == 1 and (data := getattr(reply, what)):
            setattr(reply, what, spoilt(data))
        return reply

    request = SearchRequest(WITH_WORDS, (ScoreSort(), FieldSort("group")), count_total=True, group_bys=(BY_GROUP,))
    with contextlib.suppress(Corruption, ParameterInvalid):
        asked(index, made(answering=answering), request)
