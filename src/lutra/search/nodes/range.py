"""Rows whose field lies between two values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.kernels.selection import Selection
from lutra.model.queries import Range
from lutra.scalars.meaning import Interval, interval_of
from lutra.search.binder import Binder
from lutra.search.nodes.columns import ORDERED, ColumnCondition, nothing, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.segments.part import Part


@binds(Range)
def bind(query: Range, binder: Binder) -> Clause:
    binder.field("range query", query.field, ORDERED)
    return Clause(binder.same(Between(query.field, interval_of(binder.reader(query.field), query))), 1.0)


@dataclass(frozen=True, slots=True)
class Between(ColumnCondition):
    interval: Interval | None
    """None: below all that the field can hold."""

    def select(self, part: Part) -> Selection:
        within = self.interval
        if within is None:
            return nothing(part)
        column = filterable(part, self.field)
        return column.between(within.lower, within.upper, within.include_lower, within.include_upper)

    def describe(self) -> dict[str, Any]:
        told: dict[str, Any] = {"query": "range", "field": self.field}
        within = self.interval
        if within is None:
            return {**told, "values": []}
        if within.lower is not None:
            told["from" if within.include_lower else "above"] = shown(within.lower)
        if within.upper is not None:
            told["to" if within.include_upper else "below"] = shown(within.upper)
        return told
