"""Rows whose KEYWORD field, or a word of whose TEXT field, starts with a string."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.queries import Prefix
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, check_text
from lutra.search.nodes.node import Clause
from lutra.search.nodes.patterns import pattern_clause
from lutra.search.nodes.registry import binds
from lutra.text.part import PatternKind


@binds(Prefix)
def bind(query: Prefix, binder: Binder) -> Clause:
    field = binder.field("prefix query", query.field, WITH_STRINGS)
    binder.check_weight("prefix query", query.weight)
    check_text("prefix query", "the prefix", query.prefix, limits.PREFIX_BYTES_MAX)
    return pattern_clause(binder, field, PatternKind.PREFIX, query.prefix, query.weight)
