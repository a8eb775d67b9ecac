"""Questions to passages: by words, by meaning, and by both."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import lutra
from examples.assistant.library import Library
from examples.assistant.passages import COLUMNS, Passage, passage_of
from examples.assistant.words import sought
from lutra.embedding.embedder import TextEmbedder
from lutra.instance.expression import Expression

QUESTION_CHARS_MAX: Final = 2_000
CANDIDATES: Final = 50
"""That each way of searching gives, before the scores are combined."""
SECTION_PASSAGES_MAX: Final = 2
WORDS_WEIGHT: Final = 0.2
"""Of the two scores; more misses passages in the other language than the question's, which share few words with it."""


class Way(enum.StrEnum):
    TEXT = "text"
    VECTOR = "vector"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which passages count: of these documents, where some are named, and in this language, where one is."""

    documents: tuple[str, ...] = ()
    language: str = ""

    @property
    def where(self) -> Expression | None:
        conditions = []
        if self.documents:
            conditions.append(lutra.col("document").is_in(list(self.documents)))
        if self.language:
            conditions.append(lutra.col("language") == self.language)
        if not conditions:
            return None
        return conditions[0] if len(conditions) == 1 else conditions[0] & conditions[1]


NO_FILTERS: Final = Filters()


@dataclass(frozen=True, slots=True)
class Found:
    """A passage with its scores: ``likeness`` of meaning, -1 to 1; ``words`` by BM25, 0 where it has none of them.

    Whichever the search did not ask for is 0. ``score`` puts the passages in order.
    """

    passage: Passage
    score: float
    likeness: float
    words: float


class Retriever:
    """Searches the passages of a library. Thread-safe."""

    def __init__(self, library: Library, embedder: TextEmbedder) -> None:
        self._passages = library.passages
        self._embedder = embedder

    def search(self, question: str, filters: Filters, limit: int = 6, way: Way = Way.HYBRID) -> list[Found]:
        """The ``limit`` best passages for a question, the best first; SECTION_PASSAGES_MAX of one section at most.

        By both, the passages are the CANDIDATES nearest in meaning and as many that have most of the words. Each gets
        the likeness of its meaning, the cosine, and its BM25 score (0 beyond those candidates), both brought to 0..1
        over the candidates, and scores ``(1 - WORDS_WEIGHT) * likeness + WORDS_WEIGHT * words``.
        """
        asked = question[:QUESTION_CHARS_MAX]
        if way is Way.TEXT:
            worded = self._by_words(asked, filters, CANDIDATES)
            return _spread([Found(passage_of(row), score, 0.0, score) for row, score in worded], limit)
        vector = self._embedder.embed_query([asked])[0]
        if way is Way.VECTOR:
            near = self._by_meaning(vector, filters, CANDIDATES)
            return _spread([Found(passage_of(row), likeness, likeness, 0.0) for row, likeness in near], limit)
        return _spread(self._by_both(asked, vector, filters), limit)

    def _by_both(self, question: str, vector: npt.NDArray[np.float32], filters: Filters) -> list[Found]:
        rows: dict[tuple[Any, ...], Any] = {}
        likeness: dict[tuple[Any, ...], float] = {}
        words: dict[tuple[Any, ...], float] = {}
        for row, score in self._by_meaning(vector, filters, CANDIDATES):
            rows[row.key], likeness[row.key] = row, score
        for row, score in self._by_words(question, filters, CANDIDATES):
            words[row.key] = score
            if row.key not in rows:
                rows[row.key], likeness[row.key] = row, _cosine(vector, row.get("vector"))
        if not rows:
            return []
        low, high = min(likeness.values()), max(likeness.values())
        most = max(words.values(), default=0.0)
        found = []
        for key, row in rows.items():
            near = (likeness[key] - low) / (high - low) if high > low else 1.0
            worded = words.get(key, 0.0) / most if most > 0 else 0.0
            score = (1 - WORDS_WEIGHT) * near + WORDS_WEIGHT * worded
            found.append(Found(passage_of(row), score, likeness[key], words.get(key, 0.0)))
        return sorted(found, key=lambda one: (-one.score, one.passage.key))

    def _by_meaning(
        self, vector: npt.NDArray[np.float32], filters: Filters, limit: int
    ) -> list[tuple[lutra.Row, float]]:
        if not vector.any():  # no word that the model knows
            return []
        found = self._passages.search(vector, where=filters.where, limit=limit, columns=COLUMNS)
        return [(row, 2 * float(row.score or 0) - 1) for row in found]

    def _by_words(self, question: str, filters: Filters, limit: int) -> list[tuple[lutra.Row, float]]:
        found = self._passages.search(
            text=sought(question), where=filters.where, limit=limit, columns=[*COLUMNS, "vector"]
        )
        return [(row, float(row.score or 0)) for row in found]


def _spread(found: list[Found], limit: int) -> list[Found]:
    """The first ``limit``, without those of a section that has enough among them already: one that is long, and cut
    into many alike, would leave no room for others.
    """
    taken: Counter[tuple[object, ...]] = Counter()
    spread: list[Found] = []
    for one in found:
        passage = one.passage
        section = (passage.document, passage.titles, passage.anchor)
        if taken[section] < SECTION_PASSAGES_MAX and len(spread) < limit:
            taken[section] += 1
            spread.append(one)
    return spread


def _cosine(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32] | None) -> float:
    if other is None:
        return 0.0
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 0 else 0.0
