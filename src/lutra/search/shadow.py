"""A search for neighbours made twice over one view: as it is, and so that hardly any of the true ones is missed."""

from __future__ import annotations

from dataclasses import replace

from lutra.index.lsm.view import IndexView
from lutra.model.deadline import Deadline, working_for
from lutra.model.queries import Bool, KnnVector, PartStats, Query, SearchRequest
from lutra.search.candidates import find_candidates
from lutra.search.nodes.knn import Near, NearNode, Sampled
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of
from lutra.search.recall import sample_recall
from lutra.search.statistics import gather_statistics


def shadow(view: IndexView, request: SearchRequest, deadline: Deadline) -> Sampled | None:
    """Of the true neighbours that ``request`` asks for, how many it finds; None where that is not known in time.

    Raises RequestTimeout, StorageFailure, Corruption, and what ``view`` says of a request that it cannot take.
    """
    plan = plan_of(view, replace(request, token=b"", samples_recall=True), {})
    parts = [PartSearch(part, PartStats(part.rows), deadline) for part in view.parts]
    if not parts:
        return None
    with working_for(deadline):
        gather_statistics(plan.scored_roots, parts)
        find_candidates((condition, parts) for condition in plan.conditions)
    sample_recall(plan.conditions, parts)
    nearest = found = 0
    for space, condition in plan.conditions:
        for part in parts:
            node = part.space(space).node(condition) if isinstance(condition, Near) else None
            if isinstance(node, NearNode) and node.sampled is not None:
                nearest += node.sampled.nearest
                found += node.sampled.found
    return Sampled(nearest, found) if nearest else None


def neighbours_of(query: Query) -> list[KnnVector]:
    """The searches for neighbours that a query is, or that its clauses are: of others nothing is measured."""
    if isinstance(query, KnnVector):
        return [query]
    if isinstance(query, Bool):
        clauses = (*query.must, *query.filter, *query.should)
        return [near for clause in clauses for near in neighbours_of(clause)]
    return []
