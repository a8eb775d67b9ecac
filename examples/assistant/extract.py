"""Answers without a model: the sentences of the passages that answer best, as they stand there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from examples.assistant.reading.document import BlockKind
from examples.assistant.retrieval import QUESTION_CHARS_MAX, Found
from examples.assistant.sentences import sentences
from examples.assistant.words import words
from lutra.embedding.embedder import TextEmbedder

SENTENCES_MAX: Final = 3
_PASSAGES_READ: Final = 4
_CANDIDATES_MAX: Final = 40
_CHARS_MIN, _CHARS_MAX = 12, 500
_LIKENESS_WEIGHT: Final = 0.55
_WORDS_WEIGHT: Final = 0.25
_PASSAGE_WEIGHT: Final = 0.2
_SAME_MIN: Final = 0.7
_INTRODUCES: Final = (":", "：")


@dataclass(frozen=True, slots=True)
class Extract:
    """A sentence of the ``source``-th passage, from 0; with what it introduces: code, or what comes after its colon."""

    text: str
    source: int
    place: int


def best_sentences(question: str, found: Sequence[Found], embedder: TextEmbedder, said: str = "") -> list[Extract]:
    """The sentences of the first passages that answer the question best, in the order of the passages.

    A sentence counts by the likeness of its meaning to the question's, by the question's words that it has, rarer
    ones more, and by its passage's score. One that says the same as a better one is left out, and one that is in
    ``said``, the answer before, where there are others.
    """
    there = _candidates(found[:_PASSAGES_READ])
    candidates = [one for one in there if one.text not in said] or there
    if not candidates:
        return []
    asked = embedder.embed_query([question[:QUESTION_CHARS_MAX]])[0]
    vectors = embedder.embed([one.text for one in candidates])
    likeness = _to_unit(vectors @ asked)
    wanted = words(question)
    having = [words(one.text) for one in candidates]
    rarity = _rarity(having)
    in_all = sum(rarity.get(word, 1.0) for word in wanted) or 1.0
    scores = [
        _LIKENESS_WEIGHT * float(likeness[number])
        + _WORDS_WEIGHT * sum(rarity.get(word, 1.0) for word in wanted & having[number]) / in_all
        + _PASSAGE_WEIGHT * found[one.source].score
        for number, one in enumerate(candidates)
    ]
    chosen: list[int] = []
    for number in sorted(range(len(candidates)), key=lambda number: (-scores[number], number)):
        if not any(_overlap(having[number], having[other]) >= _SAME_MIN for other in chosen):
            chosen.append(number)
        if len(chosen) == SENTENCES_MAX:
            break
    return [candidates[number] for number in sorted(chosen, key=lambda number: candidates[number].place)]


def _candidates(found: Sequence[Found]) -> list[Extract]:
    candidates: list[Extract] = []
    for source, one in enumerate(found):
        parts = [part for part in one.passage.parts if part.kind is not BlockKind.HEADING]
        for number, part in enumerate(parts):
            whole = part.kind in (BlockKind.CODE, BlockKind.ROW)
            pieces = [part.text] if whole else _joined(sentences(part.text))
            for place, piece in enumerate(pieces):
                text = piece.strip()
                after = parts[number + 1] if place == len(pieces) - 1 and number + 1 < len(parts) else None
                introduces = text.endswith(_INTRODUCES)
                if introduces and after is None:
                    continue  # without what it introduces, it says nothing
                if after is not None and (introduces or (not whole and after.kind is BlockKind.CODE)):
                    text = f"{text}\n{after.text.strip()}"
                if len(text) >= _CHARS_MIN:
                    candidates.append(Extract(_shortened(text), source, len(candidates)))
    return candidates[:_CANDIDATES_MAX]


def _joined(found: list[str]) -> list[str]:
    """Sentences, those of a word or two ("No.") together with what follows."""
    joined: list[str] = []
    for sentence in found:
        if joined and len(joined[-1].strip()) < _CHARS_MIN:
            joined[-1] += sentence
        else:
            joined.append(sentence)
    return joined


def _shortened(text: str) -> str:
    return text if len(text) <= _CHARS_MAX else text[: _CHARS_MAX - 1] + "…"


def _rarity(texts: Sequence[set[str]]) -> dict[str, float]:
    counts = Counter(word for text in texts for word in text)
    return {word: math.log(1 + len(texts) / count) for word, count in counts.items()}


def _to_unit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = values.min(), values.max()
    scaled: npt.NDArray[np.float32] = (values - low) / (high - low) if high > low else np.ones_like(values)
    return scaled


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(min(len(one), len(other)), 1)
