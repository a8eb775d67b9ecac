"""The analyzers ``min_word`` and ``max_word``: Chinese by a dictionary, other scripts as ``single_word`` has them."""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType
from typing import Final

from lutra.text.analyzers.analyzer import TERM_CHARS_MAX, Analyzer, Tokens
from lutra.text.analyzers.characters import HAN, SINGLES, lowered, marks
from lutra.text.analyzers.single_word import cut_by

_ASCII_WORDS: Final = re.compile("([a-z0-9]+)")


class MinWord(Analyzer):
    """As few words as there are: they do not overlap. 梨花茶 is 梨花 and 茶.

    Words that the dictionary lacks are guessed from their characters. How a text is cut depends on what is around it.
    """

    def _cut(self, text: str) -> Tokens:
        text = lowered(text)
        if text.isascii():
            return cut_by(_ASCII_WORDS, text)
        terms: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for number, piece in enumerate(_pattern().split(text)):
            kind = number % 3
            if kind == 1 and piece:
                for word, start, end in _dictionary().tokenize(piece, "default", True):
                    terms.append(word)
                    starts.append(at + start)
                    ends.append(at + end)
            elif kind == 2 and piece:
                terms.append(piece)
                starts.append(at)
                ends.append(at + len(piece))
            at += len(piece or "")
        return Tokens(terms, list(range(len(terms))), starts, ends)


class MaxWord(Analyzer):
    """All words of the dictionary that are in the text: they overlap. 梨花茶 is 梨花 and 花茶.

    A character is a word of its own where no longer one has it. So each word is there whatever is around it. Latin
    words that underscores join are words of their own, and one together: test_text is test, test_text and text, as
    Tablestore's scores show (of Dify's test of them). Positions count Chinese characters, and words of other scripts:
    words of a phrase that overlap there must overlap here.
    """

    def _cut(self, text: str) -> Tokens:
        text = lowered(text)
        tokens = cut_by(_ASCII_WORDS, text) if text.isascii() else self._cut_all(text)
        return _with_joined(tokens, text) if "_" in text else tokens

    def _cut_all(self, text: str) -> Tokens:
        tokens = Tokens([], [], [], [])
        at = position = 0
        for number, piece in enumerate(_pattern().split(text)):
            kind = number % 3
            if kind == 1 and piece:
                for start, end in words_in(piece):
                    _append(tokens, piece[start:end], position + start, at + start, at + end)
                position += len(piece)
            elif kind == 2 and piece:
                _append(tokens, piece, position, at, at + len(piece))
                position += 1
            at += len(piece or "")
        return tokens


def words_in(run: str) -> list[tuple[int, int]]:
    """Where the words of the dictionary lie in ``run``, which is all Chinese, and the characters that none has.

    By where they begin, the shorter before the longer.
    """
    found: list[tuple[int, int]] = []
    start = covered = 0
    last = 0
    # The dictionary's words come in that order, single characters too, but do not say where they are: a word that is
    # no longer than the one before it begins later.
    for word in _dictionary().cut_all(run):
        length = len(word)
        start = run.find(word, start if length > last else start + 1)
        last = length
        if length == 1:
            continue
        while covered < start:
            found.append((covered, covered + 1))
            covered += 1
        found.append((start, start + length))
        covered = max(covered, start + length)
    found += [(at, at + 1) for at in range(covered, len(run))]
    return found


def _with_joined(tokens: Tokens, text: str) -> Tokens:
    """With what underscores join, behind its first word."""
    joined = Tokens([], [], [], [])
    last = -1
    for at, (start, position) in enumerate(zip(tokens.starts, tokens.positions, strict=True)):
        _append(joined, tokens.terms[at], position, start, tokens.ends[at])
        if at <= last:
            continue  # a word within the one that was joined last
        last = at
        while last + 1 < len(tokens) and _is_joined(tokens, last, text):
            last += 1
        end = tokens.ends[last]
        if last > at and end - start <= TERM_CHARS_MAX:
            _append(joined, text[start:end], position, start, end)
    return joined


def _is_joined(tokens: Tokens, at: int, text: str) -> bool:
    """Whether a word and the next are Latin, with an underscore between them."""
    end, start = tokens.ends[at], tokens.starts[at + 1]
    return start == end + 1 and text[end] == "_" and tokens.terms[at].isascii() and tokens.terms[at + 1].isascii()


def _append(tokens: Tokens, term: str, position: int, start: int, end: int) -> None:
    tokens.terms.append(term)
    tokens.positions.append(position)
    tokens.starts.append(start)
    tokens.ends.append(end)


@cache
def _pattern() -> re.Pattern[str]:
    """Has two groups: Chinese that touches, or another word."""
    mark = marks()
    letter = rf"[^\W_{SINGLES}]"
    return re.compile(rf"([{HAN}]+)|({letter}+(?:{mark}+{letter}*)*|(?:(?=\w)[{SINGLES}]){mark}*)")


@cache
def _dictionary() -> ModuleType:
    """Loaded when first needed: it takes a quarter of a second and 34 MB."""
    import rjieba

    return rjieba
