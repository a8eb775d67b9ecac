"""What a query matches in one part of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lutra.scalars.strings import Mask
from lutra.search.level import Docs, KeyLevel, Level
from lutra.search.mark import Mark
from lutra.search.neighbours import Neighbours
from lutra.search.order import after_marks, first, first_numbers, first_of
from lutra.search.scores import FewScores, Scores
from lutra.segments.part import Part


@dataclass(frozen=True, slots=True)
class Found:
    """Live documents of ``part``, ``count`` of them: as a list, where few are known to be found, or as a mask."""

    part: Part
    scores: Scores
    count: int
    docs: Docs | None = None
    mask: Mask | None = None
    """bool[part.size]"""

    @classmethod
    def near(cls, part: Part, neighbours: Neighbours, scoring: bool) -> Found:
        scores = FewScores.of(neighbours.docs, neighbours.scores) if scoring else 0.0
        return cls(part, scores, len(neighbours.docs), docs=neighbours.docs)

    @classmethod
    def masked(cls, part: Part, mask: Mask, scores: Scores) -> Found:
        return cls(part, scores, int(np.count_nonzero(mask)), mask=mask)

    def after(self, levels: Sequence[Level], marks: Sequence[Mark]) -> Found:
        """Those that come after ``marks``."""
        mask = self.mask
        if mask is None:
            mask = np.zeros(self.part.size, bool)
            mask[self.docs] = True
        return self.masked(self.part, after_marks(levels, marks, mask), self.scores)

    def first(self, levels: Sequence[Level], count: int) -> Docs:
        """The first ``count``, at least 1, in the order of ``levels``."""
        if self.docs is not None:
            return first_of(levels, self.docs, count)
        assert self.mask is not None
        if self.part.in_key_order and isinstance(levels[0], KeyLevel):
            return first_numbers(self.mask, count, levels[0].descending)
        return first(levels, self.mask, count)
