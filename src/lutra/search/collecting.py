"""What a plan comes to part by part, once neighbours are found and words counted: the first rows, how many, and what
they come to together."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.queries import SearchRequest
from lutra.search.aggregations import AggregationCollector, LevelState
from lutra.search.collectors.collapse import CollapseCollector
from lutra.search.collectors.count import CountCollector
from lutra.search.collectors.top import Top, TopCollector
from lutra.search.deadline import are_at_hand
from lutra.search.matching import matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import Plan
from lutra.search.ranking import best_matches
from lutra.search.turns import by_turns

_AGGREGATING_SHARE: Final = 0.6
"""Of the time that is left, rows are looked at for aggregations so long, where some of them are an answer."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Of some parts: states that merge with those of others."""

    top: Top
    total: int
    """How many match; -1 where nobody asks."""
    searches: Sequence[PartSearch]
    """In the parts that were searched."""
    is_complete: bool
    level: LevelState | None = None
    """What all that match come to, where anything is asked."""


class _OfPart(NamedTuple):
    rows: int
    top: Top | None
    level: LevelState | None


def firsts_of(plan: Plan) -> TopCollector | CollapseCollector:
    """Who chooses the first rows of a plan, as many as its page ends with."""
    count = plan.offset + plan.limit
    if plan.collapse is not None:
        return CollapseCollector(plan.order, count, plan.collapse, plan.is_scoring)
    return TopCollector(plan.order, count, None if plan.token is None else plan.token.marks, plan.is_scoring)


def collected(
    plan: Plan,
    request: SearchRequest,
    searches: Sequence[PartSearch],
    firsts: TopCollector | CollapseCollector,
    aggregator: AggregationCollector,
) -> Collected:
    """What is found part by part, as long as there is time. Raises RequestTimeout where that is no answer."""
    if plan.is_scoring and not request.count_total and not plan.aggregations:
        with working_for(searches[0].deadline):
            best = best_matches(plan, searches)
        if best is not None:
            together = firsts.merge([firsts.collect(matching) for matching in best])
            return Collected(together, -1, searches, _are_complete(searches))
    counter, counted = CountCollector(), 0
    count_max = math.inf if request.count_max is None else request.count_max
    deadline = _collecting_until(plan, searches[0])

    def collect(search: PartSearch) -> _OfPart:
        deadline.check()
        began_s = time.perf_counter()
        matching = matching_of(search, plan.root, plan.needs_scores, plan.filter)
        top = firsts.collect(matching) if plan.limit else None
        level = aggregator.collect(matching) if plan.aggregations else None
        search.took_us += (time.perf_counter() - began_s) * 1e6
        return _OfPart(counter.collect(matching), top, level)

    def is_enough(of: _OfPart) -> bool:
        nonlocal counted
        counted += of.rows
        return of.top is None and of.level is None and counted >= count_max

    with _leaving_time(plan, searches[0]):
        found = by_turns(searches, deadline, collect, is_enough)
    if not found:
        raise deadline.error()
    parts = list(found.values())
    total = int(min(counter.merge([of.rows for of in parts]), count_max)) if request.count_total else -1
    tops, levels = [of.top for of in parts if of.top is not None], [of.level for of in parts if of.level is not None]
    return Collected(
        firsts.merge(tops),
        total,
        [searches[number] for number in found],
        _are_complete(searches),
        aggregator.merge(levels) if plan.aggregations else None,
    )


def _are_complete(searches: Sequence[PartSearch]) -> bool:
    return all(search.stats.is_complete for search in searches)


@contextmanager
def _leaving_time(plan: Plan, search: PartSearch) -> Iterator[None]:
    """What groups of some rows come to is merged, put in order and told once they are looked at: that is part of the
    time."""
    if not plan.aggregations or not search.allows_part or not search.deadline.is_limited:
        yield
        return
    with search.deadline.ending(time.monotonic() + _AGGREGATING_SHARE * search.deadline.left_s):
        yield


def _collecting_until(plan: Plan, search: PartSearch) -> Deadline:
    """To put in order what is at hand is part of the answer, which has a little more time than looking for rows."""
    return current_deadline() if are_at_hand(plan) else search.deadline
