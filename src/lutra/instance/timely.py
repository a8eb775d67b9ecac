"""Searches of one call that have so long together, what comes before them included."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lutra.instance.table_part import WAIT_S
from lutra.model import limits
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.queries import SearchRequest, SearchResult

_WAITING_SHARE: Final = 0.5
"""Of the time, what an index may take to catch up: the rest is for the search."""

Search = Callable[[Sequence[SearchRequest]], list[SearchResult]]


class Timely:
    """``deadline_ms`` from now on: what is found by then is the answer, and `is_complete` tells whether it is whole.

    None: there is no such deadline, and a search that takes too long raises RequestTimeout.
    """

    def __init__(self, deadline_ms: int | None) -> None:
        """Raises ParameterInvalid."""
        most = limits.SEARCH_TIMEOUT_MS_MAX
        if deadline_ms is not None and (type(deadline_ms) is not int or not 1 <= deadline_ms <= most):
            raise ParameterInvalid(f"deadline_ms is an int from 1 to {most:,}, not {deadline_ms!r}")
        self._until_s = None if deadline_ms is None else time.monotonic() + deadline_ms / 1_000
        self.is_complete = True
        self._has_rows = False

    def wait(self, wait: Callable[[float], None]) -> None:
        """Has ``wait`` wait until the index is as new as is wanted, so many seconds at most.

        Where the time for that is up, the index is searched as it is, which is not complete.
        """
        if self._until_s is None:
            wait(WAIT_S)
            return
        try:
            wait(_WAITING_SHARE * self._left_s())
        except RequestTimeout:
            self.is_complete = False

    def searches(self, search: Search) -> Search:
        """As ``search``, in the time that is left. Once there was an answer with rows, or groups, what there is no time
        for finds nothing; where there was none RequestTimeout is raised."""
        if self._until_s is None:
            return search

        def timely(requests: Sequence[SearchRequest]) -> list[SearchResult]:
            found = self._found(search, requests)
            self.is_complete = self.is_complete and all(result.is_complete for result in found)
            self._has_rows = self._has_rows or any(map(_tells_something, found))
            return found

        return timely

    def _found(self, search: Search, requests: Sequence[SearchRequest]) -> list[SearchResult]:
        nothing = [SearchResult([], [], is_complete=False) for _ in requests]
        left_s = self._left_s()
        if self._has_rows and not left_s:
            return nothing
        left_ms = max(1, int(left_s * 1_000))
        try:
            found = search([replace(request, timeout_ms=left_ms, allow_partial=True) for request in requests])
        except RequestTimeout:
            if self._has_rows:
                return nothing
            raise
        if not self._has_rows and not any(_tells_something(result) or result.is_complete for result in found):
            raise RequestTimeout("The search found nothing in the time that it had.")
        return found

    def _left_s(self) -> float:
        assert self._until_s is not None
        return max(0.0, self._until_s - time.monotonic())


def _tells_something(result: SearchResult) -> bool:
    return bool(result.rows) or result.aggregated is not None
