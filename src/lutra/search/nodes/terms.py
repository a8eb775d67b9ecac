"""Rows whose field equals one of several values; of a TEXT field, rows that have one for a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Terms
from lutra.scalars.meaning import Interval, wanted_of
from lutra.scalars.values import Scalar
from lutra.search.binder import Binder
from lutra.search.nodes.columns import COMPARED, ColumnCondition, nothing, shown_values
from lutra.search.nodes.node import Clause
from lutra.search.nodes.range import Between
from lutra.search.nodes.registry import binds
from lutra.search.nodes.term import Equals
from lutra.search.nodes.words import AnyWord, words_among
from lutra.segments.part import Part


@binds(Terms)
def bind(query: Terms, binder: Binder) -> Clause:
    field = binder.field("terms query", query.field, COMPARED)
    binder.check_weight("terms query", query.weight)
    if not 1 <= len(query.values) <= limits.TERMS_MAX:
        raise ParameterInvalid(f"[terms query] takes 1 to {limits.TERMS_MAX} terms, not {len(query.values)}")
    if kind_of(field).is_searchable:
        words = AnyWord(query.field, words_among("terms query", field, query.values))
        return Clause(binder.same(words), query.weight)
    wanted = wanted_of(binder.reader(query.field), query.values)
    values, intervals = tuple(dict.fromkeys(wanted.values)), wanted.intervals
    condition: ColumnCondition = OneOf(query.field, values)
    if len(values) == 1 and not intervals:
        condition = Equals(query.field, values[0])
    elif intervals:
        condition = OneWithin(query.field, values, intervals)
    return Clause(binder.same(condition), query.weight)


@dataclass(frozen=True, slots=True)
class OneOf(ColumnCondition):
    values: tuple[Scalar, ...]

    def select(self, part: Part) -> Selection:
        return filterable(part, self.field).one_of(list(self.values)) if self.values else nothing(part)

    def describe(self) -> dict[str, Any]:
        return {"query": "terms", "field": self.field, "values": shown_values(self.values)}


@dataclass(frozen=True, slots=True)
class OneWithin(ColumnCondition):
    """One of ``values``, or between the bounds of one of ``intervals``, of which there is at least one."""

    values: tuple[Scalar, ...]
    intervals: tuple[Interval, ...]

    def select(self, part: Part) -> Selection:
        conditions = [OneOf(self.field, self.values), *(Between(self.field, within) for within in self.intervals)]
        found = [condition.select(part) for condition in conditions]

        def mask() -> RowMask:
            result = found[0].mask()
            for selection in found[1:]:
                result = result | selection.mask()
            return result

        return Selection(min(part.size, sum(selection.estimate for selection in found)), mask)

    def describe(self) -> dict[str, Any]:
        told = {"query": "terms", "field": self.field, "values": shown_values(self.values)}
        return {**told, "networks": len(self.intervals)}
