"""Rows whose KEYWORD field, or a word of whose TEXT field, is like a pattern."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Wildcard
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, check_text
from lutra.search.nodes.node import Clause
from lutra.search.nodes.patterns import pattern_clause
from lutra.search.nodes.registry import binds
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
    return pattern_clause(binder, field, PatternKind.WILDCARD, query.pattern, query.weight)
