"""Fragments of texts in which the words that were looked for are marked."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lutra.model.queries import FragmentOrder, HighlightEncoder, HighlightField
from lutra.text.analyzers import Analyzer, Tokens
from lutra.text.wanted import Wanted

_MOVED_CHARS_MAX: Final = 20
"""By so much a fragment's end moves to where no word is cut; a longer word is cut."""
_SPACELESS: Final = "\u2e80"
"""From here on are the scripts of East Asia."""
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", "/": "&#x2F;"})


@dataclass(slots=True)
class _Span:
    """Words that touch or overlap, marked as one."""

    start: int
    end: int
    terms: set[str]
    count: int


@dataclass(slots=True)
class _Fragment:
    """Of element ``element``, its characters ``start`` to ``end``."""

    element: int
    start: int
    end: int
    spans: list[_Span]

    @property
    def score(self) -> tuple[int, int]:
        """How many different words it has, then how many in all."""
        return len(set().union(*(span.terms for span in self.spans))), sum(span.count for span in self.spans)


def highlighted(
    texts: Sequence[str], analyzer: Analyzer, wanted: Wanted, style: HighlightField, encoder: HighlightEncoder
) -> list[str]:
    """The best fragments of ``texts``, the elements of one field of a row; none where no word is there.

    The best have most different words, then most words. They come in the order of the text, or the best first. A
    fragment is no longer than ``style.fragment_chars``, unless a word is, does not cut words where that can be helped,
    and shares nothing with another.
    """
    fragments: list[_Fragment] = []
    for element, text in enumerate(texts):
        tokens = analyzer.tokens(text)
        spans = _spans(tokens, wanted.found_in(tokens), style.fragment_chars)
        fragments += _cut(element, text, spans, style.fragment_chars)
    best = sorted(fragments, key=lambda fragment: fragment.score, reverse=True)[: style.fragments]
    if style.order is FragmentOrder.TEXT_SEQUENCE:
        best.sort(key=lambda fragment: (fragment.element, fragment.start))
    return [_written(texts[fragment.element], fragment, style, encoder) for fragment in best]


def _spans(tokens: Tokens, found: Sequence[int], size: int) -> list[_Span]:
    """What is marked, in the order of the text. No span is longer than ``size``, unless a word is."""
    spans: list[_Span] = []
    reached = 0
    for number in found:
        start, end = max(reached, tokens.starts[number]), tokens.ends[number]
        last = spans[-1] if spans else None
        if last is not None and start == reached and (end <= reached or end - last.start <= size):
            last.end = max(last.end, end)
            last.terms.add(tokens.terms[number])
            last.count += 1
        else:
            spans.append(_Span(start, end, {tokens.terms[number]}, 1))
        reached = max(reached, end)
    return spans


def _cut(element: int, text: str, spans: Sequence[_Span], size: int) -> list[_Fragment]:
    """Fragments that have all of ``spans``, with as much of what is before them as of what comes after."""
    fragments: list[_Fragment] = []
    at = before = 0
    while at < len(spans):
        first = spans[at].start
        last = at + 1
        while last < len(spans) and spans[last].end - first <= size:
            last += 1
        around = max(0, size - (spans[last - 1].end - first))
        start = max(before, first - around // 2, 0)
        limit = spans[last].start if last < len(spans) else len(text)
        end = max(spans[last - 1].end, min(limit, start + size))
        start = max(before, min(start, end - size))
        fragments.append(_Fragment(element, start, end, list(spans[at:last])))
        at, before = last, end
    return fragments


def _without_cut_words(text: str, fragment: _Fragment) -> tuple[int, int]:
    """The fragment's ends, moved inwards to where a word ends and then over white space, but not into its spans."""
    start, end = fragment.start, fragment.end
    first, last = fragment.spans[0].start, fragment.spans[-1].end
    moved = start
    while moved < first and moved - start < _MOVED_CHARS_MAX and _is_within_word(text, moved):
        moved += 1
    start = moved if not _is_within_word(text, moved) else start
    moved = end
    while moved > last and end - moved < _MOVED_CHARS_MAX and _is_within_word(text, moved):
        moved -= 1
    end = moved if not _is_within_word(text, moved) else end
    while start < first and text[start].isspace():
        start += 1
    while end > last and text[end - 1].isspace():
        end -= 1
    return start, end


def _is_within_word(text: str, at: int) -> bool:
    """Whether a cut before character ``at`` parts a word, or an accent from its letter. Chinese may be cut anywhere."""
    if not 0 < at < len(text):
        return False
    after = text[at]
    if after.isalnum():
        return after < _SPACELESS and text[at - 1] < _SPACELESS and text[at - 1].isalnum()
    return unicodedata.category(after)[0] == "M"


def _written(text: str, fragment: _Fragment, style: HighlightField, encoder: HighlightEncoder) -> str:
    def encoded(start: int, end: int) -> str:
        part = text[start:end]
        return part.translate(_ESCAPES) if encoder is HighlightEncoder.HTML else part

    pieces: list[str] = []
    at, fragment_end = _without_cut_words(text, fragment)
    for span in fragment.spans:
        pieces += [encoded(at, span.start), style.pre_tag, encoded(span.start, span.end), style.post_tag]
        at = span.end
    pieces.append(encoded(at, fragment_end))
    return "".join(pieces)
