"""The hits of a whole search request, in order."""

from __future__ import annotations

import support.reference.queries  # which say what answers which query
import support.reference.scoring  # noqa: F401
from support.reference.documents import Document
from support.reference.neighbours import nearest
from support.reference.sorts import sort_key
from support.reference.space import Scores, Space

from lutra.model.queries import KnnVector, SearchRequest


def matches(space: Space, request: SearchRequest, page: int) -> Scores:
    """All that match. A KNN query that is the whole query finds as many as a page has, if that is more."""
    if isinstance(request.query, KnnVector):
        return nearest(request.query, space, max(request.query.top_k, page))
    return space.match(request.query)


def ordered(space: Space, request: SearchRequest, found: Scores) -> list[Document]:
    """By the sort of the request."""
    return sorted(found, key=lambda one: sort_key(space, request.sort, one, found[one]))
