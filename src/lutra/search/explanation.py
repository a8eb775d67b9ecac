"""What a search did in each part, and why: for whoever wonders what it took.

::

    {"us": 812.4,                             all of it
     "parts": [
       {"kind": "segment",                    or "buffer"
        "name": "segments/3f2a…", "size_bytes": 51838976,   of the segment's object; of a buffer in memory, about
        "documents": 70000, "rows": 69988,    of which live
        "strategy": "walk",                   and "recall" and "fallback", where the build checked its searches,
                                              and "exact_rows", where there are rows that codes do not describe
                                              and "is_complete": false, where the time was up in the middle of it
        "distances": 1893, "reads": 21, "bytes": 86016, "conditions": 2,
        "us": 310.2,
        "query": {"query": "knn_vector", "field": "v", "top_k": 10,
                  "estimate": 4, "rows": 4,   rows None: they did not have to be listed;
                                               "kept": true where searches before had listed them
                  "us": 290.1,
                  "scans": [{"strategy": "walk", "planned": "walk", "wanted": 11, "qualifying": 7011, "within": 0.71,
                             "distances": 1893, "compared": 19, ...}],     exactly: the candidates that codes left
                  "predicted_us": {"brute_force": 56088.0, "code_scan": 410.2, "walk": 210.9},
                  "predicted": {"kind": "graph", "strategy": "walk", "distances": 2010, "reads": 21, "bytes": 86016,
                                "recall": 0.96},     of the way that was planned; recall as the build measured it
                  "sampled": {"nearest": 5, "found": 5},    where `SearchRequest.samples_recall` asked: of the true
                                                            neighbours those of this part, and of these those found
                  "filter": {"query": "range", "field": "n", ...}}}],
     "aggregations": {"us": 120.9,            where there are any: all that was done for them
                      "estimated": ["by_user/visits"]}}   which results are not exact

A search over shards (`lutra.search.coordinator`) tells how many ``rounds`` of asking it took, the ``shards`` with their
names, times and numbers of parts, and of each part its ``shard``; what is ``sampled`` is of a shard by itself.

Times are microseconds of the clock; those of a condition include the conditions within it. Predicted ones are of a
quiet machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lutra.model.errors import RequestTimeout
from lutra.search.nodes.node import Clause, PartSearch, explained
from lutra.search.plan import Plan


def explanation_of(plan: Plan, searches: Sequence[PartSearch], took_us: float) -> dict[str, Any]:
    """Of a search that is over. Raises StorageFailure, Corruption: what nobody asked is estimated now."""
    return {"us": round(took_us, 1), "parts": [_part(plan, search) for search in searches]}


def _part(plan: Plan, search: PartSearch) -> dict[str, Any]:
    part, stats = search.part, search.stats
    told: dict[str, Any] = {
        "kind": "segment" if part.in_key_order else "buffer",
        **({"name": part.name} if part.name else {}),
        "size_bytes": part.size_bytes,
        "documents": part.size,
        "rows": part.rows,
        "strategy": stats.strategy,
    }
    if stats.recall is not None:
        told["recall"] = round(stats.recall, 4)
    if stats.fallback:
        told["fallback"] = stats.fallback
    if stats.exact_rows:
        told["exact_rows"] = stats.exact_rows
    for name in ("distances", "reads", "bytes", "conditions"):
        told[name] = getattr(stats, name)
    told["us"] = round(search.total_us(), 1)
    if not stats.is_complete:
        told["is_complete"] = False
    told["query"] = _explained(plan.root, search)
    if plan.filter is not None:
        told["filter"] = _explained(Clause(plan.filter, 1.0), search)
    return told


def _explained(clause: Clause, search: PartSearch) -> dict[str, Any]:
    """What there is no time to read any more is not told."""
    try:
        return explained(clause, search.node(clause.condition))
    except RequestTimeout:
        return {**clause.condition.describe(), "estimate": 0, "rows": None, "us": 0.0}
