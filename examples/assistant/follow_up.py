"""Questions that lean on what was said before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from examples.assistant.words import words

_WORDS_ENOUGH: Final = 4.0
"""A question with so many words of its own stands alone."""
_WORDS_ENOUGH_POINTING: Final = 6.0
"""The same for one that points at something: long ones mostly point within themselves."""
_GOES_ON: Final = re.compile(
    r"^(and|but|then|so|why|what about|how about|for example)\b|^(那|还有|另外|然后|为什么呢|比如|例如)", re.IGNORECASE
)
_POINTS_BACK: Final = re.compile(
    r"\b(it|its|that|this|these|those|they|them|the same|the other|instead)\b|[它他她]|这个|那个|这些|那些|这样|那样",
    re.IGNORECASE,
)
_BEFORE_CHARS_MAX: Final = 500
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")


def whole_question(question: str, before: Sequence[str]) -> str:
    """``question`` with the one before it where it cannot be understood without; ``before`` are the earlier ones."""
    if not before or not leans_back(question):
        return question
    return f"{before[-1][:_BEFORE_CHARS_MAX]} {question}"


def leans_back(question: str) -> bool:
    """Whether a question seems to go on from another: it begins so, has few words of its own, or points back."""
    if _GOES_ON.search(question.strip()):
        return True
    # Pairs of Chinese characters overlap: two of them are about one word.
    count = sum(0.5 if _CHINESE.search(word) else 1.0 for word in words(question))
    return count < (_WORDS_ENOUGH_POINTING if _POINTS_BACK.search(question) else _WORDS_ENOUGH)
