"""Searches whose hits all have their rows.

An index may be behind its table: it finds documents whose rows are gone. They are left out of the view, and the view is
asked again, so that they take nobody's place. Nothing is waited for, however far behind the index is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    living = Living(view, request, are_gone)
    while True:
        if answer is None:
            answer = search(living.view, request)
        rows = read(answer.hits)
        if not answer.is_complete:  # nor is there time to look for others in the place of rows that are gone
            return without_gone(answer, rows), [row for row in rows if row is not None]
        if not living.loses(answer.documents, [row is None for row in rows]):
            return answer, [row for row in rows if row is not None]
        answer = None


class Living:
    """A view of which more and more documents are found to have no rows."""

    def __init__(self, view: IndexView, request: SearchRequest, are_gone: Callable[[list[Hit]], list[bool]]) -> None:
        self.view = view
        """Without them, as far as they are known."""
        self._request = request
        self._are_gone = are_gone
        self._ahead = 0
        self._is_behind = False

    def loses(self, documents: Sequence[Document], are_gone: Sequence[bool]) -> bool:
        """Takes note of what became of the documents that a search of the view found.

        Returns whether it is to be searched again: some are gone, of these or of those that were looked at with them.
        Raises as `search`.
        """
        gone = [document for document, is_gone in zip(documents, are_gone, strict=True) if is_gone]
        self._is_behind = self._is_behind or bool(gone)
        if self._is_behind:
            current_deadline().check()
            self.view = self.view.without(gone)
            first = self._request.offset + (self._ahead if gone else 0)
            skipped = list(_gone_of_first(self.view, self._request, first, self._are_gone))
            self.view = self.view.without(skipped)
            gone += skipped
        if gone:
            self._ahead = min(_PAGE_MAX, max(_AHEAD_FIRST, _AHEAD_GROWTH * self._ahead))
        return bool(gone)


def without_gone(answer: Answer, rows: Sequence[Row | None]) -> Answer:
    """The answer without hits that have no rows."""
    kept = [number for number, row in enumerate(rows) if row is not None]
    hits, inner = [answer.hits[number] for number in kept], answer.inner_hits
    return replace(answer, hits=hits, documents=[], inner_hits=[inner[number] for number in kept] if inner else inner)


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
