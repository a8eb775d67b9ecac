"""Fragments of texts against what must hold of any, and as documented."""

from __future__ import annotations

import html
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.text_samples import texts as odd_texts

from lutra.model.indexes import FuzzyParameters, SingleWordParameters, TextOptions
from lutra.model.queries import (
    Bool,
    Exists,
    FragmentOrder,
    HighlightEncoder,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Prefix,
    Query,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.text.analyzers import analyzer_of
from lutra.text.highlight import highlighted
from lutra.text.wanted import Phrase, wanted_of

PLAIN = HighlightEncoder.PLAIN
OPTIONS = [TextOptions(), TextOptions("fuzzy", FuzzyParameters(1, 3)), TextOptions("min_word"), TextOptions("max_word")]
few_words = st.lists(st.sampled_from(["ab", "AB", "ba", "c", "<b>", "é", "梨花茶", ".", "abc" * 9]), max_size=12)
some_texts = few_words.map(" ".join) | few_words.map("".join) | odd_texts


def shown(query: Query, *texts: str, options: TextOptions = OPTIONS[0], **style: object) -> list[str]:
    analyzer = analyzer_of(options)
    encoder = style.pop("encoder", PLAIN)
    assert isinstance(encoder, HighlightEncoder)
    wanted = wanted_of(query, "t", analyzer)
    return highlighted(texts, analyzer, wanted, HighlightField("t", **style), encoder)  # type: ignore[arg-type]


@given(
    st.lists(some_texts, max_size=3),
    st.sampled_from(["ab", "AB c", "b", "梨花", "a é c"]),
    st.sampled_from(OPTIONS),
    st.integers(1, 40),
    st.integers(1, 4),
    st.sampled_from(FragmentOrder),
)
def test_fragments(
    texts: list[str], text: str, options: TextOptions, size: int, number: int, order: FragmentOrder
) -> None:
    query = Match("t", text)
    style = {"pre_tag": "\ue000", "post_tag": "\ue001", "fragment_chars": size, "order": order}
    analyzer = analyzer_of(options)
    terms = set(analyzer.query_tokens(text).terms)
    everything = shown(query, *texts, options=options, **style, fragments=500)
    fragments = shown(query, *texts, options=options, **style, fragments=number)
    assert len(fragments) == min(number, len(everything))
    assert set(fragments) <= set(everything)
    if order is FragmentOrder.SCORE:
        assert fragments == everything[:number]
    longest = max(map(len, terms))
    for fragment in everything:
        bare = fragment.replace("\ue000", "").replace("\ue001", "")
        assert any(bare in one for one in texts)
        assert "\ue000" in fragment
        assert len(bare) <= max(size, longest)
    if order is FragmentOrder.TEXT_SEQUENCE:
        marked = "".join(re.findall("\ue000(.*?)\ue001", "".join(everything), re.DOTALL))
        expected = ""
        for one in texts:
            tokens = analyzer.tokens(one)
            there: set[int] = set()
            for term, start, end in zip(tokens.terms, tokens.starts, tokens.ends, strict=True):
                if term in terms:
                    there.update(range(start, end))
            expected += "".join(one[at] for at in sorted(there))
        assert marked == expected


@given(some_texts, st.sampled_from(["ab", "梨花"]))
def test_encoders_differ_by_what_is_escaped(text: str, looked_for: str) -> None:
    style = {"pre_tag": "\ue000", "post_tag": "\ue001"}
    plain = shown(Match("t", looked_for), text, **style)
    encoded = shown(Match("t", looked_for), text, **style, encoder=HighlightEncoder.HTML)
    assert [html.unescape(fragment) for fragment in encoded] == [
        html.unescape(html.escape(fragment)) for fragment in plain
    ]
    assert not any(set("<>\"'/") & set(fragment) for fragment in encoded)


def test_html_as_documented() -> None:
    [fragment] = shown(Match("t", "b"), "<a href='x/y'>\"b\" & c</a>", encoder=HighlightEncoder.HTML)
    assert fragment == "&lt;a href=&#x27;x&#x2F;y&#x27;&gt;&quot;<em>b</em>&quot; &amp; c&lt;&#x2F;a&gt;"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Match("t", "QUICK dog"), "the <em>quick</em> brown fox and the <em>Quick</em> red fox"),
        (MatchPhrase("t", "quick red"), "the quick brown fox and the <em>Quick</em> <em>red</em> fox"),
        (MatchPhrase("t", "quick fox"), None),
        (
            MatchPhrase("t", "quick fox", slop=1),
            "the <em>quick</em> brown <em>fox</em> and the <em>Quick</em> red <em>fox</em>",
        ),
        (Term("t", "quick"), "the <em>quick</em> brown fox and the <em>Quick</em> red fox"),
        (Term("t", "Quick"), None),
        (Terms("t", ("red", "brown", 1)), "the quick <em>brown</em> fox and the Quick <em>red</em> fox"),
        (Prefix("t", "fo"), "the quick brown <em>fox</em> and the Quick red <em>fox</em>"),
        (Suffix("t", "d"), "the quick brown fox <em>and</em> the Quick <em>red</em> fox"),
        (Wildcard("t", "?r*"), "the quick <em>brown</em> fox and the Quick red fox"),
        (
            Bool(must=(Match("t", "red"),), filter=(Term("t", "the"),)),
            "<em>the</em> quick brown fox and <em>the</em> Quick <em>red</em> fox",
        ),
        (Bool(should=(Match("t", "red"), Match("u", "fox"))), "the quick brown fox and the Quick <em>red</em> fox"),
        (Bool(must=(MatchAll(),), must_not=(Match("t", "red"),)), None),
        (
            KnnVector("v", np.zeros(2, np.float32), 1, filter=Match("t", "red")),
            "the quick brown fox and the Quick <em>red</em> fox",
        ),
        (Match("u", "red"), None),
        (Exists("t"), None),
    ],
)
def test_what_a_query_looks_for(query: Query, expected: str | None) -> None:
    fragments = shown(query, "the quick brown fox and the Quick red fox")
    assert fragments == ([] if expected is None else [expected])


def test_words_that_touch_are_marked_as_one() -> None:
    assert shown(Match("t", "杭州"), "在杭州市，州") == ["在<em>杭州</em>市，<em>州</em>"]
    options = TextOptions("max_word")
    assert shown(Match("t", "梨花茶"), "喝梨花茶", options=options) == ["喝<em>梨花茶</em>"]
    # Tablestore does not highlight phrases of max_word; here they are where all their words are.
    assert shown(MatchPhrase("t", "梨花茶"), "梨花。梨花茶", options=options) == ["梨花。<em>梨花茶</em>"]
    fuzzy = TextOptions("fuzzy", FuzzyParameters(2, 3))
    assert shown(MatchPhrase("t", "o wor"), "hello world, o wo", options=fuzzy) == ["hell<em>o wor</em>ld, o wo"]


def test_the_best_fragments() -> None:
    text = "ab " + "x " * 60 + "ab c ab " + "x " * 60 + "c c"
    query = Match("t", "ab c")
    style = {"fragments": 2, "fragment_chars": 20}
    by_text = shown(query, text, **style)
    assert (
        by_text == ["x x <em>ab</em> <em>c</em> <em>ab</em> x x x", "x x x x x <em>c</em> <em>c</em>"]
        or len(by_text) == 2
    )
    by_score = shown(query, text, **style, order=FragmentOrder.SCORE)
    assert "<em>ab</em> <em>c</em> <em>ab</em>" in by_score[0]
    assert "<em>c</em> <em>c</em>" in by_score[1]
    assert by_text == by_score
    assert shown(query, text, fragments=1, fragment_chars=20) == by_score[:1]
    swapped = "c c " + "x " * 60 + "ab c"
    assert shown(query, swapped, **style, order=FragmentOrder.SCORE) == shown(query, swapped, **style)[::-1]


def test_fragments_of_arrays() -> None:
    elements = ["ab one", "two", "three ab ab", "ab"]
    assert shown(Match("t", "ab"), *elements, fragments=2) == ["<em>ab</em> one", "three <em>ab</em> <em>ab</em>"]
    assert shown(MatchPhrase("t", "one two"), *elements) == []


def test_a_fragment_does_not_cut_words() -> None:
    text = "fragment boundaries should not part words like extraordinarily here"
    [fragment] = shown(Match("t", "part"), text, fragment_chars=25)
    assert fragment == "not <em>part</em> words like"
    assert shown(Match("t", "part"), text, fragment_chars=1) == ["<em>part</em>"]
    [fragment] = shown(Match("t", "ab"), "x" * 300 + " ab " + "y" * 300, fragment_chars=50)
    assert len(fragment.replace("<em>", "").replace("</em>", "")) == 50


@given(
    st.lists(st.sampled_from("abc"), max_size=10),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True),
    st.integers(0, 3),
)
def test_where_a_phrase_is(text: list[str], words: list[str], slop: int) -> None:
    analyzer = analyzer_of(TextOptions(None, SingleWordParameters()))
    wanted = wanted_of(MatchPhrase("t", " ".join(words), slop), "t", analyzer)
    assert wanted.phrases == [Phrase(tuple(words), tuple(range(len(words))), slop)]
    expected: set[int] = set()
    choices: list[list[int]] = [[]]
    for word in words:
        choices = [[*chosen, at] for chosen in choices for at, other in enumerate(text) if other == word]
    for chosen in choices:
        moved = [at - place for place, at in enumerate(chosen)]
        if max(moved) - min(moved) <= slop:
            expected.update(chosen)
    found = wanted.found_in(analyzer.tokens(" ".join(text)))
    assert found == sorted(expected)
    assert all(a < b for a, b in pairwise(found))
