"""By score."""

from __future__ import annotations

from typing import Any

from lutra.index.definitions.sorters.registry import SorterKind, knows
from lutra.model.queries import ScoreSort


@knows(ScoreSort)
class ScoreSortKind(SorterKind):
    name = "score"
    orders_indexes = False

    def out(self, sorter: ScoreSort) -> dict[str, Any]:
        return {}

    def read(self, stored: dict[str, Any], descending: bool) -> ScoreSort:
        return ScoreSort(descending)
