"""Rows that have a value in a field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import field_of
from lutra.kernels.selection import Selection
from lutra.model.queries import Exists
from lutra.search.binder import Binder
from lutra.search.nodes.columns import ColumnCondition
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.segments.part import Part


@binds(Exists)
def bind(query: Exists, binder: Binder) -> Clause:
    binder.field("exists query", query.field, lambda kind: True)
    return Clause(binder.same(HasValue(query.field)), 1.0)


@dataclass(frozen=True, slots=True)
class HasValue(ColumnCondition):
    def select(self, part: Part) -> Selection:
        return field_of(part, self.field).exists()

    def describe(self) -> dict[str, Any]:
        return {"query": "exists", "field": self.field}
