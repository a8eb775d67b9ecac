"""By primary key."""

from __future__ import annotations

from typing import Any

from lutra.index.definitions.sorters.registry import SorterKind, knows
from lutra.model.queries import PrimaryKeySort


@knows(PrimaryKeySort)
class PrimaryKeySortKind(SorterKind):
    name = "key"

    def out(self, sorter: PrimaryKeySort) -> dict[str, Any]:
        return {}

    def read(self, stored: dict[str, Any], descending: bool) -> PrimaryKeySort:
        return PrimaryKeySort(descending)
