"""The analyzer ``fuzzy``: a few characters that follow each other are a word, so that each part of a text is found."""

from __future__ import annotations

from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FuzzyParameters
from lutra.text.analyzers.analyzer import Analyzer, Tokens
from lutra.text.analyzers.characters import lowered

_MIN_CHARS: Final = 1
_MAX_CHARS: Final = 7


class Fuzzy(Analyzer):
    """All parts of a text of ``min_chars`` to ``max_chars`` characters, at the position of their first character.

    A query is cut into as few parts as hold all of its characters, so that a phrase of them is the query itself: one
    part where it has no more than ``max_chars``, none where it has less than ``min_chars``. Of texts, only the first
    1,024 characters count. Raises ParameterInvalid for numbers that do not go together.
    """

    def __init__(self, parameters: FuzzyParameters) -> None:
        self._is_lowered = not parameters.case_sensitive
        shortest = _MIN_CHARS if parameters.min_chars is None else parameters.min_chars
        longest = _MAX_CHARS if parameters.max_chars is None else parameters.max_chars
        if not 1 <= shortest <= longest <= limits.FUZZY_CHARS_MAX:
            raise ParameterInvalid(
                f"analyzer [fuzzy]: 1 <= min_chars <= max_chars <= {limits.FUZZY_CHARS_MAX} must hold, "
                f"not of {shortest} and {longest}"
            )
        if longest - shortest > limits.FUZZY_SPAN_CHARS_MAX:
            raise ParameterInvalid(
                f"analyzer [fuzzy]: max_chars - min_chars must be at most {limits.FUZZY_SPAN_CHARS_MAX}, "
                f"not {longest} - {shortest}"
            )
        self._shortest = shortest
        self._longest = longest

    def _cut(self, text: str) -> Tokens:
        text = text[: limits.FUZZY_TEXT_CHARS_MAX]
        if self._is_lowered:
            text = lowered(text)
        size, shortest, longest = len(text), self._shortest, self._longest
        starts: list[int] = []
        ends: list[int] = []
        for start in range(size - shortest + 1):
            own = range(start + shortest, min(start + longest, size) + 1)
            starts += [start] * len(own)
            ends += own
        terms = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        return Tokens(terms, starts, starts.copy(), ends)

    def query_tokens(self, text: str) -> Tokens:
        if self._is_lowered:
            text = lowered(text)
        size, longest = len(text), self._longest
        if size < self._shortest:
            return Tokens([], [], [], [])
        last = max(0, size - longest)
        starts = [*range(0, last, longest), last]
        ends = [min(size, start + longest) for start in starts]
        terms = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        return Tokens(terms, starts, starts.copy(), ends)
