"""Passages and answers as people see them, and as conversations keep them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from examples.assistant.answering import NOTHING, SENTENCES, Turn
from examples.assistant.conversations import Conversations
from examples.assistant.passages import Passage
from examples.assistant.retrieval import Found

QUOTE_CHARS_MAX: Final = 1_200
_CITATION: Final = re.compile(r"\[(\d{1,2})\]")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an answer: text, or a citation of the source of that number (0: none)."""

    text: str
    source: int = 0


def place(passage: Passage) -> str:
    """``Chapter 7. Basics › 7.12. How do I put a package on hold? (debian-faq/pkg-basics.en.html)``."""
    titles = " › ".join(passage.titles) or passage.title
    page = f", page {passage.page}" if passage.page else ""
    return f"{titles} ({passage.document}{page})"


def how(way: str) -> str:
    """How an answer came about, in English."""
    if way == SENTENCES:
        return "sentences of the documents; no model wrote this"
    return "" if way == NOTHING else f"written by {way}, from these passages"


def spans(text: str, sources: int) -> list[Span]:
    """``text`` cut at its citations. What cites no source that there is stays text."""
    found: list[Span] = []
    start = 0
    for match in _CITATION.finditer(text):
        number = int(match[1])
        if 1 <= number <= sources:
            if match.start() > start:
                found.append(Span(text[start : match.start()]))
            found.append(Span(match[0], number))
            start = match.end()
    if start < len(text):
        found.append(Span(text[start:]))
    return found


def source_of(found: Found) -> dict[str, Any]:
    """A source as a conversation keeps it: the passage's place and words, as they were then."""
    passage = found.passage
    body = passage.body
    return {
        "document": passage.document,
        "number": passage.number,
        "title": passage.title,
        "titles": list(passage.titles),
        "page": passage.page,
        "language": passage.language,
        "quote": body if len(body) <= QUOTE_CHARS_MAX else body[: QUOTE_CHARS_MAX - 1] + "…",
        "likeness": round(found.likeness, 4),
        "words": round(found.words, 3),
        "score": round(found.score, 4),
    }


def turns_of(conversations: Conversations, id_: str, last: int) -> list[Turn]:
    """The last so many questions of a conversation, each with its answer."""
    turns: list[Turn] = []
    for message in conversations.messages(id_, 2 * last + 1):
        if message.role == "user":
            turns.append(Turn(message.text, ""))
        elif turns:
            turns[-1] = Turn(turns[-1].question, message.text)
    return turns[-last:]
