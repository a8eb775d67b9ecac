"""What a plan comes to part by part, once neighbours are found and words counted: the first rows, how many, and what
they come to together."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.errors import RequestTimeout
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


@dataclass(frozen=True, slots=True)
class Collected:
    """Of some parts: states that merge with those of others."""

    top: Top
    total: int
    """How many match; -1 where nobody asks."""
    parts: int
    """So many of the parts were searched."""
    is_complete: bool
    level: LevelState | None = None
    """What all that match come to, where anything is asked."""


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
            return Collected(together, -1, len(searches), _are_complete(searches))
    counter = CountCollector()
    tops, counts, levels, is_complete = [], [], [], True
    count_max = math.inf if request.count_max is None else request.count_max
    try:
        deadline = _collecting_until(plan, searches[0])
        with working_for(deadline):
            for search in searches:
                deadline.check()
                began_s = time.perf_counter()
                matching = matching_of(search, plan.root, plan.needs_scores, plan.filter)
                top = firsts.collect(matching) if plan.limit else None
                level = aggregator.collect(matching) if plan.aggregations else None
                search.took_us += (time.perf_counter() - began_s) * 1e6
                counts.append(counter.collect(matching))
                if top is not None:
                    tops.append(top)
                if level is not None:
                    levels.append(level)
                elif top is None and counter.merge(counts) >= count_max:
                    break
    except RequestTimeout:
        if not counts or not request.allow_partial:
            raise
        is_complete = False
    total = int(min(counter.merge(counts), count_max)) if request.count_total else -1
    level = aggregator.merge(levels) if plan.aggregations else None
    return Collected(firsts.merge(tops), total, len(counts), is_complete and _are_complete(searches), level)


def _are_complete(searches: Sequence[PartSearch]) -> bool:
    return all(search.stats.is_complete for search in searches)


def _collecting_until(plan: Plan, search: PartSearch) -> Deadline:
    """To put in order what is at hand is part of the answer, which has a little more time than looking for rows."""
    return current_deadline() if are_at_hand(plan) else search.deadline
