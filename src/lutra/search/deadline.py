"""When a search has to be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lutra.model import limits
from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.search.nodes.knn import Near
from lutra.search.plan import Plan
from lutra.tables.surely import surely

T = TypeVar("T")

_FINDING_SHARE: Final = 0.75
_READING_SHARE: Final = 1.2
"""Of its time a search waits so long for what a store does not answer, once it has found all it could."""
_FINISHING_S: Final = limits.SEARCH_FINISHING_MS_MAX / 1_000


def in_time(timeout_ms: int | None, search: Callable[[Deadline], T]) -> T:
    """Does ``search``, which looks for rows until the deadline it is given.

    That is so long after the beginning of the request it belongs to; None or more than the limit mean the limit. What
    it has found by then it may finish: this thread works for a deadline that is a little later. An interrupt, at
    whatever instant, leaves no deadline behind that later work of this thread would be held to. Raises ParameterInvalid
    where ``timeout_ms`` is below 1, and as ``search``.
    """
    if timeout_ms is not None and timeout_ms < 1:
        raise ParameterInvalid(f"[timeout_ms] must be at least 1, not {timeout_ms}")
    limit_s = min(timeout_ms or limits.SEARCH_TIMEOUT_MS_MAX, limits.SEARCH_TIMEOUT_MS_MAX) / 1_000
    request = current_deadline()
    if request.is_limited:
        return search(_shortened(request, limit_s))
    own = working_for(request.within(limit_s + _FINISHING_S, None, "search", _FINISHING_S))

    def work() -> T:
        with own as whole:
            return search(_shortened(whole, limit_s))

    return surely(work, lambda: own.__exit__())


def finding_until(deadline: Deadline, plans: Sequence[Plan], allows_part: bool) -> Deadline:
    """When neighbours have to be found, of a search that looks for rows until ``deadline``: where they are but a part
    of what is asked, and what was found by then is an answer, the rest has a quarter of the time."""
    if not allows_part or not deadline.is_limited or all(are_at_hand(plan) for plan in plans):
        return deadline
    return deadline.within(max(0.0, _FINDING_SHARE * deadline.left_s), None, deadline.what)


def are_at_hand(plan: Plan) -> bool:
    """Whether the rows of a plan are neighbours that come by how near they are: once these are found they only have to
    be put in order."""
    is_all = isinstance(plan.root.condition, Near) and plan.filter is None and not plan.aggregations
    return is_all and plan.order[0].is_scoring


def check_found(plans: Sequence[Plan], answers: Sequence[tuple[int, bool]]) -> None:
    """Raises RequestTimeout where time was up before any neighbour was found: no rows are no part of them.

    ``answers``: of each plan how many rows its answer has, and whether it is complete.
    """
    for plan, (rows, is_complete) in zip(plans, answers, strict=True):
        is_near = isinstance(plan.root.condition, Near) and not plan.aggregations
        if rows or is_complete or not is_near or plan.offset or not plan.limit:
            return
    raise RequestTimeout("The search found no neighbour in the time that it had.")


def shorten_request(timeout_ms: int | None) -> None:
    """Has what is under way end with the search that it is for, before this has begun."""
    request = current_deadline()
    if timeout_ms is not None and timeout_ms >= 1 and request.is_limited:  # else the search says what is wrong
        _shortened(request, timeout_ms / 1_000)


def _shortened(whole: Deadline, limit_s: float) -> Deadline:
    """When a search has to be done looking, whose request, as a whole, is to end a little later."""
    whole.shorten(limit_s + _FINISHING_S, "search", _FINISHING_S)
    whole.hasten_reads(whole.began_s + _READING_SHARE * limit_s)
    return whole if whole.end_s <= whole.began_s + limit_s else whole.within(limit_s, whole.began_s, "search")
