"""The analyzers ``min_word`` and ``max_word``: Chinese by a dictionary, other scripts as ``single_word`` has them."""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType
from typing import Final

from lutra.text.analyzers.analyzer import Analyzer, Tokens
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

    A character is a word of its own where no longer one has it. So each word is there whatever is around it. Positions
    count Chinese characters, and words of other scripts: words of a phrase that overlap there must overlap here.
    """

    def _cut(self, text: str) -> Tokens:
        text = lowered(text)
        if text.isascii():
            return cut_by(_ASCII_WORDS, text)
        tokens = Tokens([], [], [], [])
        at = position = 0
        for number, piece in enumerate(_pattern().split(text)):
            kind = number % 3
            if kind == 1 and piece:
                for start, end in words_in(piece):
                    tokens.terms.append(piece[start:end])
                    tokens.positions.append(position + start)
                    tokens.starts.append(at + start)
                    tokens.ends.append(at + end)
                position += len(piece)
            elif kind == 2 and piece:
                tokens.terms.append(piece)
                tokens.positions.append(position)
                tokens.starts.append(at)
                tokens.ends.append(at + len(piece))
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
