"""One search, from the request to the hits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from lutra.index.view import IndexView
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.queries import Hit, KnnVector, PrimaryKeySort, Query, ScoreSort, SearchRequest, SearchStats, Sorter
from lutra.search.checks import QueryChecks, check_sort, page_of
from lutra.search.deadline import Deadline
from lutra.search.matcher import Matcher, Scores
from lutra.search.order import Docs, Level, after_marks, first, levels_of
from lutra.search.token import Token
from lutra.segments.part import Part


@dataclass(slots=True)
class Answer:
    """Hits in order. ``total`` is -1 where not asked for; ``next_token`` is empty where nothing follows.

    Scores are NaN unless the sort has a ScoreSort.
    """

    hits: list[Hit]
    total: int = -1
    next_token: bytes = b""
    stats: SearchStats = field(default_factory=SearchStats)


def search(view: IndexView, request: SearchRequest) -> Answer:
    """Runs ``request`` over ``view``.

    Rows come in the order of the token's sort, else the request's, else the index's, else by primary key, which settles
    ties in any case. A KNN query at the root finds as many neighbours as the page is long where ``top_k`` is less, as
    Tablestore's does; paging ends with them: a full page of neighbours comes with a token, and the page after the last
    is empty.

    Raises ParameterInvalid, RequestTimeout.
    """
    deadline = Deadline(view.clock, request.timeout_ms)
    offset, limit = page_of(view, request)
    token = _read_token(view, request.token) if request.token else None
    sort = token.sort if token is not None else request.sort or view.schema.sort or (PrimaryKeySort(),)
    check_sort(view, sort)
    query = _widened(QueryChecks(view).checked(request.query), limit, token)
    scoring = any(isinstance(sorter, ScoreSort) for sorter in sort)
    stats = SearchStats(strategy="exact" if isinstance(query, KnnVector) else "columns", rows_scanned=view.rows)

    (part,) = view.parts
    matches = Matcher(part, deadline, stats, scoring).match(query)
    mask = matches.mask & part.live
    total = int(np.count_nonzero(mask)) if request.count_total else -1
    levels = levels_of(part, sort, matches.scores)
    deadline.check()
    if token is not None:
        mask = after_marks(levels, token.marks, mask)
    docs = first(levels, mask, offset + limit)[offset:] if limit else np.empty(0, np.int64)
    deadline.check()

    hits = _hits(view, part, docs, matches.scores if scoring else math.nan)
    answer = Answer(hits, total, stats=stats)
    is_knn = isinstance(query, KnnVector)
    if len(docs) == limit and limit and (is_knn or int(np.count_nonzero(mask)) > offset + limit):
        answer.next_token = _next_token(sort, levels, int(docs[-1]), query)
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


def _hits(view: IndexView, part: Part, docs: Docs, scores: Scores) -> list[Hit]:
    keys = [view.decode_key(part.keys.strings[doc]) for doc in docs.tolist()]
    if isinstance(scores, float):
        return [Hit(key, scores) for key in keys]
    return [Hit(key, score) for key, score in zip(keys, scores[docs].tolist(), strict=True)]


def _next_token(sort: tuple[Sorter, ...], levels: list[Level], doc: int, query: Query) -> bytes:
    top_k = query.top_k if isinstance(query, KnnVector) else None
    return Token(sort, tuple(level.mark(doc) for level in levels), top_k).encode()
