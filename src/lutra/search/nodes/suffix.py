"""Rows whose KEYWORD field, or a word of whose TEXT field, ends with a string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.selection import Selection
from lutra.model import limits
from lutra.model.queries import Suffix
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, ColumnCondition, check_text, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.search.nodes.words import WordLike
from lutra.segments.part import Part
from lutra.text.part import PatternKind


@binds(Suffix)
def bind(query: Suffix, binder: Binder) -> Clause:
    field = binder.field("suffix query", query.field, WITH_STRINGS)
    binder.check_weight("suffix query", query.weight)
    check_text("suffix query", "the suffix", query.suffix, limits.PREFIX_BYTES_MAX)
    if kind_of(field).is_searchable:
        return Clause(binder.same(WordLike(query.field, PatternKind.SUFFIX, query.suffix)), query.weight)
    return Clause(binder.same(EndsWith(query.field, query.suffix)), query.weight)


@dataclass(frozen=True, slots=True)
class EndsWith(ColumnCondition):
    suffix: str

    def select(self, part: Part) -> Selection:
        return filterable(part, self.field).ends_with(self.suffix)

    def describe(self) -> dict[str, Any]:
        return {"query": "suffix", "field": self.field, "suffix": shown(self.suffix)}
