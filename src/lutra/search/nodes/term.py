"""Rows whose field equals a value; of a TEXT field, rows that have it for a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.selection import Selection
from lutra.model.queries import Term
from lutra.scalars.meaning import wanted_of
from lutra.scalars.values import Scalar
from lutra.search.binder import Binder
from lutra.search.nodes.columns import COMPARED, ColumnCondition, nothing, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.range import Between
from lutra.search.nodes.registry import binds
from lutra.search.nodes.words import Words, words_among
from lutra.segments.part import Part


@binds(Term)
def bind(query: Term, binder: Binder) -> Clause:
    field = binder.field("term query", query.field, COMPARED)
    binder.check_weight("term query", query.weight)
    if kind_of(field).is_searchable:
        return Clause(
            binder.same(Words(query.field, words_among("term query", field, (query.value,)), 1)), query.weight
        )
    wanted = wanted_of(binder.reader(query.field), (query.value,))
    if wanted.intervals:
        return Clause(binder.same(Between(query.field, wanted.intervals[0])), query.weight)
    return Clause(binder.same(Equals(query.field, wanted.values[0] if wanted.values else None)), query.weight)


@dataclass(frozen=True, slots=True)
class Equals(ColumnCondition):
    value: Scalar | None
    """None: nothing that the field can hold."""

    def select(self, part: Part) -> Selection:
        return nothing(part) if self.value is None else filterable(part, self.field).equals(self.value)

    def describe(self) -> dict[str, Any]:
        return {"query": "term", "field": self.field, "value": shown(self.value)}
