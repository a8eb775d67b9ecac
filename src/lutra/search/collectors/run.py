"""The first documents of a part, or of several, in order: what a top-k's partial state consists of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lutra.index.lsm.view import Document
from lutra.search.level import Level
from lutra.search.mark import Mark
from lutra.search.scores import Docs, Scores, scores_of
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.score import ScoreLevel
from lutra.segments.part import Part

Rank = tuple[Any, ...]
"""Where a document stands, level by level: those of runs of one order compare."""


class Run(Protocol):
    """Hits in order, each of which carries its sort keys: its marks, of which the last is its primary key."""

    def __len__(self) -> int: ...

    @property
    def is_far(self) -> bool:
        """Whether keys are read from a store far away."""

    def ranks(self, chunk: int) -> Iterator[Rank]:
        """Of each hit in order, so many looked at in advance."""

    def first_ranks(self) -> npt.NDArray[np.float64] | None:
        """On the first level alone, where that is a number at hand; else None."""

    def marks(self, at: int, key: bytes | None = None) -> list[Mark]:
        """The sort keys of a hit; ``key`` is its primary key, where that was read before."""

    def all_marks(self, ats: Sequence[int], keys: Sequence[bytes] | None = None) -> list[list[Mark]]:
        """The sort keys of some hits; ``keys`` are their primary keys, where those were read before."""

    def keys(self, ats: Sequence[int]) -> list[bytes]:
        """The encoded primary keys of some hits."""

    def scores(self, ats: Sequence[int]) -> list[float]:
        """Their scores; NaN where the order does not ask for any."""

    def document(self, at: int) -> Document | None:
        """What of the view a hit is; None where it came from elsewhere."""


@dataclass(frozen=True, slots=True)
class LocalRun:
    """Of one part, whose sort keys are read as they are asked for. A `Run`."""

    part: Part
    order: Sequence[Ordering]
    levels: Sequence[Level]
    """One each of ``order``."""
    docs: Docs
    found: Scores | None
    """Scores; None where nobody asks."""

    def __len__(self) -> int:
        return len(self.docs)

    @property
    def is_far(self) -> bool:
        return self.part.is_far

    def ranks(self, chunk: int) -> Iterator[Rank]:
        for first in range(0, len(self.docs), chunk):
            docs = self.docs[first : first + chunk]
            yield from zip(*(self._ranks(number, docs) for number in range(len(self.levels))), strict=True)

    def _ranks(self, number: int, docs: Docs) -> Sequence[Any]:
        ordering, level = self.order[number], self.levels[number]
        if number and ordering.is_total:
            return [_LateRank(ordering, level, doc) for doc in docs.tolist()]
        return ordering.ranks(level.marks(docs))

    def first_ranks(self) -> npt.NDArray[np.float64] | None:
        level = self.levels[0]
        if not isinstance(level, ScoreLevel) or isinstance(level.scores, float):
            return None
        values = level.scores.take(self.docs)
        return -values if level.descending else values

    def marks(self, at: int, key: bytes | None = None) -> list[Mark]:
        doc = self.docs[at : at + 1]
        if key is None:
            return [mark for level in self.levels for mark in level.marks(doc)]
        return [*(mark for level in self.levels[:-1] for mark in level.marks(doc)), key]

    def all_marks(self, ats: Sequence[int], keys: Sequence[bytes] | None = None) -> list[list[Mark]]:
        docs = self.docs[ats]
        if keys is None:
            return list(map(list, zip(*(level.marks(docs) for level in self.levels), strict=True)))
        return list(map(list, zip(*(level.marks(docs) for level in self.levels[:-1]), keys, strict=True)))

    def keys(self, ats: Sequence[int]) -> list[bytes]:
        return self.part.keys.taken(self.docs[ats])

    def scores(self, ats: Sequence[int]) -> list[float]:
        return [math.nan] * len(ats) if self.found is None else scores_of(self.found, self.docs[ats])

    def document(self, at: int) -> Document:
        return self.part, int(self.docs[at])


@dataclass(frozen=True, slots=True)
class SentRun:
    """What came from elsewhere. A `Run`."""

    hits: Sequence[tuple[Sequence[Mark], float]]
    """Marks and score of each."""
    order: Sequence[Ordering]

    def __len__(self) -> int:
        return len(self.hits)

    @property
    def is_far(self) -> bool:
        return False

    def ranks(self, chunk: int) -> Iterator[Rank]:
        for marks, _ in self.hits:
            yield tuple(ordering.ranks([mark])[0] for ordering, mark in zip(self.order, marks, strict=True))

    def first_ranks(self) -> npt.NDArray[np.float64] | None:
        return None

    def marks(self, at: int, key: bytes | None = None) -> list[Mark]:
        return list(self.hits[at][0])

    def all_marks(self, ats: Sequence[int], keys: Sequence[bytes] | None = None) -> list[list[Mark]]:
        return [list(self.hits[at][0]) for at in ats]

    def keys(self, ats: Sequence[int]) -> list[bytes]:
        keys = [self.hits[at][0][-1] for at in ats]
        return [key for key in keys if isinstance(key, bytes)]

    def scores(self, ats: Sequence[int]) -> list[float]:
        return [self.hits[at][1] for at in ats]

    def document(self, at: int) -> None:
        return None


class _LateRank:
    """Where one document stands at a level that few comparisons come to."""

    __slots__ = ("_doc", "_level", "_ordering", "_rank")

    def __init__(self, ordering: Ordering, level: Level, doc: int) -> None:
        self._ordering = ordering
        self._level = level
        self._doc = doc
        self._rank: Any = None

    def read(self) -> Any:
        if self._rank is None:
            [self._rank] = self._ordering.ranks(self._level.marks(np.array([self._doc], np.int64)))
        return self._rank

    def __lt__(self, other: Any) -> bool:
        return bool(self.read() < _read(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.read() > _read(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.read() == _read(other))

    __hash__ = None  # type: ignore[assignment]


def _read(rank: Any) -> Any:
    return rank.read() if isinstance(rank, _LateRank) else rank
