"""The hits of a whole search request, in order."""

from __future__ import annotations

from typing import Any

import support.reference.geo
import support.reference.nested
import support.reference.queries  # which say what answers which query
import support.reference.scoring  # noqa: F401
from support.reference.documents import Document
from support.reference.neighbours import nearest
from support.reference.sorts import sort_key
from support.reference.space import Scores, Space

from lutra.model.indexes import IndexSchema
from lutra.model.queries import KnnVector, ScoreSort, SearchRequest, Sorter
from lutra.model.scoring import FunctionsScore


def matches(space: Space, request: SearchRequest, page: int) -> Scores:
    """All that match. A KNN query that is the whole query finds as many as a page has, if that is more."""
    if isinstance(request.query, KnnVector):
        found = nearest(request.query, space, max(request.query.top_k, page))
    else:
        found = space.match(request.query)
    passed = found if request.filter is None else space.match(request.filter)
    return {one: score for one, score in found.items() if one in passed}


def sort_of(schema: IndexSchema, request: SearchRequest) -> tuple[Sorter, ...]:
    """Without a sort the best by functions come first, which are there to put rows in order; else it is the index's."""
    return request.sort or ((ScoreSort(),) if isinstance(request.query, FunctionsScore) else schema.sort)


def ordered(space: Space, request: SearchRequest, found: Scores) -> list[Document]:
    """By the sort of the request; of a collapse the first of each value, and of those without one."""
    order = sorted(found, key=lambda one: sort_key(space, sort_of(space.schema, request), one, found[one]))
    if request.collapse is None:
        return order
    firsts: dict[Any, Document] = {}
    for one in order:
        firsts.setdefault(one.elements.get(request.collapse, [None])[0], one)
    return list(firsts.values())
