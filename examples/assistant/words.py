"""Texts to words for comparing them, and questions to the words that are worth looking for."""

from __future__ import annotations

import re
from typing import Final

from lutra.embedding.words import words as english_words

_CHINESE_RUN: Final = re.compile(r"[\u3400-\u9fff]+")
_TOKEN: Final = re.compile(r"[^\W\u3400-\u9fff](?:[^\W\u3400-\u9fff]|[.+-])*|[\u3400-\u9fff]+")
# Of questions and of grammar: what is in every Chinese text tells nothing.
_CHINESE_GRAMMAR: Final = re.compile(
    "怎么样|怎样|怎么|如何|什么|哪些|哪个|哪里|是否|可以|应该|需要|为什么|一个|这个|那个|这些|那些|我们|我|你|您|"
    "吗|呢|的|了|是|有|在|要|把|被|和|与|及|或|该|都|就|还"
)


def words(text: str) -> set[str]:
    """The words that count in ``text``: English stems, names, and pairs of Chinese characters."""
    text = _CHINESE_GRAMMAR.sub(" ", text)
    found = set(english_words(_CHINESE_RUN.sub(" ", text)))
    for run in _CHINESE_RUN.findall(text):
        found.update(run[at : at + 2] for at in range(max(len(run) - 1, 1)))
    return found


def sought(question: str) -> str:
    """The question without the words of every question, "how do I" or "怎样", for a search for words; as it is where
    it has no others.

    They are rare in manuals but for headings that are questions, so such headings would be found by any question.
    """
    tokens = _TOKEN.findall(_CHINESE_GRAMMAR.sub(" ", question))
    return " ".join(token.rstrip(".-") for token in tokens if not token.isascii() or english_words(token)) or question
