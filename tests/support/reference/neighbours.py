"""The documents nearest to a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.reference.documents import Document
from support.reference.space import Scores, Space, answers

from lutra.kernels.distance import topk, wide
from lutra.model.indexes import Metric
from lutra.model.queries import KnnVector
from lutra.model.rows import PrimaryKey


@answers(KnnVector)
def knn(query: KnnVector, space: Space) -> Scores:
    return nearest(query, space, query.top_k)


def nearest(query: KnnVector, space: Space, top_k: int) -> Scores:
    """Equally near ones go by key."""
    options = space.field(query.field).vector
    assert options is not None
    among = dict.fromkeys(space.documents, 0.0) if query.filter is None else space.match(query.filter)
    near: list[tuple[float, Document]] = [
        (distance(options.metric, query.vector, one.elements[query.field][0]), one)
        for one in space.documents
        if one in among and query.field in one.elements
    ]
    near.sort(key=lambda pair: (pair[0], pair[1].order))
    rows: dict[PrimaryKey, tuple[float, Document]] = {}
    for away, one in near:  # within rows their nearest documents count
        rows.setdefault(one.key, (away, one))
    scored = {one: score_of(options.metric, away) * query.weight for away, one in list(rows.values())[:top_k]}
    return {one: score for one, score in scored.items() if query.min_score is None or above(score, query.min_score)}


def distance(metric: Metric, query: Any, vector: Any) -> float:
    """By the kernel, pair by pair, which has tests of its own: so that equally near is what it takes for that."""
    return float(wide(topk(np.asarray(query, np.float32)[None, :], vector[None, :], 1, metric)[1])[0, 0])


def score_of(metric: Metric, near: float) -> float:
    if metric is Metric.EUCLIDEAN:
        return 1 / (1 + near)
    return 1 - near / 2 if metric is Metric.COSINE else (1 - near) / 2


def above(score: float, bound: float) -> bool:
    """As float32."""
    with np.errstate(over="ignore"):
        return bool(np.float32(score) > np.float32(bound)) if bound else score > 0
