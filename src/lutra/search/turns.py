"""Parts of a search by turns, where it has a deadline and what was found by then is an answer.

Those with few rows come first, as they are done soonest, and none uses up what those after it have: a store that does
not answer for one part, or a filter that takes long there, leaves the others some of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import RequestTimeout
from lutra.search.nodes.node import PartSearch

T = TypeVar("T")

_SHARE: Final = 0.75
"""Of the time that is left, what a part may use while others wait."""


def by_turns(
    searches: Sequence[PartSearch],
    until: Deadline,
    work: Callable[[PartSearch], T],
    is_enough: Callable[[T], bool] = lambda _: False,
    *,
    leaves_some: bool = False,
) -> dict[int, T]:
    """What ``work`` gives for each of ``searches``, by number and in order; those that there is no time for are cut.

    This thread works for ``until`` meanwhile. The rest is left out once something ``is_enough``. ``leaves_some``: of
    the time, for what is done with what comes of it. Raises as ``work``, and RequestTimeout where a part is no answer
    (`PartSearch.cut`).
    """
    numbers = list(range(len(searches)))
    is_shared = until.is_limited and bool(searches) and searches[0].allows_part
    if is_shared:
        numbers.sort(key=lambda number: searches[number].part.rows)
    done: dict[int, T] = {}
    with working_for(until):
        for waiting, number in zip(reversed(range(len(numbers))), numbers, strict=True):
            search = searches[number]
            try:
                done[number] = _turn(search, until, work) if is_shared and (waiting or leaves_some) else work(search)
            except RequestTimeout as error:
                search.cut(error)
            else:
                if is_enough(done[number]):
                    break
    return dict(sorted(done.items()))


def _turn(search: PartSearch, until: Deadline, work: Callable[[PartSearch], T]) -> T:
    """Nodes look at the deadline of the search, what reads at that of the thread: both end sooner meanwhile."""
    end_s = time.monotonic() + _SHARE * until.left_s
    with search.deadline.ending(end_s), until.ending(end_s):
        return work(search)
