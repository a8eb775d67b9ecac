"""The analyzer ``single_word``, which fields have that name none: words between spaces and punctuation."""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate

from lutra.model.indexes import SingleWordParameters
from lutra.text.analyzers.analyzer import Analyzer, Tokens
from lutra.text.analyzers.characters import SINGLES, lowered, marks


class SingleWord(Analyzer):
    """Letters and digits that touch are a word; of scripts without spaces, each character is one.

    Punctuation, white space and symbols separate words, the underscore too. ``delimit_word``: a word ends where
    a letter and a digit touch.
    """

    def __init__(self, parameters: SingleWordParameters) -> None:
        self._is_lowered = not parameters.case_sensitive
        self._ascii, self._any = _patterns(bool(parameters.delimit_word))

    def _cut(self, text: str) -> Tokens:
        if self._is_lowered:
            text = lowered(text)
        return cut_by(self._ascii if text.isascii() else self._any, text)


@cache
def _patterns(delimits: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """For texts of ASCII alone, and for any; each has one group, which is a word."""
    mark = marks()
    if delimits:
        letters, digits = rf"[^\W\d_{SINGLES}]", rf"\d(?:\d|{mark})*"
        ascii_words, words = "[A-Za-z]+|[0-9]+", rf"{_run(letters, mark)}|{digits}"
    else:
        ascii_words, words = "[A-Za-z0-9]+", _run(rf"[^\W_{SINGLES}]", mark)
    return re.compile(f"({ascii_words})"), re.compile(f"({words}|(?:(?=\\w)[{SINGLES}]){mark}*)")


def _run(letter: str, mark: str) -> str:
    """A pattern for letters and the marks on them. Most runs have no marks: their set is asked once a run."""
    return rf"{letter}+(?:{mark}+{letter}*)*"


def cut_by(pattern: re.Pattern[str], text: str) -> Tokens:
    """The words that the one group of ``pattern`` finds, at positions 0, 1, 2, …

    All that costs time is native: with the words the text's pieces between them come back, and so where each begins.
    """
    pieces = pattern.split(text)
    bounds = list(accumulate(map(len, pieces)))
    terms = pieces[1::2]
    return Tokens(terms, list(range(len(terms))), bounds[:-1:2], bounds[1::2])
