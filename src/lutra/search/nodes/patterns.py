"""Strings like a pattern: what prefix, suffix and wildcard queries share, of KEYWORD and TEXT fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lutra.fields.capabilities import Filterable, filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.selection import Selection
from lutra.model.indexes import FieldSchema
from lutra.search.binder import Binder
from lutra.search.nodes.columns import ColumnCondition, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.words import WordLike
from lutra.segments.part import Part
from lutra.text.part import PatternKind

_ASKED: Final[dict[PatternKind, Callable[[Filterable, str], Selection]]] = {
    PatternKind.PREFIX: lambda column, pattern: column.starts_with(pattern),
    PatternKind.SUFFIX: lambda column, pattern: column.ends_with(pattern),
    PatternKind.WILDCARD: lambda column, pattern: column.like(pattern),
}
_NOUNS: Final = {PatternKind.PREFIX: "prefix", PatternKind.SUFFIX: "suffix", PatternKind.WILDCARD: "pattern"}


def pattern_clause(binder: Binder, field: FieldSchema, kind: PatternKind, pattern: str, weight: float) -> Clause:
    """Of a keyword, the whole of it is like ``pattern``; of a text, one of its words."""
    condition = WordLike if kind_of(field).is_searchable else StringLike
    return Clause(binder.same(condition(field.name, kind, pattern)), weight)


@dataclass(frozen=True, slots=True)
class StringLike(ColumnCondition):
    kind: PatternKind
    pattern: str

    def select(self, part: Part) -> Selection:
        return _ASKED[self.kind](filterable(part, self.field), self.pattern)

    def describe(self) -> dict[str, Any]:
        return {"query": self.kind.name.lower(), "field": self.field, _NOUNS[self.kind]: shown(self.pattern)}
