"""One order from the orders of several parts."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from lutra.search.level import Docs, KeyLevel, Level
from lutra.search.mark import ranks
from lutra.search.scores import Scores
from lutra.segments.part import Part


@dataclass(frozen=True, slots=True)
class Run:
    """The first documents of a part, in the order of ``levels``."""

    part: Part
    levels: Sequence[Level]
    docs: Docs
    scores: Scores


class Place(NamedTuple):
    """A document ``doc`` of the run that has the number ``run``."""

    run: int
    doc: int


def merged(runs: Sequence[Run], offset: int, limit: int) -> list[Place]:
    """The documents ``offset`` to ``offset + limit`` of all runs together; no two stand at the same place.

    Looks at some ``offset + limit`` documents in all, and as many again at most: where a document stands may have to be
    read from storage. After other levels, primary keys are read only of documents that these do not tell apart.
    """
    if len(runs) == 1:
        return [Place(0, doc) for doc in runs[0].docs[offset : offset + limit].tolist()]
    if not runs:
        return []
    chunk = (offset + limit) // len(runs) + 1
    together = heapq.merge(*(_entries(run, number, chunk) for number, run in enumerate(runs)))
    return [place for _, place in islice(together, offset, offset + limit)]


class _LateRank:
    """Where one document stands at a level that few comparisons come to."""

    __slots__ = ("_doc", "_level", "_rank")

    def __init__(self, level: Level, doc: int) -> None:
        self._level = level
        self._doc = doc
        self._rank: Any = None

    def _read(self) -> Any:
        if self._rank is None:
            [self._rank] = ranks(self._level.marks(np.array([self._doc], np.int64)), self._level.descending)
        return self._rank

    def __lt__(self, other: _LateRank) -> bool:
        return bool(self._read() < other._read())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _LateRank) and bool(self._read() == other._read())

    __hash__ = None  # type: ignore[assignment]


def _ranks(level: Level, docs: Docs, *, is_first: bool) -> Sequence[Any]:
    if isinstance(level, KeyLevel) and not is_first:
        return [_LateRank(level, doc) for doc in docs.tolist()]
    return ranks(level.marks(docs), level.descending)


def _entries(run: Run, number: int, chunk: int) -> Iterator[tuple[tuple[Any, ...], Place]]:
    """Where each document stands, as comes in order, and which it is."""
    for first in range(0, len(run.docs), chunk):
        docs = run.docs[first : first + chunk]
        columns = [_ranks(level, docs, is_first=level is run.levels[0]) for level in run.levels]
        for rank, doc in zip(zip(*columns, strict=True), docs.tolist(), strict=True):
            yield rank, Place(number, doc)
