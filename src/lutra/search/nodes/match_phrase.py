"""Rows whose field has the words of a text in their order."""

from __future__ import annotations

from lutra.model.indexes import FieldType
from lutra.model.queries import MatchPhrase
from lutra.search.binder import Binder
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds
from lutra.search.nodes.term import Equals


@binds(MatchPhrase)
def bind(query: MatchPhrase, binder: Binder) -> Clause:
    """A keyword is one word as it stands: matching it is comparing it."""
    binder.field("match query", query.field, (FieldType.KEYWORD,))
    binder.check_weight("match query", query.weight)
    return Clause(binder.same(Equals(query.field, query.text)), query.weight)
