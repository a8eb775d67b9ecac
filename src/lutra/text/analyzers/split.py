"""The analyzer ``split``: what lies between delimiters is a word, whatever is in it."""

from __future__ import annotations

import re

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import SplitParameters
from lutra.text.analyzers.analyzer import Analyzer, Tokens
from lutra.text.analyzers.characters import lowered


class Split(Analyzer):
    """Words at a delimiter; without one, at white space. Nothing between two delimiters is no word.

    A backslash before a character of the delimiter is left out: the documentation asks for one before ``#`` and the
    like. Raises ParameterInvalid for a delimiter that is empty or too long.
    """

    def __init__(self, parameters: SplitParameters) -> None:
        self._is_lowered = not parameters.case_sensitive
        delimiter = parameters.delimiter
        if delimiter is None:
            self._pattern = re.compile(r"(\s+)")
            return
        if not 1 <= len(delimiter) <= limits.DELIMITER_CHARS_MAX:
            raise ParameterInvalid(
                f"[delimiter] of analyzer [split] must have 1 to {limits.DELIMITER_CHARS_MAX} characters, "
                f"not {len(delimiter)}"
            )
        literal = re.sub(r"\\(.)", r"\1", delimiter, flags=re.DOTALL)
        self._pattern = re.compile(f"((?:{re.escape(lowered(literal) if self._is_lowered else literal)})+)")

    def _cut(self, text: str) -> Tokens:
        if self._is_lowered:
            text = lowered(text)
        terms: list[str] = []
        starts: list[int] = []
        at = 0
        for number, piece in enumerate(self._pattern.split(text)):
            if piece and not number % 2:
                terms.append(piece)
                starts.append(at)
            at += len(piece)
        ends = [start + len(term) for start, term in zip(starts, terms, strict=True)]
        return Tokens(terms, list(range(len(terms))), starts, ends)
