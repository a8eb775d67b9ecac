"""Runs a query tree over a view: which documents match, and with what score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.model.queries import (
    Bool,
    Exists,
    KnnVector,
    MatchAll,
    Prefix,
    Query,
    Range,
    SearchStats,
    Term,
    Terms,
)
from lutra.scalars.column import ScalarView
from lutra.scalars.strings import Mask
from lutra.search.deadline import Deadline
from lutra.search.minimum import minimum_should_match
from lutra.search.scores import similarity
from lutra.segments.part import Part
from lutra.vectors.part import VectorPart

Scores = float | npt.NDArray[np.float64]
"""One score for all that match, or one for each document (of use where it matches)."""


@dataclass(slots=True)
class Matches:
    """``mask`` (bool[documents], not to be written to) may hold dead documents; ``scores`` is 0 where nobody asked."""

    mask: Mask
    scores: Scores


class Matcher:
    """Evaluates queries that `lutra.search.checks` has passed. ``scoring`` False leaves scores out."""

    def __init__(self, view: Part, deadline: Deadline, stats: SearchStats, scoring: bool) -> None:
        self._view = view
        self._deadline = deadline
        self._stats = stats
        self._scoring = scoring

    def match(self, query: Query) -> Matches:
        """Raises ParameterInvalid for operands of the wrong type, RequestTimeout."""
        self._deadline.check()
        match query:
            case MatchAll():
                return Matches(self._view.live, 1.0)
            case Term(field, value, weight):
                column = self._scalar(field)
                return Matches(column.equals(column.reader.operand(value)), weight)
            case Terms(field, values, weight):
                column = self._scalar(field)
                return Matches(column.one_of([column.reader.operand(value) for value in values]), weight)
            case Range():
                return Matches(self._range(query), 1.0)
            case Prefix(field, prefix, weight):
                return Matches(self._scalar(field).starts_with(prefix), weight)
            case Exists(field):
                return Matches(self._column(field).exists(), 1.0)
            case Bool():
                return self._bool(query)
            case KnnVector():
                return self._knn(query)

    def _scalar(self, name: str) -> ScalarView:
        return self._view.scalars[name]

    def _column(self, name: str) -> ScalarView | VectorPart:
        return self._view.scalars.get(name) or self._view.vectors[name]

    def _range(self, query: Range) -> Mask:
        column = self._scalar(query.field)
        lower = None if query.lower is None else column.reader.operand(query.lower)
        upper = None if query.upper is None else column.reader.operand(query.upper)
        return column.between(lower, upper, query.include_lower, query.include_upper)

    def _bool(self, query: Bool) -> Matches:
        must = [self.match(part) for part in query.must]
        should = [self.match(part) for part in query.should]
        alone = not query.must and not query.filter
        needed = minimum_should_match(query.minimum_should_match, len(should), alone)
        mask = self._view.live
        for part in must:
            mask = mask & part.mask
        for other in query.filter:
            mask = mask & self.match(other).mask
        for other in query.must_not:
            mask = mask & ~self.match(other).mask
        if needed:
            mask = mask & _at_least(needed, [part.mask for part in should], len(mask))
        if not self._scoring:
            return Matches(mask, 0.0)
        scores: Scores = sum((part.scores for part in must), 0.0)
        for part in should:
            scores = scores + np.where(part.mask, part.scores, 0.0)
        if not (must or should or query.filter or query.must_not):
            scores = 1.0  # an empty query matches all
        return Matches(mask, scores * query.weight)

    def _knn(self, query: KnnVector) -> Matches:
        view = self._view
        column = view.vectors[query.field]
        mask: Mask | None = None
        if query.filter is not None:
            plain = Matcher(view, self._deadline, self._stats, scoring=False)
            mask = plain.match(query.filter).mask & view.live
        elif view.rows < view.size:
            mask = view.live
        docs, distances, counters = column.topk(query.vector, query.top_k, mask, num_candidates=query.num_candidates)
        self._stats.distances += counters.distances
        self._deadline.check()
        near = similarity(distances, column.options.metric) * query.weight
        if query.min_score:
            kept = near >= query.min_score
            docs, near = docs[kept], near[kept]
        found = np.zeros(view.size, bool)
        found[docs] = True
        if not self._scoring:
            return Matches(found, 0.0)
        scores = np.zeros(view.size, np.float64)
        scores[docs] = near
        return Matches(found, scores)


def _at_least(needed: int, masks: list[Mask], size: int) -> Mask:
    """Documents that at least ``needed`` of ``masks`` have."""
    if needed > len(masks):
        return np.zeros(size, bool)
    if needed == 1:
        any_of = masks[0]
        for mask in masks[1:]:
            any_of = any_of | mask
        return any_of
    counts = np.zeros(size, np.uint16)
    for mask in masks:
        counts += mask
    return counts >= needed
