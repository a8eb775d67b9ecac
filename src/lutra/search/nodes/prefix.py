"""Rows whose KEYWORD field, or a word of whose TEXT field, starts with a string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.selection import Selection
from lutra.model import limits
from lutra.model.queries import Prefix
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, ColumnCondition, check_text, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.search.nodes.words import WordLike
from lutra.segments.part import Part
from lutra.text.part import PatternKind


@binds(Prefix)
def bind(query: Prefix, binder: Binder) -> Clause:
    field = binder.field("prefix query", query.field, WITH_STRINGS)
    binder.check_weight("prefix query", query.weight)
    check_text("prefix query", "the prefix", query.prefix, limits.PREFIX_BYTES_MAX)
    if kind_of(field).is_searchable:
        return Clause(binder.same(WordLike(query.field, PatternKind.PREFIX, query.prefix)), query.weight)
    return Clause(binder.same(StartsWith(query.field, query.prefix)), query.weight)


@dataclass(frozen=True, slots=True)
class StartsWith(ColumnCondition):
    prefix: str

    def select(self, part: Part) -> Selection:
        return filterable(part, self.field).starts_with(self.prefix)

    def describe(self) -> dict[str, Any]:
        return {"query": "prefix", "field": self.field, "prefix": shown(self.prefix)}
