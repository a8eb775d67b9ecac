"""One search, from the request to the hits: bound, prepared for all parts, collected part by part, merged, fetched."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lutra.index.lsm.view import Document, IndexView
from lutra.model.aggregations import Aggregated
from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.errors import RequestTimeout
from lutra.model.nested import InnerHitsByPath
from lutra.model.queries import Hit, PartStats, SearchRequest, SearchStats
from lutra.search.aggregations import AggregationCollector, estimated
from lutra.search.candidates import find_candidates
from lutra.search.collectors.collapse import CollapseCollector
from lutra.search.collectors.count import CountCollector
from lutra.search.collectors.top import Place, Top, TopCollector
from lutra.search.deadline import in_time
from lutra.search.explanation import explanation_of
from lutra.search.inner_hits import inner_hits_of
from lutra.search.matching import matching_of
from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.plan import Plan, plan_of
from lutra.search.ranking import best_matches
from lutra.search.recall import sample_recall
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
    is_complete: bool = True
    """Whether all parts were searched in time; where not, it is of the others."""
    inner_hits: list[InnerHitsByPath] = field(default_factory=list)
    """Of the hits, where they were asked for."""


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
    found = _collected(plan, request, searches)
    current_deadline().check()

    keys, scores = _keys_and_scores(found.top, found.places)
    hits = list(map(Hit, view.codec.decode_all(keys), scores))
    stats = SearchStats.of([search.stats for search in searches])
    documents = _documents(found.top, found.places)
    answer = Answer(
        hits, documents, found.total, stats=stats, aggregated=found.aggregated, is_complete=found.is_complete
    )
    if plan.inner_hits:
        answer.inner_hits = inner_hits_of(plan.inner_hits, searches[: found.parts], documents)
    if request.explain:
        searched, took_us = searches[: found.parts], (time.perf_counter() - began_s) * 1e6
        if request.samples_recall:
            sample_recall(plan.conditions, searched)
        stats.explanation = explanation_of(plan, searched, took_us)
        if found.aggregated is not None:
            told = {"us": round(found.aggregating_us, 1), "estimated": list(estimated(found.aggregated))}
            stats.explanation["aggregations"] = told
    if _goes_on(plan, found):
        answer.next_token = _next_token(plan, found.top, found.places[-1], keys[-1])
    return answer


def _goes_on(plan: Plan, found: _Collected) -> bool:
    """Whether a token leads on: not from where rows of parts that were not searched may be missing."""
    if len(found.places) < plan.limit or not plan.limit or not found.is_complete or plan.collapse is not None:
        return False
    return plan.top_k is not None or found.top.left > plan.offset + plan.limit


@dataclass(frozen=True, slots=True)
class _Collected:
    top: Top
    places: Sequence[Place]
    total: int
    """How many match; -1 where nobody asks."""
    parts: int
    """So many of the parts were searched."""
    is_complete: bool
    aggregated: Aggregated | None = None
    """What is said of all that match, where anything is asked."""
    aggregating_us: float = 0.0


def _collected(plan: Plan, request: SearchRequest, searches: Sequence[PartSearch]) -> _Collected:
    """What is found part by part, as long as there is time. Raises RequestTimeout where that is no answer."""
    firsts = _firsts(plan)
    if plan.is_scoring and not request.count_total and not plan.aggregations:
        with working_for(searches[0].deadline):
            best = best_matches(plan, searches)
        if best is not None:
            together = firsts.merge([firsts.collect(matching) for matching in best])
            return _Collected(together, firsts.places(together, plan.offset, plan.limit), -1, len(searches), True)
    counter, aggregator = CountCollector(), AggregationCollector(plan.aggregations)
    tops, counts, levels, is_complete = [], [], [], True
    count_max = math.inf if request.count_max is None else request.count_max
    try:
        with working_for(searches[0].deadline):
            for search in searches:
                search.deadline.check()
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
    together = firsts.merge(tops)
    places = firsts.places(together, plan.offset, plan.limit)
    aggregated = aggregator.results(aggregator.merge(levels)) if plan.aggregations else None
    total = int(min(counter.merge(counts), count_max)) if request.count_total else -1
    return _Collected(together, places, total, len(counts), is_complete, aggregated, aggregator.took_us)


def _firsts(plan: Plan) -> TopCollector | CollapseCollector:
    count = plan.offset + plan.limit
    if plan.collapse is not None:
        return CollapseCollector(plan.order, count, plan.collapse, plan.is_scoring)
    return TopCollector(plan.order, count, None if plan.token is None else plan.token.marks, plan.is_scoring)


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
