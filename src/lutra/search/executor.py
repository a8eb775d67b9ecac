"""One search, from the request to the hits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lutra.index.lsm.view import Document, IndexView
from lutra.model.deadline import Deadline
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.queries import (
    Hit,
    KnnVector,
    PartStats,
    PrimaryKeySort,
    Query,
    ScoreSort,
    SearchRequest,
    SearchStats,
    Sorter,
)
from lutra.scalars.strings import Mask
from lutra.search.checks import QueryChecks, check_highlight, check_sort, page_of
from lutra.search.deadline import in_time
from lutra.search.found import Found
from lutra.search.level import levels_of
from lutra.search.mark import check_marks, settled
from lutra.search.matcher import Matcher
from lutra.search.merge import Place, Run, merged
from lutra.search.neighbours import Neighbours, knn_queries, nearest
from lutra.search.scores import scores_of
from lutra.search.token import Token
from lutra.segments.part import Part


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
    return in_time(request.timeout_ms, lambda deadline: _searched(view, request, deadline))


def _searched(view: IndexView, request: SearchRequest, deadline: Deadline) -> Answer:
    offset, limit = page_of(view, request)
    token = _read_token(view, request.token) if request.token else None
    sort = token.sort if token is not None else request.sort or view.schema.sort or (PrimaryKeySort(),)
    check_sort(view, sort)
    if request.highlight is not None:
        check_highlight(view, request.highlight)
    order = settled(sort)
    if token is not None:
        check_marks(view.schema, order, token.marks)
    query = _widened(QueryChecks(view).checked(request.query), limit, token)
    scoring = any(isinstance(sorter, ScoreSort) for sorter in sort)

    stats = [PartStats(part.rows) for part in view.parts]
    found = _found(view.parts, query, stats, deadline, scoring)
    total = sum(matching.count for matching in found) if request.count_total else -1
    runs, left = _runs(found, order, token, offset + limit, deadline) if limit else ([], 0)
    places = merged(runs, offset, limit)
    deadline.check()

    documents = [(runs[place.run].part, place.doc) for place in places]
    answer = Answer(_hits(view, runs, places, scoring), documents, total, stats=SearchStats.of(stats))
    if places and len(places) == limit and (isinstance(query, KnnVector) or left > offset + limit):
        answer.next_token = _next_token(sort, runs, places[-1], query)
    return answer


def _read_token(view: IndexView, data: bytes) -> Token:
    """Raises ParameterInvalid for a token that is not of this index."""
    token = Token.decode(data)
    key = token.marks[-1] if token.marks else None
    if not isinstance(key, bytes) or not token.sort:
        raise ParameterInvalid("[token] is invalid")
    try:
        view.decode_key(key)
    except Corruption:
        raise ParameterInvalid("[token] is invalid") from None
    return token


def _widened(query: Query, limit: int, token: Token | None) -> Query:
    """A KNN query at the root, with the number of neighbours it is to find."""
    if not isinstance(query, KnnVector):
        return query
    if token is not None and token.top_k is not None:
        return replace(query, top_k=token.top_k)
    return replace(query, top_k=max(query.top_k, limit))


def _found(
    parts: Sequence[Part], query: Query, stats: list[PartStats], deadline: Deadline, scoring: bool
) -> list[Found]:
    """What matches, for each part in which something does."""
    neighbours: list[dict[KnnVector, Neighbours]] = [{} for _ in parts]
    for knn in knn_queries(query):
        masks = [_in_question(part, knn, deadline) for part in parts]
        for own, near in zip(neighbours, nearest(knn, parts, masks, stats, deadline), strict=True):
            own[knn] = near
    found = []
    for part, own in zip(parts, neighbours, strict=True):
        if isinstance(query, KnnVector):
            if len(own[query].docs):
                found.append(Found.near(part, own[query], scoring))
        else:
            matches = Matcher(part, deadline, scoring, own).match(query)
            found.append(Found.masked(part, matches.mask & part.live, matches.scores))
    return [matching for matching in found if matching.count]


def _in_question(part: Part, query: KnnVector, deadline: Deadline) -> Mask | None:
    """Which documents may be neighbours; None where all may."""
    if query.filter is not None:
        return Matcher(part, deadline, scoring=False).match(query.filter).mask & part.live
    return part.live if part.rows < part.size else None


def _runs(
    found: Sequence[Found], order: Sequence[Sorter], token: Token | None, count: int, deadline: Deadline
) -> tuple[list[Run], int]:
    """The first ``count`` documents of each part after the token, and how many come after it in all."""
    runs, left = [], 0
    for matching in found:
        deadline.check()
        levels = levels_of(matching.part, order, matching.scores)
        after = matching if token is None else matching.after(levels, token.marks)
        left += after.count
        if after.count:
            runs.append(Run(after.part, levels, after.first(levels, count), after.scores))
    return runs, left


def _hits(view: IndexView, runs: Sequence[Run], places: Sequence[Place], scoring: bool) -> list[Hit]:
    """Keys are asked for run by run: they may have to be read."""
    keys: list[bytes] = [b""] * len(places)
    scores = [math.nan] * len(places)
    for number, run in enumerate(runs):
        own = [at for at, place in enumerate(places) if place.run == number]
        docs = np.array([places[at].doc for at in own], np.int64)
        for at, key in zip(own, run.part.keys.taken(docs), strict=True):
            keys[at] = key
        if scoring:
            for at, score in zip(own, scores_of(run.scores, docs), strict=True):
                scores[at] = score
    return [Hit(view.decode_key(key), score) for key, score in zip(keys, scores, strict=True)]


def _next_token(sort: tuple[Sorter, ...], runs: Sequence[Run], last: Place, query: Query) -> bytes:
    doc = np.array([last.doc], np.int64)
    marks = [mark for level in runs[last.run].levels for mark in level.marks(doc)]
    return Token(sort, tuple(marks), query.top_k if isinstance(query, KnnVector) else None).encode()
