"""Queries for words against a plain model: what matches, what it scores, in buffers and in segments."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
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
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.search.minimum import minimum_should_match
from lutra.text.analyzers import Tokens, analyzer_of

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
LIKE = {"*": ".*", "qu*": "qu.*", "?": ".", "*x*": ".*x.*", "*茶": ".*茶", "f?x": "f.x", "": "", "花茶": "花茶"}

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


@dataclass
class Model:
    """The words of each row that lives, by field."""

    rows: dict[int, dict[str, Tokens]]

    def match(self, query: Query) -> dict[int, float | None]:
        """Score by row; None where a score is not foretold."""
        match query:
            case Bool():
                return self._bool(query)
            case Exists(name):
                return {row: 1.0 for row, words in self.rows.items() if name in words}
            case Match(name, text, operator, minimum, weight):
                wanted = analyzer_of(FIELDS[name].text or TextOptions()).query_tokens(text).terms
                needed = minimum_should_match(minimum, len(wanted), True) if operator is Operator.OR else len(wanted)
                return self._words(name, wanted, needed, weight)
            case MatchPhrase(name, text, slop, weight):
                return self._phrase(name, text, slop, weight)
            case Term(name, str(value), weight):
                return self._words(name, [value], 1, weight)
            case Terms(name, values, weight):
                return self._any(name, lambda term: term in values, weight)
            case Prefix(name, prefix, weight):
                return self._any(name, lambda term: term.startswith(prefix), weight)
            case Suffix(name, suffix, weight):
                return self._any(name, lambda term: term.endswith(suffix), weight)
            case Wildcard(name, pattern, weight):
                expression = re.compile(LIKE[pattern], re.DOTALL)
                return self._any(name, lambda term: expression.fullmatch(term) is not None, weight)
        raise AssertionError(query)

    def _any(self, name, test, weight):  # type: ignore[no-untyped-def]
        own = ((row, words[name].terms) for row, words in self.rows.items() if name in words)
        return {row: weight for row, terms in own if any(map(test, terms))}

    def _bool(self, query: Bool) -> dict[int, float | None]:
        must, should = [self.match(q) for q in query.must], [self.match(q) for q in query.should]
        filters, must_not = [self.match(q) for q in query.filter], [self.match(q) for q in query.must_not]
        needed = 1 if should and not query.must and not query.filter else 0
        is_empty = not (must or should or filters or must_not)
        found: dict[int, float | None] = {}
        for row in self.rows:
            fits = all(row in one for one in must + filters) and not any(row in one for one in must_not)
            if fits and sum(row in one for one in should) >= needed:
                parts = [one[row] for one in must + should if row in one]
                known = [part for part in parts if part is not None]
                total = (1.0 if is_empty else math.fsum(known)) * query.weight
                found[row] = total if len(known) == len(parts) else None
        return found

    def _idf(self, name: str, term: str) -> float:
        own = [words[name] for words in self.rows.values() if name in words and words[name].terms]
        frequency = sum(term in words.terms for words in own)
        return math.log(1 + (len(own) - frequency + 0.5) / (frequency + 0.5))

    def _bm25(self, name: str, idf: float, count: float, row: int) -> float:
        lengths = [len(words[name]) for words in self.rows.values() if name in words and words[name].terms]
        length = len(self.rows[row][name]) / (sum(lengths) / len(lengths))
        return idf * 2.2 * count / (count + 1.2 * (0.25 + 0.75 * length))

    def _words(self, name: str, wanted: list[str], needed: int, weight: float) -> dict[int, float | None]:
        found: dict[int, float | None] = {}
        idf = {term: self._idf(name, term) for term in wanted}
        for row, words in self.rows.items():
            counts = Counter(words[name].terms) if name in words else Counter()
            there = [term for term in wanted if term in counts]
            if wanted and there and len(there) >= max(needed, 1):
                found[row] = weight * math.fsum(self._bm25(name, idf[term], counts[term], row) for term in there)
        return found

    def _phrase(self, name: str, text: str, slop: int, weight: float) -> dict[int, float | None]:
        wanted = analyzer_of(FIELDS[name].text or TextOptions()).query_tokens(text)
        idf = math.fsum(self._idf(name, term) for term in wanted.terms)
        found: dict[int, float | None] = {}
        for row, words in self.rows.items():
            if name not in words or not wanted.terms:
                continue
            own = words[name]
            places = [[p for t, p in zip(own.terms, own.positions, strict=True) if t == term] for term in wanted.terms]
            if slop == 0:
                moved = [{p - at for p in of} for of, at in zip(places, wanted.positions, strict=True)]
                count = len(set.intersection(*moved))
                if count:
                    found[row] = weight * self._bm25(name, idf, count, row)
            elif self._is_near(places, wanted, slop):
                found[row] = None
        return found

    @staticmethod
    def _is_near(places: list[list[int]], wanted: Tokens, slop: int) -> bool:
        for chosen in itertools.product(*places):
            if len(set(zip(chosen, wanted.terms, strict=True))) < len(chosen):
                continue  # each word takes an occurrence of its own
            moved = [p - at for p, at in zip(chosen, wanted.positions, strict=True)]
            if max(moved) - min(moved) <= slop:
                return True
        return False


def world(rng: random.Random) -> tuple[list[Row], Model]:
    rows, model = [], Model({})
    for number in range(rng.choice([0, 1, 8, 25])):
        cells = []
        words: dict[str, Tokens] = {}
        for name, field in FIELDS.items():
            if rng.random() < 0.2:
                continue
            elements = [
                rng.choice(["", " "]).join(rng.choices(WORDS, k=rng.choice([0, 1, 2, 5])))
                for _ in range(rng.choice([0, 1, 3]) if field.is_array else 1)
            ]
            cells.append((name, json.dumps(elements) if field.is_array else elements[0], 1))
            analyzer = analyzer_of(field.text or TextOptions())
            if elements:
                words[name] = analyzer.tokens_of_all(elements) if field.is_array else analyzer.tokens(elements[0])
        rows.append(Row((("id", number),), [*cells, ("k", str(number % 3), 1)]))
        model.rows[number] = words
    return rows, model


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()


def check(view: IndexView, query: Query, expected: dict[int, float | None]) -> None:
    by_score = search(view, SearchRequest(query, (ScoreSort(),), limit=100, count_total=True))
    scores = {hit.key[0][1]: hit.score for hit in by_score.hits}
    assert set(scores) == set(expected)
    assert by_score.total == len(expected)
    assert [hit.score for hit in by_score.hits] == sorted(scores.values(), reverse=True)
    for row, score in expected.items():
        assert score is None or scores[row] == pytest.approx(score, rel=1e-6, abs=1e-9), row
    # Without a total, and only the first: no longer all that match have to be listed and scored.
    first = search(view, SearchRequest(query, (ScoreSort(),), limit=3, offset=1))
    assert [(hit.key, hit.score) for hit in first.hits] == [(hit.key, hit.score) for hit in by_score.hits[1:4]]
    assert bool(first.next_token) == (len(by_score.hits) > 4)
    by_key = search(view, SearchRequest(query, limit=100))
    assert [hit.key[0][1] for hit in by_key.hits] == sorted(expected)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.lists(queries, min_size=1, max_size=4))
def test_what_matches_and_scores(shelf: Shelf, seed: int, several: list[Query]) -> None:
    rng = random.Random(seed)
    rows, model = world(rng)
    index = memory_index(SCHEMA, KEY)
    index.apply(rows)
    views = [index.view(), shared_out(index, rows, rng, shelf)] if rows else [index.view()]
    for query in several:
        expected = model.match(query)
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
