"""How often the right passage is found: questions.json, asked in every way."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from examples.assistant.follow_up import whole_question
from examples.assistant.library import Library
from examples.assistant.retrieval import NO_FILTERS, Filters, Found, Retriever, Way

QUESTIONS: Final = Path(__file__).with_name("questions.json")
DEPTH: Final = 5
_OTHER: Final = {"en": "zh", "zh": "en"}


class NothingToMeasure(Exception):
    """The documents that the questions are about are not there."""


@dataclass(frozen=True, slots=True)
class Question:
    """``places`` are the passages that answer it: a file without its language, ``#``, and a section's anchor.

    ``before`` is the question that a follow-up goes on from, "" for others.
    """

    language: str
    question: str
    places: tuple[str, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """Of ``questions``, the shares whose passage came first, and among the first five; and how long a search took.

    ``asked`` says of which documents: ``same`` (in the question's language), ``cross`` (in the other), ``all``.
    """

    way: str
    asked: str
    questions: int
    hit_at_1: float
    hit_at_5: float
    median_ms: float


def read_questions(path: Path = QUESTIONS) -> tuple[list[Question], list[Question]]:
    """The questions, and the follow-ups."""
    told = json.loads(path.read_text(encoding="utf-8"))
    found = [
        [Question(one["language"], one["question"], tuple(one["places"]), one.get("before", "")) for one in told[name]]
        for name in ("questions", "follow_ups")
    ]
    return found[0], found[1]


def place_of(document: str, anchor: str) -> str:
    """``debian-faq-zh-cn/pkg-basics.zh-cn.html`` and ``conffile`` as ``pkg-basics#conffile``."""
    return f"{PurePosixPath(document).name.partition('.')[0]}#{anchor}"


def measure(
    library: Library, retriever: Retriever, told: Callable[[int, int], object] = lambda done, of: None
) -> list[Rate]:
    """Rates of each way and each choice of documents; then those of follow-ups, with and without what came before.

    ``told`` is called with how many searches are done, of how many. Raises NothingToMeasure.
    """
    questions, follow_ups = read_questions()
    _check_there(library, [*questions, *follow_ups])
    in_all = len(questions) * len(Way) * 3 + len(follow_ups) * 2
    done = 0
    rates = []
    for asked in ("same", "cross", "all"):
        for way in Way:
            ranks, took_ms = [], []
            for one in questions:
                started_s = time.perf_counter()
                found = retriever.search(one.question, _filters(one, asked), DEPTH, way)
                took_ms.append((time.perf_counter() - started_s) * 1_000)
                ranks.append(_rank(found, one))
                told(done := done + 1, in_all)
            rates.append(_rate(way, asked, ranks, took_ms))
    for name in ("follow-up, alone", "follow-up, with the question before"):
        ranks, took_ms = [], []
        for one in follow_ups:
            text = one.question if name.endswith("alone") else whole_question(one.question, [one.before])
            started_s = time.perf_counter()
            found = retriever.search(text, _filters(one, "same"), DEPTH)
            took_ms.append((time.perf_counter() - started_s) * 1_000)
            ranks.append(_rank(found, one))
            told(done := done + 1, in_all)
        rates.append(_rate(name, "same", ranks, took_ms))
    return rates


def as_json(rates: Sequence[Rate], library: Library) -> dict[str, Any]:
    """What was measured, and over what."""
    return {
        "model": library.model,
        "documents": library.documents.count(),
        "passages": library.passages.count(),
        "rates": [asdict(rate) for rate in rates],
    }


def _filters(question: Question, asked: str) -> Filters:
    if asked == "all":
        return NO_FILTERS
    return Filters(language=question.language if asked == "same" else _OTHER[question.language])


def _rank(found: Sequence[Found], question: Question) -> int:
    """Of the first passage that answers it, from 0; DEPTH where none does."""
    places = [place_of(one.passage.document, one.passage.anchor) for one in found]
    return next((rank for rank, place in enumerate(places) if place in question.places), DEPTH)


def _rate(way: str, asked: str, ranks: list[int], took_ms: list[float]) -> Rate:
    return Rate(
        str(way),
        asked,
        len(ranks),
        sum(rank < 1 for rank in ranks) / len(ranks),
        sum(rank < DEPTH for rank in ranks) / len(ranks),
        round(statistics.median(took_ms), 1),
    )


def _check_there(library: Library, questions: Sequence[Question]) -> None:
    there = {
        (row["language"], place_of(row["document"], row["anchor"]))
        for row in library.passages.scan(columns=["language", "anchor"])
    }
    wanted = {(language, place) for one in questions for place in one.places for language in _OTHER}
    if missing := sorted(wanted - there):
        raise NothingToMeasure(
            f"{len(missing)} of the passages that the questions are about are not there, such as {missing[0][1]} "
            f"({missing[0][0]}): run `python -m examples.assistant fill` without a folder first"
        )
