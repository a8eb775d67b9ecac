"""Rows whose KEYWORD field starts with a string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.fields.capabilities import filterable
from lutra.kernels.selection import Selection
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldType
from lutra.model.queries import Prefix
from lutra.search.binder import Binder
from lutra.search.nodes.columns import ColumnCondition, shown
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.segments.part import Part


@binds(Prefix)
def bind(query: Prefix, binder: Binder) -> Clause:
    binder.field("prefix query", query.field, (FieldType.KEYWORD,))
    binder.check_weight("prefix query", query.weight)
    _check(query.prefix)
    return Clause(binder.same(StartsWith(query.field, query.prefix)), query.weight)


def _check(prefix: str) -> None:
    try:
        size_bytes = len(prefix.encode())
    except UnicodeEncodeError:
        raise ParameterInvalid("[prefix query] the prefix holds a lone surrogate") from None
    if size_bytes > limits.PREFIX_BYTES_MAX:
        raise ParameterInvalid(f"[prefix query] the prefix has {size_bytes} bytes, more than {limits.PREFIX_BYTES_MAX}")


@dataclass(frozen=True, slots=True)
class StartsWith(ColumnCondition):
    prefix: str

    def select(self, part: Part) -> Selection:
        return filterable(part, self.field).starts_with(self.prefix)

    def describe(self) -> dict[str, Any]:
        return {"query": "prefix", "field": self.field, "prefix": shown(self.prefix)}
