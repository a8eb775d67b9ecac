"""One search, from the request to the hits: bound, prepared for all parts, collected part by part, merged, fetched."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lutra.index.lsm.view import Document, IndexView
from lutra.model.aggregations import Aggregated
from lutra.model.deadline import Deadline
from lutra.model.queries import Hit, PartStats, SearchRequest, SearchStats
from lutra.search.aggregations import AggregationCollector
from lutra.search.candidates import find_candidates
from lutra.search.collectors.count import CountCollector
from lutra.search.collectors.top import Place, Top, TopCollector, merged
from lutra.search.deadline import in_time
from lutra.search.explanation import explanation_of
from lutra.search.matching import matching_of
from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.plan import Plan, plan_of
from lutra.search.ranking import best_matches
from lutra.search.statistics import gather_statistics
from lutra.search.token import Token


@dataclass(slots=True)
class Answer:
    """Hits in order. ``total`` is -1 where not asked for; ``next_token`` is empty where nothing follows.

    Scores are NaN unless the sort has a ScoreSort.
    """

    hits: list[Hit]
    documents: list[Document]
    """Of the hits: what of the view they are."""
    total: int = -1
    next_token: bytes = b""
    stats: SearchStats = field(default_factory=SearchStats)
    aggregated: Aggregated | None = None
    """Where anything was asked of all rows; the rows of `lutra.model.aggregations.RowsResult` are not read yet."""


def search(view: IndexView, request: SearchRequest) -> Answer:
    """Runs ``request`` over ``view``: in each of its parts, whose answers are then merged.

    The answer does not depend on how rows are shared out to the parts, but for neighbours that are searched
    approximately. So a token goes on where it was, whatever became of the parts since.

    Rows come in the order of the token's sort, else the request's, else the index's, else by primary key, which settles
    ties in any case, of neighbours too. A KNN query at the root finds as many neighbours as the page is long where
    ``top_k`` is less, as Tablestore's does; paging ends with them: a full page of neighbours comes with a token, and
    the page after the last is empty.

    Raises ParameterInvalid, RequestTimeout; Corruption, StorageFailure where a part is read from storage.
    """
    return search_many(view, (request,))[0]


def search_many(view: IndexView, requests: Sequence[SearchRequest]) -> list[Answer]:
    """As `search`, for several requests, of which the first says how long all of them may take.

    What they have in common is done once: a filter is listed once for all, and queries that differ in their vectors
    alone are looked for in one native call, shared out to threads.
    """
    return in_time(requests[0].timeout_ms, lambda deadline: _searched(view, requests, deadline))


def _searched(view: IndexView, requests: Sequence[SearchRequest], deadline: Deadline) -> list[Answer]:
    began_s = time.perf_counter()
    known: dict[Condition, Condition] = {}
    plans = [plan_of(view, request, known) for request in requests]
    is_explaining = any(request.explain for request in requests)
    shared = [PartSearch(part, PartStats(part.rows), deadline, is_explaining) for part in view.parts]
    searches = [shared, *([search.another() for search in shared] for _ in plans[1:])]
    gather_statistics([root for plan in plans for root in plan.scored_roots], shared)
    find_candidates((one, own) for plan, own in zip(plans, searches, strict=True) for one in plan.conditions)
    return [
        _answered(view, request, plan, own, began_s)
        for request, plan, own in zip(requests, plans, searches, strict=True)
    ]


def _answered(
    view: IndexView, request: SearchRequest, plan: Plan, searches: Sequence[PartSearch], began_s: float
) -> Answer:
    """The answer to one request, whose neighbours have been found, and what scores have to know."""
    deadline = searches[0].deadline
    total, top, aggregated = _collected(plan, request, searches, deadline)
    places = merged(top.runs, plan.offset, plan.limit)
    deadline.check()

    keys, scores = _keys_and_scores(top, places)
    hits = [Hit(view.decode_key(key), score) for key, score in zip(keys, scores, strict=True)]
    stats = SearchStats.of([search.stats for search in searches])
    answer = Answer(hits, _documents(top, places), total, stats=stats, aggregated=aggregated)
    if request.explain:
        stats.explanation = explanation_of(plan, searches, (time.perf_counter() - began_s) * 1e6)
    is_full = len(places) == plan.limit > 0
    if is_full and (plan.top_k is not None or top.left > plan.offset + plan.limit):
        answer.next_token = _next_token(plan, top, places[-1], keys[-1])
    return answer


def _collected(
    plan: Plan, request: SearchRequest, searches: Sequence[PartSearch], deadline: Deadline
) -> tuple[int, Top, Aggregated | None]:
    """How many match, -1 where nobody asks, the first of them, and what is said of all where anything is asked."""
    marks = None if plan.token is None else plan.token.marks
    firsts = TopCollector(plan.order, plan.offset + plan.limit, marks, plan.is_scoring)
    if plan.is_scoring and not request.count_total and not plan.aggregations:
        best = best_matches(plan, searches)
        if best is not None:
            return -1, firsts.merge([firsts.collect(matching) for matching in best]), None
    counter, aggregator = CountCollector(), AggregationCollector(plan.aggregations)
    tops, counts, levels = [], [], []
    for search in searches:
        deadline.check()
        began_s = time.perf_counter()
        matching = matching_of(search, plan.root, plan.needs_scores)
        counts.append(counter.collect(matching))
        if plan.limit:
            tops.append(firsts.collect(matching))
        if plan.aggregations:
            levels.append(aggregator.collect(matching))
        search.took_us += (time.perf_counter() - began_s) * 1e6
    aggregated = aggregator.results(aggregator.merge(levels)) if plan.aggregations else None
    return counter.merge(counts) if request.count_total else -1, firsts.merge(tops), aggregated


def _keys_and_scores(top: Top, places: Sequence[Place]) -> tuple[list[bytes], list[float]]:
    """Of each hit. Keys are asked for run by run: they may have to be read."""
    keys, scores = [b""] * len(places), [math.nan] * len(places)
    by_run: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        by_run.setdefault(place.run, []).append(number)
    for run_number, numbers in by_run.items():
        run, ats = top.runs[run_number], [places[number].at for number in numbers]
        for number, key, score in zip(numbers, run.keys(ats), run.scores(ats), strict=True):
            keys[number], scores[number] = key, score
    return keys, scores


def _documents(top: Top, places: Sequence[Place]) -> list[Document]:
    documents = [top.runs[place.run].document(place.at) for place in places]
    return [document for document in documents if document is not None]


def _next_token(plan: Plan, top: Top, last: Place, key: bytes) -> bytes:
    return Token(plan.sort, tuple(top.runs[last.run].marks(last.at, key)), plan.top_k, plan.seed).encode()
