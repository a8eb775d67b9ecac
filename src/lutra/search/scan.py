"""All that a query matches in a view, document by document: for who wants every row, in no order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lutra.index.lsm.view import IndexView
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.queries import KnnVector, PartStats, Query
from lutra.search import nodes as _nodes  # noqa: F401  # whose modules say which queries there are
from lutra.search.binder import Binder
from lutra.search.matching import Matching, matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Docs
from lutra.search.statistics import gather_statistics

_SEED = 0
"""Of random scores: from page to page the same."""


@dataclass(frozen=True, slots=True)
class Position:
    """The document before which a page ends, of a part of the view."""

    part: int = 0
    doc: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Encoded primary keys, and after each of them a position: where the next page begins if this one ends there."""

    keys: Sequence[bytes]
    after: Sequence[Position]


def check_scannable(query: Query) -> None:
    """Raises ParameterInvalid where what the query matches depends on how many rows are asked for."""
    if _holds_neighbours(query):
        raise ParameterInvalid("[parallel_scan] a knn_vector query finds neighbours of some rows: use Search")


def _holds_neighbours(value: Any) -> bool:
    if isinstance(value, KnnVector):
        return True
    if isinstance(value, tuple):
        return any(map(_holds_neighbours, value))
    if not dataclasses.is_dataclass(value):
        return False
    return any(_holds_neighbours(getattr(value, field.name)) for field in dataclasses.fields(value))


def scan(view: IndexView, query: Query, begin: Position, limit: int, deadline: Deadline) -> Page:
    """The next ``limit`` documents that match, from ``begin`` on; fewer where time is up, none at the end.

    Raises ParameterInvalid; RequestTimeout where no document is found in time; StorageFailure, Corruption.
    """
    binder = Binder(view, 0, None, _SEED)
    root = binder.bind(query)
    searches = [PartSearch(part, PartStats(part.rows), deadline) for part in view.parts]
    keys: list[bytes] = []
    after: list[Position] = []
    try:
        with working_for(deadline):
            scored = [placed for placed in binder.conditions if placed.condition.matches_by_score]
            gather_statistics(scored, searches)
            for number in range(begin.part, len(searches)):
                deadline.check()
                first = begin.doc if number == begin.part else 0
                docs = _from(matching_of(searches[number], root, False), first, limit - len(keys))
                keys += view.parts[number].keys.taken(docs)
                after += [Position(number, doc + 1) for doc in docs.tolist()]
                if len(keys) == limit:
                    break
    except RequestTimeout:
        if not after:
            raise
    return Page(keys[: len(after)], after)


def _from(matching: Matching, first: int, limit: int) -> Docs:
    docs = matching.docs
    if docs is None:
        docs = matching.documents.ids()
    begin = int(docs.searchsorted(first))
    return docs[begin : begin + limit]
