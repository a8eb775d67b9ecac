"""Queries for words against a plain model: what matches, what it scores, in buffers and in segments."""

from __future__ import annotations

import json
import random

import pytest
import support.reference.answer  # noqa: F401  # which knows all kinds of queries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.reference.documents import documents_of
from support.reference.space import Space
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.index.lsm.view import IndexView
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, FuzzyParameters, IndexSchema, TextOptions
from lutra.model.queries import (
    Bool,
    Exists,
    FieldSort,
    Highlight,
    HighlightField,
    Match,
    MatchPhrase,
    Operator,
    Prefix,
    Query,
    ScoreSort,
    SearchRequest,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.rows import Cell, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
FIELDS = {
    "plain": FieldSchema("plain", FieldType.TEXT),
    "array": FieldSchema("array", FieldType.TEXT, is_array=True, text=TextOptions("split")),
    "fuzzy": FieldSchema("fuzzy", FieldType.TEXT, text=TextOptions("fuzzy", FuzzyParameters(1, 3))),
    "least": FieldSchema("least", FieldType.TEXT, text=TextOptions("min_word")),
    "most": FieldSchema("most", FieldType.TEXT, text=TextOptions("max_word", highlighting=True)),
}
SCHEMA = IndexSchema((*FIELDS.values(), FieldSchema("k", FieldType.KEYWORD)))
WORDS = ["the", "The", "quick", "fox", "foxes", "梨花茶", "花茶", "梨花", "茶", "清华大学", "é", "x1"]
LIKE = ["*", "qu*", "?", "*x*", "*茶", "f?x", "", "花茶"]

names = st.sampled_from(sorted(FIELDS))
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).flatmap(
    lambda words: st.sampled_from([" ".join(words), "".join(words)])
)
weights = st.sampled_from([1.0, 1.0, 2.5, 0.0])
minimums = st.sampled_from([None, None, 1, 2, 3, "50%", "-1"])
terms = st.sampled_from([word.lower() for word in WORDS])
leaves = (
    st.builds(Match, names, texts, st.sampled_from(Operator), minimums, weights)
    | st.builds(MatchPhrase, names, texts, st.sampled_from([0, 0, 0, 1, 2]), weights)
    | st.builds(Term, names, terms, weights)
    | st.builds(Terms, names, st.lists(terms, min_size=1, max_size=3).map(tuple), weights)
    | st.builds(Prefix, names, st.sampled_from(["", "f", "梨", "zz"]), weights)
    | st.builds(Suffix, names, st.sampled_from(["", "x", "茶", "zz"]), weights)
    | st.builds(Wildcard, names, st.sampled_from(sorted(LIKE)), weights)
    | st.builds(Exists, names)
)
several = st.lists(leaves, max_size=2).map(tuple)
queries = leaves | st.builds(Bool, several, several, several, several, st.just(None), weights)


def world(rng: random.Random) -> list[Row]:
    rows = []
    for number in range(rng.choice([0, 1, 8, 25])):
        cells: list[Cell] = []
        for name, field in FIELDS.items():
            if rng.random() < 0.2:
                continue
            elements = [
                rng.choice(["", " "]).join(rng.choices(WORDS, k=rng.choice([0, 1, 2, 5])))
                for _ in range(rng.choice([0, 1, 3]) if field.is_array else 1)
            ]
            cells.append((name, json.dumps(elements) if field.is_array else elements[0], 1))
        rows.append(Row((("id", number),), [*cells, ("k", str(number % 3), 1)]))
    return rows


def expected_of(rows: list[Row], query: Query) -> dict[int, float]:
    """Score by row."""
    documents = documents_of(SCHEMA, {row.key: row for row in rows})
    return {int(one.key[0][1]): score for one, score in Space(SCHEMA, documents, documents).match(query).items()}  # type: ignore[call-overload]


def check(view: IndexView, query: Query, expected: dict[int, float]) -> None:
    by_score = search(view, SearchRequest(query, (ScoreSort(),), limit=100, count_total=True))
    scores = {hit.key[0][1]: hit.score for hit in by_score.hits}
    assert set(scores) == set(expected)
    assert by_score.total == len(expected)
    assert [hit.score for hit in by_score.hits] == sorted(scores.values(), reverse=True)
    for row, score in expected.items():
        assert scores[row] == pytest.approx(score, rel=1e-6, abs=1e-9), row
    # Without a total, and only the first: no longer all that match have to be listed and scored.
    first = search(view, SearchRequest(query, (ScoreSort(),), limit=3, offset=1))
    assert [(hit.key, hit.score) for hit in first.hits] == [(hit.key, hit.score) for hit in by_score.hits[1:4]]
    assert bool(first.next_token) == (len(by_score.hits) > 4)
    by_key = search(view, SearchRequest(query, limit=100))
    assert [hit.key[0][1] for hit in by_key.hits] == sorted(expected)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.lists(queries, min_size=1, max_size=4))
def test_what_matches_and_scores(shelf: Shelf, seed: int, several: list[Query]) -> None:
    rng = random.Random(seed)
    rows = world(rng)
    index = memory_index(SCHEMA, KEY)
    index.apply(rows)
    views = [index.view(), shared_out(index, rows, rng, shelf)] if rows else [index.view()]
    for query in several:
        expected = expected_of(rows, query)
        for view in views:
            check(view, query, expected)


def test_a_score_does_not_depend_on_deleted_rows() -> None:
    rows = [Row((("id", n),), [("plain", text, 1)]) for n, text in enumerate(["fox", "the fox", "fox fox", "dog"])]
    index, without = memory_index(SCHEMA, KEY), memory_index(SCHEMA, KEY)
    index.apply(rows)
    index.apply([], [rows[0].key, rows[3].key])
    without.apply(rows[1:3])
    request = SearchRequest(Match("plain", "fox dog"), (ScoreSort(),))
    assert [(hit.key, hit.score) for hit in search(index.view(), request).hits] == [
        (hit.key, hit.score) for hit in search(without.view(), request).hits
    ]


@pytest.mark.parametrize(
    ("query", "conditions"),
    [
        (Match("plain", "quick fox"), 0),
        (Bool(must=(Match("plain", "quick"),), filter=(Term("k", "1"),)), 1),
        (Bool(should=(Match("plain", "quick"),), must_not=(Term("k", "1"),)), 1),
        # Where words are not all that scores, or may be missing, what matches is listed.
        (Bool(should=(Match("plain", "quick"),), filter=(Term("k", "1"),)), 3),
        (Bool(should=(Match("plain", "quick"), Match("plain", "fox"))), 3),
        (MatchPhrase("plain", "quick fox"), 1),
    ],
)
def test_the_best_are_found_without_listing_what_matches(query: Query, conditions: int) -> None:
    index = memory_index(SCHEMA, KEY)
    texts = ["quick " * n + "fox " * (n * 7 % 40) for n in range(1, 40)]
    index.apply([Row((("id", n),), [("k", str(n % 2), 1), ("plain", text, 1)]) for n, text in enumerate(texts)])
    answer = search(index.view(), SearchRequest(query, (ScoreSort(),), limit=5))
    listed = search(index.view(), SearchRequest(query, (ScoreSort(),), limit=5, count_total=True))
    assert [(hit.key, hit.score) for hit in answer.hits] == [(hit.key, hit.score) for hit in listed.hits]
    assert answer.next_token
    assert answer.next_token == listed.next_token
    assert [part.conditions for part in answer.stats.parts] == [conditions]
    assert [part.conditions for part in listed.stats.parts] >= [max(1, conditions)]


def test_more_clauses_than_there_are_match_nothing() -> None:
    index = memory_index(SCHEMA, KEY)
    index.apply([Row((("id", 1),), [("plain", "quick", 1)])])
    for query in (
        Bool(should=(Match("plain", "quick"),), minimum_should_match=2),
        Match("plain", "quick", minimum_should_match=2),
    ):
        assert search(index.view(), SearchRequest(query, (ScoreSort(),))).hits == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Match("plain", " ".join(map(str, range(1_025)))), r"\[match query\] the text has 1025 words of field plain"),
        (Match("plain", "a" * 65_537), r"\[match query\] the text has 65537 bytes, more than 65536"),
        (Match("most", "\ud800"), "surrogate"),
        (Match("plain", "a b", minimum_should_match="x"), "minimum_should_match"),
        (MatchPhrase("fuzzy", "a" * 8_000), r"\[match_phrase query\] the text has \d+ words"),
        (MatchPhrase("plain", "a", slop=-1), "slop must be in"),
        (Term("plain", 5), r"field \[plain\] is of type TEXT: 5 is no word of a text"),
        (Terms("plain", ("a", b"x")), "no word of a text"),
        (Prefix("plain", "\ud800"), "surrogate"),
        (Wildcard("plain", "a" * 33), "33 characters"),
    ],
)
def test_refuses(query: Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(query))


@pytest.mark.parametrize(
    ("style", "says"),
    [
        (HighlightField("plain"), r"highlighting is not supported for field\[plain\]"),
        (HighlightField("most", fragments=0), r"number_of_fragments must be in \[1, 500\], not 0"),
        (HighlightField("most", fragment_chars=10_001), r"fragment_size must be in \[1, 10000\], not 10001"),
        (HighlightField("most", pre_tag="x" * 257), "at most 256 characters"),
    ],
)
def test_refuses_highlights(style: HighlightField, says: str) -> None:
    request = SearchRequest(Match("most", "a"), highlight=Highlight((style,)))
    with pytest.raises(ParameterInvalid, match=says):
        search(memory_index(SCHEMA, KEY).view(), request)


def test_no_text_is_sorted_by() -> None:
    with pytest.raises(ParameterInvalid, match="TEXT"):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(Exists("plain"), (FieldSort("plain"),)))
