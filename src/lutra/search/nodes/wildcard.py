"""Rows whose KEYWORD field, or a word of whose TEXT field, is like a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.selection import Selection
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Wildcard
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, ColumnCondition, check_text, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.search.nodes.words import WordLike
from lutra.segments.part import Part
from lutra.text.part import PatternKind


@binds(Wildcard)
def bind(query: Wildcard, binder: Binder) -> Clause:
    field = binder.field("wildcard query", query.field, WITH_STRINGS)
    binder.check_weight("wildcard query", query.weight)
    if len(query.pattern) > limits.WILDCARD_CHARS_MAX:
        raise ParameterInvalid(
            f"[wildcard query] the pattern has {len(query.pattern)} characters, more than {limits.WILDCARD_CHARS_MAX}"
        )
    check_text("wildcard query", "the pattern", query.pattern, 4 * limits.WILDCARD_CHARS_MAX)
    if kind_of(field).is_searchable:
        return Clause(binder.same(WordLike(query.field, PatternKind.WILDCARD, query.pattern)), query.weight)
    return Clause(binder.same(Like(query.field, query.pattern)), query.weight)


@dataclass(frozen=True, slots=True)
class Like(ColumnCondition):
    pattern: str

    def select(self, part: Part) -> Selection:
        return filterable(part, self.field).like(self.pattern)

    def describe(self) -> dict[str, Any]:
        return {"query": "wildcard", "field": self.field, "pattern": shown(self.pattern)}
