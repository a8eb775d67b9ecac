"""The first row of each value of a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lutra.instance.field import Kind
from lutra.instance.layout import Layout
from lutra.instance.search_query import Asked, query_of
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import SearchRequest, SearchResult

_KINDS: Final = frozenset({Kind.STR, Kind.INT, Kind.FLOAT})
_GROWTH: Final = 4
"""So many more neighbours are looked for than rows are wanted, and again where too many have values alike."""


class Collapsed:
    """A search that finds one row of each value."""

    def __init__(
        self,
        asked: Asked,
        layout: Layout,
        column: str,
        search: Callable[[Sequence[SearchRequest]], list[SearchResult]],
    ) -> None:
        """Raises ParameterInvalid where rows cannot be told apart by ``column``."""
        field = layout.field(column)
        if field is None:
            raise ParameterInvalid(layout.unknown(column))
        if not field.indexed:
            raise ParameterInvalid(f"field {column!r} is not indexed, so rows cannot be collapsed by it")
        if field.kind not in _KINDS or field.is_array or field.dates:
            what = "a list" if field.is_array else "a date" if field.dates else field.kind.value
            raise ParameterInvalid(f"rows are collapsed by a column of str, int or float: {column!r} is {what}")
        self._asked = asked
        self._layout = layout
        self._column = field.name
        self._search = search

    def first(self, request: SearchRequest, limit: int) -> SearchResult:
        """The first ``limit`` rows of ``request``, which asks for all that is said but how many neighbours count."""
        most = limits.OFFSET_PLUS_LIMIT_MAX
        request = replace(request, limit=min(limit, most - request.offset), collapse=self._column)
        if self._asked.vector is None:
            return self._search([request])[0]
        request = replace(request, count_total=True)
        top_k = request.offset + limit
        while True:
            top_k = min(_GROWTH * top_k, most)
            query, _ = query_of(self._asked, self._layout, top_k)
            [found] = self._search([replace(request, query=query)])
            if len(found.rows) >= limit or found.total < top_k or top_k == most:
                return found
