"""Rows whose KEYWORD field, or a word of whose TEXT field, ends with a string."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.queries import Suffix
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, check_text
from lutra.search.nodes.node import Clause
from lutra.search.nodes.patterns import pattern_clause
from lutra.search.nodes.registry import binds
from lutra.text.part import PatternKind


@binds(Suffix)
def bind(query: Suffix, binder: Binder) -> Clause:
    field = binder.field("suffix query", query.field, WITH_STRINGS)
    binder.check_weight("suffix query", query.weight)
    check_text("suffix query", "the suffix", query.suffix, limits.PREFIX_BYTES_MAX)
    return pattern_clause(binder, field, PatternKind.SUFFIX, query.suffix, query.weight)
