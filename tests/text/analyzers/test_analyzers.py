"""Words against plain models of how texts are cut, and against what holds of every analyzer."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from itertools import pairwise

import pytest
import rjieba
from hypothesis import given
from hypothesis import strategies as st
from support.text_samples import chinese, texts

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import (
    AnalyzerParameters,
    FuzzyParameters,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
)
from lutra.text.analyzers import Analyzer, Tokens, analyzer_of
from lutra.text.analyzers.analyzer import ELEMENT_GAP, TERM_CHARS_MAX
from lutra.text.analyzers.characters import HAN, SINGLES, lowered

OPTIONS = [
    TextOptions(),
    TextOptions("single_word", SingleWordParameters(case_sensitive=True)),
    TextOptions("single_word", SingleWordParameters(delimit_word=True)),
    TextOptions("split"),
    TextOptions("split", SplitParameters("-", case_sensitive=True)),
    TextOptions("split", SplitParameters("ab")),
    TextOptions("fuzzy"),
    TextOptions("fuzzy", FuzzyParameters(2, 3, case_sensitive=True)),
    TextOptions("min_word"),
    TextOptions("max_word"),
]
options = st.sampled_from(OPTIONS)


def words(analyzer: str | None, text: str, parameters: AnalyzerParameters | None = None) -> list[str]:
    return analyzer_of(TextOptions(analyzer, parameters)).tokens(text).terms


@given(options, texts)
def test_words_lie_where_they_say(chosen: TextOptions, text: str) -> None:
    analyzer = analyzer_of(chosen)
    keeps_case = chosen.parameters is not None and chosen.parameters.case_sensitive
    for tokens in (analyzer.tokens(text), analyzer.query_tokens(text)):
        assert len(tokens.terms) == len(tokens.positions) == len(tokens.starts) == len(tokens.ends)
        for term, start, end in zip(tokens.terms, tokens.starts, tokens.ends, strict=True):
            assert 0 <= start < end <= len(text)
            assert term == (text[start:end] if keeps_case else lowered(text[start:end]))
        assert all(a <= b for a, b in pairwise(tokens.starts))
        assert all(a <= b for a, b in pairwise(tokens.positions))
        assert len(set(zip(tokens.terms, tokens.positions, strict=True))) == len(tokens)


@given(options, texts)
def test_case_matters_only_where_it_was_asked_for(chosen: TextOptions, text: str) -> None:
    analyzer = analyzer_of(chosen)
    if chosen.parameters is None or not chosen.parameters.case_sensitive:
        assert analyzer.tokens(lowered(text)) == analyzer.tokens(text)


def single_words(text: str, delimits: bool) -> list[str]:
    """Character by character."""
    single = re.compile(f"[{SINGLES}]")
    found: list[str] = []
    previous = ""
    for char in lowered(text):
        if unicodedata.category(char)[0] == "M" or char in "\u200c\u200d":
            if previous:
                found[-1] += char
            continue
        kind = ""
        if char.isalnum():
            kind = "single" if single.match(char) else "digit" if delimits and char.isdecimal() else "letter"
        if kind and kind != "single" and kind == previous:
            found[-1] += char
        elif kind:
            found.append(char)
        previous = kind
    return found


@given(texts, st.booleans())
def test_single_word(text: str, delimits: bool) -> None:
    assert words(None, text, SingleWordParameters(delimit_word=delimits)) == single_words(text, delimits)


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("杭州", None, ["杭", "州"]),
        ("Hang Zhou", None, ["hang", "zhou"]),
        ("Hang Zhou", SingleWordParameters(case_sensitive=True), ["Hang", "Zhou"]),
        ("IPhone6", None, ["iphone6"]),
        ("IPhone6", SingleWordParameters(delimit_word=True), ["iphone", "6"]),
        ("snake_case, don't 3.5%", None, ["snake", "case", "don", "t", "3", "5"]),
    ],
)
def test_single_word_as_documented(text: str, parameters: SingleWordParameters | None, expected: list[str]) -> None:
    assert words("single_word", text, parameters) == expected


@given(texts, st.sampled_from([None, ",", "--", " ", "ab", "\u3000", "A", "."]), st.booleans())
def test_split(text: str, delimiter: str | None, keeps_case: bool) -> None:
    if not keeps_case:
        own = None if delimiter is None else lowered(delimiter)
        expected = [word for word in lowered(text).split(own) if word]
    else:
        expected = [word for word in text.split(delimiter) if word]
    assert words("split", text, SplitParameters(delimiter, keeps_case)) == expected


def test_the_delimiter_may_be_escaped() -> None:
    assert words("split", "a#b#C", SplitParameters(r"\#")) == ["a", "b", "c"]
    assert words("split", "a\\b", SplitParameters(r"\\")) == ["a", "b"]


@given(st.text(st.sampled_from("abC 梨\u0301"), max_size=9), st.integers(1, 3), st.integers(0, 4))
def test_fuzzy(text: str, shortest: int, more: int) -> None:
    text = lowered(text)
    tokens = analyzer_of(TextOptions("fuzzy", FuzzyParameters(shortest, shortest + more))).tokens(text)
    expected = [
        (start, text[start:end])
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if shortest <= end - start <= shortest + more
    ]
    assert list(zip(tokens.positions, tokens.terms, strict=True)) == expected


@given(st.text(st.sampled_from("ab"), max_size=14), st.text(st.sampled_from("ab"), max_size=9))
def test_a_phrase_of_fuzzy_is_a_part_of_the_text(text: str, part: str) -> None:
    analyzer = analyzer_of(TextOptions("fuzzy", FuzzyParameters(2, 4)))
    tokens, wanted = analyzer.tokens(text), analyzer.query_tokens(part)
    there = set(zip(tokens.terms, tokens.positions, strict=True))
    is_phrase = any(
        all((term, at + position) in there for term, position in zip(wanted.terms, wanted.positions, strict=True))
        for at in range(len(text) + 1)
    )
    if len(part) < 2:
        assert not wanted.terms
    else:
        assert is_phrase == (part in text)


def test_fuzzy_reads_the_beginning_of_a_text() -> None:
    analyzer = analyzer_of(TextOptions("fuzzy", FuzzyParameters(1, 1)))
    assert len(analyzer.tokens("a" * 5_000)) == limits.FUZZY_TEXT_CHARS_MAX
    assert len(analyzer.query_tokens("a" * 5_000)) == 5_000


@pytest.mark.parametrize(
    ("analyzer", "text", "expected"),
    [
        ("min_word", "梨花茶", ["梨花", "茶"]),
        ("max_word", "梨花茶", ["梨花", "花茶"]),
        ("min_word", "清华大学 IPhone6 is good", ["清华大学", "iphone6", "is", "good"]),
        ("max_word", "清华大学 IPhone6", ["清华", "清华大学", "华大", "大学", "iphone6"]),
        ("max_word", "調整", ["調", "整"]),
        ("min_word", "test_text", ["test", "text"]),
        ("max_word", "Test_Text", ["test", "test_text", "text"]),
        ("max_word", "__a__b_c_", ["a", "b", "b_c", "c"]),
        ("max_word", "茶a_1水_b_é_c__d", ["茶", "a", "a_1", "1", "水", "b", "é", "c", "d"]),
        ("max_word", f"a_{'b' * 255}", ["a", "b" * 255]),
    ],
)
def test_words_of_the_dictionary(analyzer: str, text: str, expected: list[str]) -> None:
    assert words(analyzer, text) == expected


@given(texts)
def test_min_word_cuts_everything_once(text: str) -> None:
    han = re.compile(f"[{HAN}]+")
    cut = words("min_word", text)
    assert "".join(word for word in cut if han.match(word)) == "".join(han.findall(lowered(text)))
    # What is not Chinese is cut as single_word does, but that a mark on Chinese is left out.
    others = [word for word in single_words(text, delimits=False) if not han.match(word)]
    assert [word for word in cut if not han.match(word)] == others


@given(chinese)
def test_max_word_finds_every_word(text: str) -> None:
    spans = [
        (start, end)
        for start in range(len(text))
        for end in range(start + 2, len(text) + 1)
        if rjieba.has_word(text[start:end])
    ]
    alone = [(at, at + 1) for at in range(len(text)) if not any(start <= at < end for start, end in spans)]
    tokens = analyzer_of(TextOptions("max_word")).tokens(text)
    assert list(zip(tokens.starts, tokens.ends, strict=True)) == sorted(spans + alone)
    assert tokens.positions == tokens.starts


@given(texts, st.data())
def test_a_word_of_max_word_is_there_whatever_is_around_it(text: str, data: st.DataObject) -> None:
    analyzer = analyzer_of(TextOptions("max_word"))
    tokens = analyzer.tokens(text)
    if not tokens.terms:
        return
    term = data.draw(st.sampled_from(tokens.terms))
    before, after = data.draw(texts), data.draw(texts)
    if len(term) > 1 and re.fullmatch(f"[{HAN}]+", term):
        assert term in analyzer.tokens(before + term + after).terms


@given(options, st.lists(texts, max_size=4))
def test_arrays(chosen: TextOptions, elements: list[str]) -> None:
    analyzer = analyzer_of(chosen)
    joined = analyzer.tokens_of_all(elements)
    assert joined.elements is not None
    last = -1
    for number, text in enumerate(elements):
        own = [i for i, element in enumerate(joined.elements) if element == number]
        tokens = analyzer.tokens(text)
        assert [joined.terms[i] for i in own] == tokens.terms
        assert [joined.starts[i] for i in own] == tokens.starts
        assert [joined.ends[i] for i in own] == tokens.ends
        if own:
            first = last + 1 + (ELEMENT_GAP if last >= 0 else 0)
            assert [joined.positions[i] for i in own] == [first + position for position in tokens.positions]
            last = joined.positions[own[-1]]


@pytest.mark.parametrize("chosen", [TextOptions(), TextOptions("split"), TextOptions("max_word")])
def test_long_words_are_several(chosen: TextOptions) -> None:
    analyzer = analyzer_of(chosen)
    text = "x é " + "a" * 600 + " b"
    tokens = analyzer.tokens(text)
    assert list(map(len, tokens.terms)) == [1, 1, TERM_CHARS_MAX, TERM_CHARS_MAX, 90, 1]
    assert tokens.positions == [0, 1, 2, 3, 4, 5]
    assert [text[s:e] for s, e in zip(tokens.starts, tokens.ends, strict=True)] == tokens.terms
    assert analyzer.query_tokens(text) == tokens


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (
            TextOptions("no_such"),
            r"\[no_such\] does not exist, allow \[single_word, split, fuzzy, min_word, max_word\]",
        ),
        (TextOptions("split", FuzzyParameters()), r"\[split\] does not go with FuzzyParameters"),
        (TextOptions("max_word", SingleWordParameters()), r"\[max_word\] does not go with"),
        (TextOptions(None, SplitParameters(",")), r"\[single_word\] does not go with"),
        (TextOptions("split", SplitParameters("")), "must have 1 to 256 characters, not 0"),
        (TextOptions("split", SplitParameters("x" * 257)), "not 257"),
        (TextOptions("fuzzy", FuzzyParameters(0, 2)), "not of 0 and 2"),
        (TextOptions("fuzzy", FuzzyParameters(3, 2)), "not of 3 and 2"),
        (TextOptions("fuzzy", FuzzyParameters(8)), "not of 8 and 7"),
        (TextOptions("fuzzy", FuzzyParameters(1, 8)), "must be at most 6, not 8 - 1"),
        (TextOptions("fuzzy", FuzzyParameters(252, 257)), "not of 252 and 257"),
    ],
)
def test_analyzers_that_make_no_sense(chosen: TextOptions, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        analyzer_of(chosen)


def test_the_dictionary_is_loaded_by_the_first_chinese_text() -> None:
    program = """
import sys
from lutra.model.indexes import TextOptions
from lutra.text.analyzers import analyzer_of
analyzers = [analyzer_of(TextOptions(name)) for name in ("min_word", "max_word")]
print([a.tokens("Tea of pears, café").terms for a in analyzers], "rjieba" in sys.modules)
print([a.tokens("梨花茶").terms for a in analyzers], "rjieba" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    without, with_it = result.stdout.splitlines()
    assert without == f"{[['tea', 'of', 'pears', 'café']] * 2} False"
    assert with_it == f"{[['梨花', '茶'], ['梨花', '花茶']]} True"


def test_nothing_has_no_words() -> None:
    for chosen in OPTIONS:
        analyzer: Analyzer = analyzer_of(chosen)
        assert analyzer.tokens("") == analyzer.query_tokens("") == Tokens([], [], [], [])
        assert analyzer.tokens_of_all([]) == Tokens([], [], [], [], [])
