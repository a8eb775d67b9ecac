"""What all analyzers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ELEMENT_GAP: Final = 100
"""Between the positions of two elements of an array: no phrase reaches from one into the other, but by a great slop."""
TERM_CHARS_MAX: Final = 255
"""A longer word counts as several words that follow each other, none of which is longer."""


@dataclass(slots=True)
class Tokens:
    """The words of a text in its order; all lists are of one length.

    ``terms`` are what is compared. Word i lies at ``starts[i]`` to ``ends[i]`` of the text, in code points, the end not
    included. ``positions``, never descending, say how near words are in phrases; several words may share one.
    ``elements`` say which element of an array each word is of, to which its offsets refer; None: there is one text.
    """

    terms: list[str]
    positions: list[int]
    starts: list[int]
    ends: list[int]
    elements: list[int] | None = None

    def __len__(self) -> int:
        return len(self.terms)


class Analyzer(ABC):
    """Cuts texts into words. Thread-safe.

    A text, and what looks for it, must be whole Unicode: one with a lone surrogate may raise UnicodeEncodeError.
    """

    def tokens(self, text: str) -> Tokens:
        """The words under which a text is stored."""
        tokens = self._cut(text)
        if tokens.terms and max(map(len, tokens.terms)) > TERM_CHARS_MAX:
            return _shortened(tokens)
        return tokens

    @abstractmethod
    def _cut(self, text: str) -> Tokens:
        """As `tokens`, of whatever length."""

    def query_tokens(self, text: str) -> Tokens:
        """The words that find a text. Their positions tell how far apart they are in it."""
        return self.tokens(text)

    def tokens_of_all(self, texts: Sequence[str]) -> Tokens:
        """Of all elements of an array, with the positions of each after those of the one before."""
        joined = Tokens([], [], [], [], [])
        assert joined.elements is not None
        position = 0
        for number, text in enumerate(texts):
            tokens = self.tokens(text)
            if not tokens.terms:
                continue
            joined.terms += tokens.terms
            joined.positions += [position + own for own in tokens.positions]
            joined.starts += tokens.starts
            joined.ends += tokens.ends
            joined.elements += [number] * len(tokens.terms)
            position += tokens.positions[-1] + 1 + ELEMENT_GAP
        return joined


def _shortened(tokens: Tokens) -> Tokens:
    """With words that are too long cut into several, each of which has a position; those of all later words move."""
    short = Tokens([], [], [], [])
    moved = 0
    for term, position, start, end in zip(tokens.terms, tokens.positions, tokens.starts, tokens.ends, strict=True):
        for begin in range(0, len(term), TERM_CHARS_MAX):
            moved += begin > 0
            short.terms.append(term[begin : begin + TERM_CHARS_MAX])
            short.positions.append(position + moved)
            short.starts.append(start + begin)
            short.ends.append(min(end, start + begin + TERM_CHARS_MAX))
    return short
