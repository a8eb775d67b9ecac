"""One search of a table: what its index is asked, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lutra.instance.boosts import Boosts, boosted, candidates
from lutra.instance.found_rows import FoundRows
from lutra.instance.layout import Layout
from lutra.instance.records import ShownRecords
from lutra.instance.results import Results
from lutra.instance.row import Row
from lutra.instance.search_query import Asked, OrderBy, are_filtered_later, columns_to_get, query_of, sorters_of
from lutra.instance.widened import Widened
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query, ScoreSort, SearchRequest, SearchResult, SearchStats
from lutra.model.recall_target import require_recall_target
from lutra.model.scoring import ConstScore

Search = Callable[[Sequence[SearchRequest]], list[SearchResult]]
"""Asks the index."""

_PAGE_ROWS: Final = 1_000
"""That one search gives of an order. Neighbours come in one: the next page would look for all of them again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to come of the rows that are looked for, as `lutra.Table.search` takes it."""

    limit: int
    offset: int = 0
    order_by: OrderBy = ()
    columns: Sequence[str] | None = None
    collapse: str | None = None
    records: int | None = None
    boost: Boosts | None = None
    explain: bool = False
    recall: float | None = None


class SearchCall:
    """A search that makes sense of its table."""

    def __init__(self, asked: Asked, wanted: Wanted, layout: Layout) -> None:
        """Raises ParameterInvalid, EmbeddingError."""
        if wanted.recall is not None:
            require_recall_of(wanted.recall, asked.vector)
        asked = asked.embedded(layout)
        check_page(wanted.limit, wanted.offset)
        if wanted.collapse is not None and wanted.offset + wanted.limit > limits.OFFSET_PLUS_LIMIT_MAX:
            raise ParameterInvalid(
                f"a search with collapse= reaches down to the {limits.OFFSET_PLUS_LIMIT_MAX:,}th row, not to the "
                f"{wanted.offset + wanted.limit:,}th: group_by tells of more"
            )
        self._asked = asked
        self._wanted = wanted
        self._layout = layout
        last = wanted.offset + wanted.limit
        self._top_k = last if wanted.boost is None else candidates(last)
        query, is_scored = query_of(asked, layout, self._top_k, is_widened=True)
        is_scored = is_scored or wanted.boost is not None
        sort = sorters_of(wanted.order_by, layout)
        if is_scored and sort:
            what = "with boost=" if asked.vector is None and asked.text is None else "for a vector or text"
            raise ParameterInvalid(f"a search {what} is ordered by score: order_by does not go with it")
        self._shown = None if wanted.records is None else ShownRecords(layout, wanted.records)
        query = self._made(query)
        columns = wanted.columns
        read = columns if columns is None or self._shown is None else [*columns, *self._shown.columns]
        self._request = SearchRequest(
            query,
            (ScoreSort(),) if is_scored else sort,
            wanted.offset,
            columns=columns_to_get(read, layout),
            explain=wanted.explain,
            recall_target=wanted.recall,
        )
        self._decode = FoundRows(layout, columns, self._shown, is_scored=is_scored)
        is_filtered_later = asked.vector is not None and are_filtered_later(asked, layout)
        self._is_widened = wanted.collapse is not None or is_filtered_later
        self._widened = Widened(asked, layout, wanted.collapse)

    def run(self, search: Search) -> Results:
        """What it finds. Raises as `lutra.instance.instance.Instance.search_many`."""
        if self._is_widened:
            found = self._widened.first(self._request, self._wanted.limit, self._top_k, self._made, search)
            rows, stats = self._decode(found), found.stats
        else:
            rows, stats = self._pages(search)
        return Results(rows, self._layout.result_columns(self._wanted.columns, rows), stats)

    def _made(self, query: Query) -> Query:
        """The query that is asked, of one that says which rows are looked for."""
        query = query if self._shown is None else self._shown.query(query)
        if self._wanted.boost is None:
            return query
        is_scored = self._asked.vector is not None or self._asked.text is not None
        return boosted(query if is_scored else ConstScore(query), self._wanted.boost, self._layout)

    def _pages(self, search: Search) -> tuple[list[Row], SearchStats]:
        """The first rows, so many by one search; tokens lead on."""
        request, limit = self._request, self._wanted.limit
        page_rows = limit if self._asked.vector is not None else _PAGE_ROWS
        rows: list[Row] = []
        stats = SearchStats()
        while True:
            [result] = search([replace(request, limit=min(limit - len(rows), page_rows))])
            if not rows:
                stats = result.stats
            rows += self._decode(result)
            if len(rows) >= limit or not result.next_token:
                return rows, stats
            request = replace(request, offset=0, token=result.next_token, explain=False)


def require_recall_of(recall: float, vector: object) -> None:
    """Raises ParameterInvalid for what is no recall, or of a search that compares no vectors."""
    require_recall_target(recall)
    if vector is None:
        raise ParameterInvalid("recall= says how many of the nearest to a vector are to be found: give one")


def check_page(limit: int, offset: int) -> None:
    """Raises ParameterInvalid."""
    if type(limit) is not int or type(offset) is not int or limit < 1 or offset < 0:
        raise ParameterInvalid(f"limit is an int of at least 1, offset of at least 0; not {limit!r} and {offset!r}")
    if offset + min(limit, _PAGE_ROWS) > limits.OFFSET_PLUS_LIMIT_MAX:
        raise ParameterInvalid(
            f"an offset leads to the {limits.OFFSET_PLUS_LIMIT_MAX:,}th row at most, not to {offset:,} and on: ask "
            "for rows from the first on, as many as you like, or leave the first ones out by where="
        )
