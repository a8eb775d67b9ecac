"""Searches that look for more neighbours than rows are wanted, since some of them are left out once they are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lutra.instance.field import Kind
from lutra.instance.layout import Layout
from lutra.instance.search_query import Asked, are_filtered_later, query_of
from lutra.instance.where import searched_field
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import MatchAll, Query, SearchRequest, SearchResult

_COLLAPSIBLE: Final = frozenset({Kind.STR, Kind.INT, Kind.FLOAT})
_GROWTH: Final = 4
"""So many more neighbours are looked for than rows are wanted, and again where too few of them are left."""

Search = Callable[[Sequence[SearchRequest]], list[SearchResult]]


class Widened:
    """The first rows of a search, where rows with a value that an earlier one has are left out (``collapse``), or where
    neighbours are found among records and the condition is on rows."""

    def __init__(self, asked: Asked, layout: Layout, collapse: str | None) -> None:
        """Raises ParameterInvalid where rows cannot be told apart by ``collapse``."""
        self._asked = asked
        self._layout = layout
        self._collapse = None if collapse is None else _collapsible(collapse, layout)

    def first(
        self, request: SearchRequest, limit: int, top_k: int, made: Callable[[Query], Query], search: Search
    ) -> SearchResult:
        """The first ``limit`` rows of ``request``, whose query ``made`` makes of one for so many neighbours: more than
        ``top_k``."""
        most = limits.OFFSET_PLUS_LIMIT_MAX
        request = replace(request, limit=limit, collapse=self._collapse)
        if self._asked.vector is None:
            return search([request])[0]
        request = replace(request, count_total=True)
        before: SearchResult | None = None
        while True:
            top_k = min(_GROWTH * top_k, most)
            query, _ = query_of(self._asked, self._layout, top_k, is_widened=True)
            [found] = search([replace(request, query=made(query))])
            if not found.is_complete:  # a narrower search may have found more in time
                return found if before is None or len(found.rows) > len(before.rows) else before
            if len(found.rows) >= limit or top_k == most or self._are_all(found, top_k, search):
                return found
            before = found

    def _are_all(self, found: SearchResult, top_k: int, search: Search) -> bool:
        """Whether there are no more neighbours than were looked for."""
        if not are_filtered_later(self._asked, self._layout):
            return found.total < top_k
        [every] = search([SearchRequest(MatchAll(), limit=0, count_total=True)])
        return every.total <= top_k


def _collapsible(column: str, layout: Layout) -> str:
    field = searched_field(column, layout, "rows cannot be collapsed by it")
    if field.kind not in _COLLAPSIBLE or field.is_array or field.dates:
        what = "a list" if field.is_array else "a date" if field.dates else field.kind.value
        raise ParameterInvalid(f"rows are collapsed by a column of str, int or float: {column!r} is {what}")
    return field.name
