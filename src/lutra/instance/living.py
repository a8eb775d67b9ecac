"""Searches whose hits all have their rows.

An index may be behind its table: it finds documents whose rows are gone. They are left out of the view, and the view is
asked again, so that they take nobody's place. Nothing is waited for, however far behind the index is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from lutra.index.lsm.view import Document, IndexView
from lutra.model import limits
from lutra.model.deadline import current_deadline
from lutra.model.queries import ColumnsToGet, Hit, ReturnColumns, SearchRequest
from lutra.model.rows import Row
from lutra.search import Answer, search

_AHEAD_FIRST: Final = 50
_AHEAD_GROWTH: Final = 4
_PAGE_MAX: Final = limits.SEARCH_LIMIT_INDEX_ONLY_MAX
_ROWS_AT_ONCE: Final = 50
"""Read of those looked at ahead: they are in memory for a moment only."""


def answer_of_living(
    view: IndexView,
    request: SearchRequest,
    answer: Answer | None = None,
    *,
    read: Callable[[list[Hit]], list[Row | None]],
    are_gone: Callable[[list[Hit]], list[bool]],
) -> tuple[Answer, list[Row]]:
    """The answer to ``request`` and the row of each hit: as many as there are with rows, up to the limit.

    ``answer``: what `search` says, where it was asked already. Where a row is gone, those that the offset skips are
    looked at too; and where more than one round finds rows gone, more and more of what comes next is looked at in
    advance.

    Raises as `search`, and as ``read`` and ``are_gone``.
    """
    ahead, is_behind = 0, False
    while True:
        if answer is None:
            answer = search(view, request)
        rows = read(answer.hits)
        if not answer.is_complete:  # nor is there time to look for others in the place of rows that are gone
            kept = [number for number, row in enumerate(rows) if row is not None]
            hits, inner = [answer.hits[number] for number in kept], answer.inner_hits
            inner = [inner[number] for number in kept] if inner else inner
            living = replace(answer, hits=hits, documents=[], inner_hits=inner)
            return living, [row for row in rows if row is not None]
        gone = [document for document, row in zip(answer.documents, rows, strict=True) if row is None]
        is_behind = is_behind or bool(gone)
        if is_behind:
            current_deadline().check()
            view = view.without(gone)
            first = request.offset + (ahead if gone else 0)
            skipped = list(_gone_of_first(view, request, first, are_gone))
            view = view.without(skipped)
            gone += skipped
        if not gone:
            return answer, [row for row in rows if row is not None]
        answer = None
        ahead = min(_PAGE_MAX, max(_AHEAD_FIRST, _AHEAD_GROWTH * ahead))


def _gone_of_first(
    view: IndexView, request: SearchRequest, count: int, are_gone: Callable[[list[Hit]], list[bool]]
) -> Iterator[Document]:
    """Of the first ``count`` documents of the answer, its offset left out of account."""
    keys_only = ColumnsToGet(ReturnColumns.NONE)
    for offset in range(0, min(count, limits.OFFSET_PLUS_LIMIT_MAX), _PAGE_MAX):
        limit = min(_PAGE_MAX, count - offset, limits.OFFSET_PLUS_LIMIT_MAX - offset)
        page = replace(request, offset=offset, limit=limit, columns=keys_only, count_total=False, allow_partial=False)
        page = replace(page, aggregations=(), group_bys=())
        answer = search(view, page)
        for start in range(0, len(answer.hits), _ROWS_AT_ONCE):
            found = are_gone(answer.hits[start : start + _ROWS_AT_ONCE])
            documents = answer.documents[start : start + _ROWS_AT_ONCE]
            yield from (document for document, is_gone in zip(documents, found, strict=True) if is_gone)
        if len(answer.hits) < limit:
            return
