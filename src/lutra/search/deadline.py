"""When a search has to be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lutra.model import limits
from lutra.model.deadline import NEVER, Deadline, current_deadline, working_for
from lutra.model.errors import ParameterInvalid
from lutra.tables.surely import surely

T = TypeVar("T")


def in_time(timeout_ms: int | None, search: Callable[[Deadline], T]) -> T:
    """Does ``search``, which has so long, counted from the beginning of the request it belongs to.

    None or more than the limit mean the limit. An interrupt, at whatever instant, leaves no deadline behind that later
    work of this thread would be held to. Raises ParameterInvalid where it is below 1, and as ``search``.
    """
    if timeout_ms is not None and timeout_ms < 1:
        raise ParameterInvalid(f"[timeout_ms] must be at least 1, not {timeout_ms}")
    limit_s = min(timeout_ms or limits.SEARCH_TIMEOUT_MS_MAX, limits.SEARCH_TIMEOUT_MS_MAX) / 1_000
    deadline = current_deadline()
    if deadline is not NEVER:
        deadline.shorten(limit_s, "search")
        return search(deadline)
    own = working_for(Deadline(limit_s, what="search"))

    def work() -> T:
        with own as deadline:
            return search(deadline)

    return surely(work, lambda: own.__exit__())
