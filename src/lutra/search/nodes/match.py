"""Rows whose field has words of a text."""

from __future__ import annotations

from lutra.fields.kinds import kind_of
from lutra.model import limits
from lutra.model.queries import Match, Operator
from lutra.search.binder import Binder
from lutra.search.minimum import minimum_should_match
from lutra.search.nodes.columns import WITH_STRINGS, check_text
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.search.nodes.term import Equals
from lutra.search.nodes.words import Words, words_in


@binds(Match)
def bind(query: Match, binder: Binder) -> Clause:
    """A keyword is one word as it stands: matching it is comparing it. A text without a word matches nothing."""
    field = binder.field("match query", query.field, WITH_STRINGS)
    binder.check_weight("match query", query.weight)
    check_text("match query", "the text", query.text, limits.MATCH_BYTES_MAX)
    if not kind_of(field).is_searchable:
        return Clause(binder.same(Equals(query.field, query.text)), query.weight)
    terms = tuple(words_in("match query", field, query.text).terms)
    if query.operator is Operator.AND:
        needed = len(terms)
    else:
        needed = minimum_should_match(query.minimum_should_match, len(terms), alone=True)
    return Clause(binder.same(Words(query.field, terms, needed)), query.weight)
