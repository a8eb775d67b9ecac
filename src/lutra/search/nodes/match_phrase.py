"""Rows whose field has the words of a text as they stand in it."""

from __future__ import annotations

from lutra.fields.kinds import kind_of
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import MatchPhrase
from lutra.search.binder import Binder
from lutra.search.nodes.columns import WITH_STRINGS, check_text
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.search.nodes.term import Equals
from lutra.search.nodes.words import Phrase, words_in


@binds(MatchPhrase)
def bind(query: MatchPhrase, binder: Binder) -> Clause:
    """A keyword is one word as it stands: matching it is comparing it. A text without a word matches nothing."""
    field = binder.field("match_phrase query", query.field, WITH_STRINGS)
    binder.check_weight("match_phrase query", query.weight)
    check_text("match_phrase query", "the text", query.text, limits.MATCH_BYTES_MAX)
    if not 0 <= query.slop <= limits.SLOP_MAX:
        raise ParameterInvalid(f"[match_phrase query] slop must be in [0, {limits.SLOP_MAX}], not {query.slop}")
    if not kind_of(field).is_searchable:
        return Clause(binder.same(Equals(query.field, query.text)), query.weight)
    tokens = words_in("match_phrase query", field, query.text)
    phrase = Phrase(query.field, tuple(tokens.terms), tuple(tokens.positions), query.slop)
    return Clause(binder.same(phrase), query.weight)
