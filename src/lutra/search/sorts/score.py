"""By score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model.queries import ScoreSort
from lutra.search.binder import Binder
from lutra.search.level import Keys
from lutra.search.mark import Mark
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Docs, DocScores, Scores, scores_of
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import binds


@binds(ScoreSort)
def bind(sorter: ScoreSort, binder: Binder) -> ByScore:
    return ByScore(sorter.descending)


@dataclass(frozen=True, slots=True)
class ByScore(Ordering):
    is_scoring = True

    descending: bool

    def level(self, search: PartSearch, scores: Scores) -> ScoreLevel:
        return ScoreLevel(scores, self.descending, search.part.size)

    def fits(self, mark: Mark) -> bool:
        return isinstance(mark, float)


@dataclass(frozen=True, slots=True)
class ScoreLevel:
    scores: Scores
    descending: bool
    size: int

    def arrays(self) -> Sequence[Keys]:
        return () if isinstance(self.scores, float) else (ScoreKeys(self.scores, self.descending),)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        assert isinstance(mark, float)
        scores, size = self.scores, self.size
        if isinstance(scores, float):
            is_beyond = scores < mark if self.descending else scores > mark
            return _all_or_none(is_beyond, size), _all_or_none(scores == mark, size)
        beyond = scores.values < mark if self.descending else scores.values > mark
        equal = scores.values == mark
        return RowMask.of_rows(scores.docs[beyond], size), RowMask.of_rows(scores.docs[equal], size)

    def marks(self, docs: Docs) -> list[Mark]:
        return [*scores_of(self.scores, docs)]


@dataclass(frozen=True, slots=True)
class ScoreKeys:
    """Scores, of documents that have one."""

    scores: DocScores
    descending: bool

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        assert docs is not None  # who has scores has a list of his documents
        taken = self.scores.take(docs)
        return -taken if self.descending else taken


def _all_or_none(counts: bool, size: int) -> RowMask:
    return RowMask.all(size) if counts else RowMask.none(size)
