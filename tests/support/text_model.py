"""Texts as lists of words with positions, and what is asked of them answered by looking at every one."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lutra.kernels.text import TextBuffer
from lutra.model.indexes import FieldSchema, FieldType
from lutra.text.part import TextPart

FIELD = FieldSchema("t", FieldType.TEXT)
K1, B = 1.2, 0.75

Token = tuple[str, int]
Document = list[Token] | None
"""None: the document has no text."""


def buffer_of(documents: Sequence[Document]) -> TextBuffer:
    """The buffer that documents are put into, in two turns."""
    buffer = TextBuffer()
    for doc, tokens in enumerate(documents):
        if tokens is not None:
            assert buffer.stage(doc, [term for term, _ in tokens], [position for _, position in tokens])
        if doc % 7 == 3:
            buffer.publish()
    buffer.publish()
    return buffer


def part_of(documents: Sequence[Document]) -> TextPart:
    return TextPart(FIELD, buffer_of(documents).part(len(documents)))


class TextModel:
    """All that a `TextPart` answers."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        self.counts = [Counter(term for term, _ in tokens or ()) for tokens in documents]
        self.lengths = [len(tokens or ()) for tokens in documents]

    def exists(self) -> list[int]:
        return [doc for doc, tokens in enumerate(self.documents) if tokens is not None]

    def matches(self, terms: Sequence[str], needed: int) -> list[int]:
        return [doc for doc, counts in enumerate(self.counts) if sum(counts[term] > 0 for term in terms) >= needed]

    def statistics(self, terms: Sequence[str]) -> tuple[list[int], int, int]:
        frequencies = [sum(counts[term] > 0 for counts in self.counts) for term in terms]
        return frequencies, sum(length > 0 for length in self.lengths), sum(self.lengths)

    def idf(self, terms: Sequence[str]) -> list[float]:
        frequencies, documents, _ = self.statistics(terms)
        return [math.log(1 + (documents - n + 0.5) / (n + 0.5)) for n in frequencies]

    @property
    def average_length(self) -> float:
        _, documents, tokens = self.statistics([])
        return tokens / documents if documents else 1.0

    def weighed(self, idf: float, frequency: float, doc: int, average_length: float) -> float:
        norm = K1 * (1 - B + B * self.lengths[doc] / average_length)
        return idf * (K1 + 1) * frequency / (frequency + norm)

    def score(self, terms: Sequence[str], idf: Sequence[float], average_length: float, doc: int) -> float:
        return sum(
            self.weighed(weight, self.counts[doc][term], doc, average_length)
            for term, weight in zip(terms, idf, strict=True)
        )

    def phrase_frequency(self, terms: Sequence[str], positions: Sequence[int], slop: int, doc: int) -> float:
        """Each word has an occurrence of its own; stretches that have no other within them count."""
        words = sorted(set(zip(terms, positions, strict=True)))
        occurrences = [
            [(i, at) for i, (term, at) in enumerate(self.documents[doc] or ()) if term == word] for word, _ in words
        ]
        stretches = set()
        for choice in itertools.product(*occurrences):
            if len({i for i, _ in choice}) == len(choice):
                places = [at - position for (_, at), (_, position) in zip(choice, words, strict=True)]
                stretches.add((min(places), max(places)))
        least = [
            (begin, end)
            for begin, end in stretches
            if not any(one != (begin, end) and begin <= one[0] and one[1] <= end for one in stretches)
        ]
        return sum(1 / (1 + end - begin) for begin, end in least if end - begin <= slop)

    def phrase(self, terms: Sequence[str], positions: Sequence[int], slop: int) -> list[int]:
        found = range(len(self.documents)) if terms else []
        return [doc for doc in found if self.phrase_frequency(terms, positions, slop, doc) > 0]

    def kept(self, kept: Sequence[int]) -> TextModel:
        return TextModel([self.documents[doc] for doc in kept])


def random_documents(random: np.random.Generator, count: int, vocabulary: int) -> list[Document]:
    """Some have no text, some an empty one; few words are in most of them, most words in few."""
    documents: list[Document] = []
    for _ in range(count):
        kind = random.random()
        length = int(random.integers(0, 12)) if kind < 0.97 else int(random.integers(50, 200))
        words = np.minimum(random.zipf(1.3, length), vocabulary)
        steps = random.integers(1, 3, length) if kind < 0.9 else random.integers(0, 200, length)
        documents.append(
            None if kind < 0.05 else [(f"w{w}", int(p)) for w, p in zip(words, np.cumsum(steps), strict=True)]
        )
    return documents
