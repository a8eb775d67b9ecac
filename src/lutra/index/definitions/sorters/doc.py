"""In whatever order."""

from __future__ import annotations

from typing import Any

from lutra.index.definitions.sorters.registry import SorterKind, knows
from lutra.model.queries import DocSort


@knows(DocSort)
class DocSortKind(SorterKind):
    name = "doc"

    def out(self, sorter: DocSort) -> dict[str, Any]:
        return {}

    def read(self, stored: dict[str, Any], descending: bool) -> DocSort:
        return DocSort(descending)
