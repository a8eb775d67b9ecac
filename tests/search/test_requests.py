"""What a search refuses, and how tokens, pages and time limits behave."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.indexes import memory_index

from lutra.index.lsm.index import SearchIndex
from lutra.model import limits
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import (
    Bool,
    ColumnsToGet,
    Exists,
    FieldSort,
    Highlight,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Prefix,
    PrimaryKeySort,
    Query,
    Range,
    ReturnColumns,
    ScoreSort,
    SearchRequest,
    Sorter,
    SortMode,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("k", FieldType.KEYWORD),
        FieldSchema("flag", FieldType.BOOLEAN),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("hidden", FieldType.LONG, index=False),
        FieldSchema("unsorted", FieldType.LONG, sort_and_aggregate=False),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2, Metric.EUCLIDEAN)),
    )
)


def filled(rows: int, schema: IndexSchema = SCHEMA, clock: Any = None) -> SearchIndex:
    index = memory_index(schema, KEY, clock)
    vectors = [np.array([n, 0], "<f4").tobytes() for n in range(rows)]
    index.apply([Row((("id", n),), [("n", n % 3, 1), ("v", vectors[n], 1)]) for n in range(rows)])
    return index


INDEX = filled(30)


def near(x: float = 0.0, top_k: int = 3, **more: Any) -> KnnVector:
    return KnnVector("v", np.array([x, 0], np.float32), top_k, **more)


def ids(index: SearchIndex, request: SearchRequest) -> list[Any]:
    return [hit.key[0][1] for hit in search(index.view(), request).hits]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Term("x", 1), r"\[term query\] field: x does not exist"),
        (
            Term("v", "a"),
            r"\[term query\] field: v type: vector is invalid, allow \[long, double, boolean, keyword, date, text, ",
        ),
        (Term("n", "a"), r"field \[n\] is of type LONG: 'a' is no value of that type"),
        (Term("n", True), "LONG"),
        (Term("k", 1.5), "KEYWORD"),
        (Term("flag", 1), "BOOLEAN"),
        (Term("hidden", 1), "not indexed"),
        (Exists("hidden"), "not indexed"),
        (Term("n", 1, -1.0), "weight"),
        (Term("n", 1, math.nan), "weight"),
        (Terms("n", ()), r"takes 1 to 1024 terms, not 0"),
        (Terms("n", tuple(range(limits.TERMS_MAX + 1))), "1025"),
        (Terms("n", (1, "x")), "LONG"),
        (Range("flag", True), r"\[range query\] field: flag type: boolean"),
        (Range("n", "a"), "LONG"),
        (
            Match("n", "a"),
            r"\[match query\] field: n type: long is invalid, allow \[keyword, text, ",
        ),
        (Match("k", "é" * 32_769), r"\[match query\] the text has 65538 bytes, more than 65536"),
        (MatchPhrase("k", "a", -1), r"\[match_phrase query\] slop must be in \[0, 2147483647\], not -1"),
        (MatchPhrase("k", "a" * 65_537), "65537 bytes"),
        (MatchPhrase("x", "a"), r"\[match_phrase query\] field: x does not exist"),
        (Match("k", "a", weight=-1.0), r"\[match query\] weight"),
        (
            Prefix("n", "a"),
            r"\[prefix query\] field: n type: long is invalid, allow \[keyword, text, ",
        ),
        (Prefix("k", "a" * (limits.PREFIX_BYTES_MAX + 1)), "1001 bytes"),
        (Prefix("k", "\ud800"), "surrogate"),
        (Suffix("k", "é" * 501), r"\[suffix query\] the suffix has 1002 bytes, more than 1000"),
        (
            Suffix("n", "a"),
            r"\[suffix query\] field: n type: long is invalid, allow \[keyword, text, ",
        ),
        (Wildcard("k", "é" * 33), r"\[wildcard query\] the pattern has 33 characters, more than 32"),
        (Wildcard("k", "\ud800"), "surrogate"),
        (Wildcard("k", "a", -1.0), r"\[wildcard query\] weight"),
        (
            Wildcard("n", "a"),
            r"\[wildcard query\] field: n type: long is invalid, allow \[keyword, text, ",
        ),
        (Bool(filter=(Term("x", 1),)), "does not exist"),
        (Bool(should=(MatchAll(),), minimum_should_match="x"), "minimum_should_match"),
        (near(top_k=0), r"top_k must be in \[1, 100000\], not 0"),
        (near(top_k=100_001), "top_k"),
        (near(top_k=-5), "top_k"),
        (near(min_score=-0.5), "min_score"),
        (near(min_score=math.nan), "min_score"),
        (near(num_candidates=2), "num_candidates"),
        (near(num_candidates=100_001), "num_candidates"),
        (near(filter=near()), "must not hold another"),
        (near(filter=Bool(must=(near(),))), "must not hold another"),
        (near(math.inf), "finite"),
        (near(math.nan), "finite"),
        (KnnVector("n", np.zeros(2, np.float32), 1), r"allow \[vector\]"),
        (KnnVector("v", np.zeros(3, np.float32), 1), "2 dimensions, the query vector has 3"),
        (KnnVector("v", np.zeros((1, 2), np.float32), 1), "2 dimensions"),
        (KnnVector("v", np.zeros(0, np.float32), 1), "2 dimensions, the query vector has 0"),
        (KnnVector("v", np.array([1e300, 0]), 1), "finite"),  # type: ignore[arg-type]
    ],
)
def test_refuses_queries(query: Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(INDEX.view(), SearchRequest(query))


def test_refuses_too_many_nodes_and_levels() -> None:
    with pytest.raises(ParameterInvalid, match="The count of queries exceeds the max: 1024"):
        search(INDEX.view(), SearchRequest(Bool(should=(MatchAll(),) * limits.QUERY_NODES_MAX)))
    query: Query = MatchAll()
    for _ in range(limits.QUERY_DEPTH_MAX - 1):
        query = Bool(must=(query,))
    assert search(INDEX.view(), SearchRequest(query)).hits
    with pytest.raises(ParameterInvalid, match="The depth of queries exceeds the max: 64"):
        search(INDEX.view(), SearchRequest(Bool(must=(query,))))


@pytest.mark.parametrize(
    ("sort", "says"),
    [
        ((FieldSort("x"),), "x does not exist"),
        ((FieldSort("unsorted"),), "sort_and_agg"),
        ((FieldSort("v"),), "VECTOR"),
        ((FieldSort("tags", mode=SortMode.AVG),), "AVG"),
        ((FieldSort("n", missing="x"),), "LONG"),
        ((PrimaryKeySort(),) * (limits.SORTERS_MAX + 1), "at most 16"),
    ],
)
def test_refuses_sorts(sort: tuple[Sorter, ...], says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(INDEX.view(), SearchRequest(MatchAll(), sort))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"limit": -1}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": limits.OFFSET_PLUS_LIMIT_MAX, "limit": 1}, "page with a token"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"highlight": Highlight((HighlightField("x"),))}, r"\[highlight\] field: x does not exist"),
        ({"highlight": Highlight((HighlightField("k"),))}, r"type: keyword is invalid, allow \[text\]"),
        ({"highlight": Highlight((HighlightField("k"),) * 11)}, "at most 10"),
        ({"token": b"x"}, "token"),
        ({"offset": 1, "token": b"x"}, r"\[offset\] cannot go with \[token\]"),
    ],
)
def test_refuses_requests(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(INDEX.view(), replace(SearchRequest(MatchAll()), **change))


def test_limits_by_columns() -> None:
    assert len(ids(INDEX, SearchRequest(MatchAll()))) == limits.SEARCH_LIMIT_DEFAULT
    for columns in [
        ColumnsToGet(ReturnColumns.NONE),
        ColumnsToGet(ReturnColumns.ALL_FROM_INDEX),
        ColumnsToGet(ReturnColumns.SPECIFIED, ("n", "id")),
    ]:
        assert len(ids(INDEX, SearchRequest(MatchAll(), limit=1000, columns=columns))) == 30
    assert len(ids(INDEX, SearchRequest(MatchAll(), limit=100, columns=ColumnsToGet(ReturnColumns.ALL)))) == 30


def test_total_without_hits() -> None:
    answer = search(INDEX.view(), SearchRequest(Term("n", 1), limit=0, count_total=True))
    assert (answer.hits, answer.total, answer.next_token) == ([], 10, b"")
    assert search(INDEX.view(), SearchRequest(MatchAll(), limit=3)).total == -1


def test_default_sort_is_the_index_sort() -> None:
    schema = replace(SCHEMA, sort=(FieldSort("n", descending=True),))
    index = filled(6, schema)
    assert ids(index, SearchRequest(MatchAll())) == [2, 5, 1, 4, 0, 3]
    first = search(index.view(), SearchRequest(MatchAll(), limit=3))
    assert ids(index, SearchRequest(MatchAll(), token=first.next_token)) == [4, 0, 3]
    assert ids(index, SearchRequest(MatchAll(), (PrimaryKeySort(True),))) == [5, 4, 3, 2, 1, 0]


def test_knn_fills_the_page_and_ends() -> None:
    """Protocol facts, 4.3: top_k 10 with limit 100 over 1000 rows gives 100 rows and a token."""
    index = filled(1000)
    request = SearchRequest(near(top_k=10), limit=100)
    answer = search(index.view(), request)
    assert [hit.key[0][1] for hit in answer.hits] == list(range(100))
    assert answer.total == -1
    assert all(math.isnan(hit.score) for hit in answer.hits)
    assert answer.next_token
    last = search(index.view(), replace(request, token=answer.next_token))
    assert (last.hits, last.next_token) == ([], b"")


def test_knn_pages_through_its_neighbours_by_score() -> None:
    request = SearchRequest(near(29.0, top_k=25), (ScoreSort(),), limit=10)
    answer = search(INDEX.view(), request)
    found = [(hit.key[0][1], hit.score) for hit in answer.hits]
    for _ in range(5):
        if not answer.next_token:
            break
        answer = search(INDEX.view(), replace(request, token=answer.next_token, sort=()))
        found += [(hit.key[0][1], hit.score) for hit in answer.hits]
    assert not answer.next_token
    assert found == [(29 - n, pytest.approx(1 / (1 + n * n))) for n in range(25)]


def test_knn_within_bool_keeps_its_top_k() -> None:
    both = SearchRequest(Bool(must=(near(top_k=4), Term("n", 0))), limit=10)
    assert ids(INDEX, both) == [0, 3]
    hybrid = SearchRequest(Bool(should=(near(top_k=2, weight=3.0), Term("n", 1, 0.5))), (ScoreSort(),), limit=3)
    hits = search(INDEX.view(), hybrid).hits
    assert [(hit.key[0][1], hit.score) for hit in hits] == [(0, 3.0), (1, 2.0), (4, 0.5)]


def test_rows_that_are_gone_are_no_neighbours() -> None:
    index = filled(10)
    for number in (0, 1, 3):
        index.apply([], [(("id", number),)])
    assert ids(index, SearchRequest(near(top_k=2), limit=2)) == [2, 4]
    assert ids(index, SearchRequest(near(top_k=2, filter=Exists("n")), limit=2)) == [2, 4]
    assert ids(index, SearchRequest(near(top_k=2, filter=Range("n", 0, 1)), limit=2)) == [4, 6]


@pytest.mark.parametrize(("minimum", "found"), [(0, 30), (1, 20), (2, 10), (3, 0), ("50%", 20), ("-1", 10), ("4", 0)])
def test_so_many_should_match(minimum: int | str, found: int) -> None:
    should = (Term("n", 0), Term("n", 1), Range("n", 0, 0))
    query = Bool(filter=(MatchAll(),), should=should, minimum_should_match=minimum)
    assert search(INDEX.view(), SearchRequest(query, count_total=True)).total == found


def test_stats() -> None:
    stats = search(INDEX.view(), SearchRequest(near(filter=Term("n", 0)))).stats
    assert (stats.strategy, stats.rows_scanned, stats.distances) == ("exact", 30, 10)
    stats = search(INDEX.view(), SearchRequest(MatchAll())).stats
    assert (stats.strategy, stats.rows_scanned, stats.distances) == ("columns", 30, 0)


class SteppingClock:
    """Goes on by ``step_us`` at each look."""

    def __init__(self, step_us: int) -> None:
        self.time_us = 0
        self.step_us = step_us

    def now_us(self) -> int:
        self.time_us += self.step_us
        return self.time_us


def test_timeout() -> None:
    """It counts from the beginning of the request that the search is part of, and is within that one's."""
    began_s = time.monotonic() - 5
    with working_for(Deadline(60, began_s)), pytest.raises(RequestTimeout, match="The search took longer than 10 ms"):
        search(INDEX.view(), SearchRequest(MatchAll(), timeout_ms=10))
    with working_for(Deadline(60, began_s)):
        assert search(INDEX.view(), SearchRequest(MatchAll(), timeout_ms=60_000)).hits
    with (
        working_for(Deadline(60, began_s - 5)),
        pytest.raises(RequestTimeout, match="The search took longer than 10 s"),
    ):
        search(INDEX.view(), SearchRequest(MatchAll(), timeout_ms=60_000))
    with working_for(Deadline(5, began_s)), pytest.raises(RequestTimeout, match="The request took longer than 5000 ms"):
        search(INDEX.view(), SearchRequest(MatchAll()))
    assert search(INDEX.view(), SearchRequest(MatchAll(), timeout_ms=1_000)).hits


def test_a_wall_clock_that_is_set_times_nothing_out() -> None:
    leaping = filled(3, clock=SteppingClock(3_600_000_000))
    assert search(leaping.view(), SearchRequest(Bool(must=(MatchAll(),) * 20), timeout_ms=1_000)).hits


# --- tokens ----------------------------------------------------------------------------------------------------------


def a_token(sort: tuple[Sorter, ...] = (FieldSort("n"), ScoreSort())) -> bytes:
    return search(INDEX.view(), SearchRequest(MatchAll(), sort, limit=1)).next_token


def refused(index: SearchIndex, token: bytes) -> bool:
    try:
        search(index.view(), SearchRequest(MatchAll(), token=token))
    except ParameterInvalid:
        return True
    return False


@given(st.binary(max_size=60))
def test_refuses_any_other_bytes(data: bytes) -> None:
    assert refused(INDEX, data or b"x")


@given(st.data())
def test_refuses_a_changed_token(data: st.DataObject) -> None:
    token = bytearray(a_token())
    token[data.draw(st.integers(0, len(token) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert refused(INDEX, bytes(token))


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["n", "k", "score", "key", "field", ""]),
    lambda part: st.lists(part, max_size=5) | st.dictionaries(st.sampled_from(["bytes", "x"]), part, max_size=1),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"sort": PARTS, "marks": PARTS, "top_k": PARTS}) | PARTS)
def test_forged_tokens_do_no_harm(content: Any) -> None:
    """A token that is well sealed and makes no sense is refused, or pages."""
    import json

    body = b"\x01" + json.dumps(content).encode()
    token = body + zlib.crc32(body).to_bytes(4, "big")
    try:
        search(INDEX.view(), SearchRequest(MatchAll(), token=token))
    except ParameterInvalid as error:
        assert str(error)  # noqa: PT017


def test_refuses_a_token_of_another_index() -> None:
    other = memory_index(IndexSchema((FieldSchema("k", FieldType.KEYWORD),)), KEY)
    assert refused(other, a_token())
    strings = memory_index(SCHEMA, (KeyColumn("a", ColumnType.INTEGER), KeyColumn("b", ColumnType.INTEGER)))
    assert refused(strings, a_token())
    typed = replace(SCHEMA, fields=(FieldSchema("n", FieldType.KEYWORD),))
    assert refused(filled(3, typed), a_token())
    assert not refused(INDEX, a_token())


def test_a_keyword_is_matched_as_one_word() -> None:
    index = memory_index(SCHEMA, KEY)
    index.apply([Row((("id", n),), [("k", text, 1)]) for n, text in enumerate(["a b", "a", "A b", "a b"])])
    for query in (Match("k", "a b", weight=3.0), MatchPhrase("k", "a b", weight=3.0)):
        answer = search(index.view(), SearchRequest(query, (ScoreSort(),)))
        assert [(hit.key[0][1], hit.score) for hit in answer.hits] == [(0, 3.0), (3, 3.0)]
