"""One search, from the request to the hits: bound, prepared for all parts, collected part by part, merged, fetched."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lutra.index.lsm.view import Document, IndexView
from lutra.model.aggregations import Aggregated
from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.errors import RequestTimeout
from lutra.model.nested import InnerHitsByPath
from lutra.model.queries import Hit, PartStats, SearchRequest, SearchStats
from lutra.search.aggregations import AggregationCollector, estimated
from lutra.search.candidates import find_candidates
from lutra.search.collecting import collected, firsts_of
from lutra.search.collectors.run import Run
from lutra.search.collectors.top import Place, Top, by_run
from lutra.search.deadline import check_found, finding_until, in_time
from lutra.search.explanation import explanation_of
from lutra.search.far import at_once
from lutra.search.inner_hits import inner_hits_of
from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.plan import Plan, plan_of
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
    allows_part = requests[0].allow_partial
    shared = [
        PartSearch(part, PartStats(part.rows), deadline, is_explaining, allows_part=allows_part) for part in view.parts
    ]
    searches = [shared, *([search.another() for search in shared] for _ in plans[1:])]
    with working_for(deadline):
        gather_statistics([root for plan in plans for root in plan.scored_roots], shared)
    with working_for(finding_until(deadline, plans, allows_part)):
        find_candidates((one, own) for plan, own in zip(plans, searches, strict=True) for one in plan.conditions)
    answers = [
        _answered(view, request, plan, own, began_s)
        for request, plan, own in zip(requests, plans, searches, strict=True)
    ]
    check_found(plans, [(len(answer.hits), answer.is_complete) for answer in answers])
    return answers


def _answered(
    view: IndexView, request: SearchRequest, plan: Plan, searches: Sequence[PartSearch], began_s: float
) -> Answer:
    """The answer to one request, whose neighbours have been found, and what scores have to know."""
    firsts, aggregator = firsts_of(plan), AggregationCollector(plan.aggregations)
    found = collected(plan, request, searches, firsts, aggregator)
    places = firsts.places(found.top, plan.offset, plan.limit)
    aggregated = None if found.level is None else aggregator.results(found.level)
    current_deadline().check()

    keys, scores, places, is_complete = keys_and_scores(found.top, places, request.allow_partial)
    hits = list(map(Hit, view.codec.decode_all(keys), scores))
    stats = SearchStats.of([search.stats for search in searches])
    documents = documents_of(found.top, places)
    is_complete = is_complete and found.is_complete
    answer = Answer(hits, documents, found.total, stats=stats, aggregated=aggregated, is_complete=is_complete)
    if plan.inner_hits:
        answer.inner_hits = inner_hits_of(plan.inner_hits, found.searches, documents)
    if request.explain:
        searched, took_us = found.searches, (time.perf_counter() - began_s) * 1e6
        if request.samples_recall:
            sample_recall(plan.conditions, searched)
        stats.explanation = explanation_of(plan, searched, took_us)
        if aggregated is not None:
            stats.explanation["aggregations"] = told_of(aggregated, aggregator.took_us)
    if goes_on(plan, len(places), found.top.left, is_complete):
        answer.next_token = next_token(plan, found.top, places[-1], keys[-1])
    return answer


def told_of(aggregated: Aggregated, took_us: float) -> dict[str, Any]:
    """What an explanation says of aggregations."""
    return {"us": round(took_us, 1), "estimated": list(estimated(aggregated))}


def goes_on(plan: Plan, hits: int, left: int, is_complete: bool) -> bool:
    """Whether a token leads on from a page of ``hits``, chosen from ``left`` rows that match: not from where rows of
    parts that were not searched may be missing."""
    if hits < plan.limit or not plan.limit or not is_complete or plan.collapse is not None:
        return False
    return plan.top_k is not None or left > plan.offset + plan.limit


def keys_and_scores(top: Top, places: list[Place], in_part: bool) -> tuple[list[bytes], list[float], list[Place], bool]:
    """Of each hit. Keys may have to be read: of runs far away they are asked for at once, of others run by run.

    Also the places of the hits, and whether these are all of ``places``: with ``in_part`` those are left out whose keys
    are not there by the deadline. Raises RequestTimeout, StorageFailure, Corruption.
    """
    keys, scores = [b""] * len(places), [math.nan] * len(places)
    late: set[int] = set()
    of_runs = [(top.runs[run], numbers) for run, numbers in by_run(places).items()]

    def keys_of(run: Run, numbers: Sequence[int]) -> list[bytes] | None:
        try:
            return run.keys([places[number].at for number in numbers])
        except RequestTimeout:
            if not in_part:
                raise
            return None

    far = [one for one in of_runs if one[0].is_far]
    near = [one for one in of_runs if not one[0].is_far]
    found = [*at_once([partial(keys_of, *one) for one in far]), *(keys_of(*one) for one in near)]
    for (run, numbers), own_keys in zip([*far, *near], found, strict=True):
        if own_keys is None:
            late.update(numbers)
            continue
        of_hits = run.scores([places[number].at for number in numbers])
        for number, key, score in zip(numbers, own_keys, of_hits, strict=True):
            keys[number], scores[number] = key, score
    if not late:
        return keys, scores, places, True
    if len(late) == len(places):
        raise current_deadline().error()
    there = [number for number in range(len(places)) if number not in late]
    return [keys[n] for n in there], [scores[n] for n in there], [places[n] for n in there], False


def documents_of(top: Top, places: Sequence[Place]) -> list[Document]:
    """Of each hit of parts that are here."""
    documents = [top.runs[place.run].document(place.at) for place in places]
    return [document for document in documents if document is not None]


def next_token(plan: Plan, top: Top, last: Place, key: bytes | None = None) -> bytes:
    """Leads on after the ``last`` hit of a page; ``key`` is its primary key, where that is at hand."""
    return Token(plan.sort, tuple(top.runs[last.run].marks(last.at, key)), plan.top_k, plan.seed).encode()
