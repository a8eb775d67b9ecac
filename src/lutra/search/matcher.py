"""Runs a query tree over one part of an index: which documents match, and with what score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lutra.model.deadline import Deadline
from lutra.model.queries import (
    Bool,
    Exists,
    KnnVector,
    MatchAll,
    Operand,
    Prefix,
    Query,
    Range,
    Term,
    Terms,
)
from lutra.scalars.meaning import interval_of, values_of
from lutra.scalars.part import ScalarPart
from lutra.scalars.strings import Mask
from lutra.search.minimum import minimum_should_match
from lutra.search.neighbours import Neighbours
from lutra.search.scores import MatchScores, finite
from lutra.segments.part import Part
from lutra.vectors.part import VectorPart

_NO_NEIGHBOURS: Final[Mapping[KnnVector, Neighbours]] = {}
_SURELY_FINITE: Final = 1e300


@dataclass(slots=True)
class Matches:
    """``mask`` (bool[documents], not to be written to) may hold dead documents; ``scores`` is 0 where nobody asked."""

    mask: Mask
    scores: MatchScores
    most: float = 0.0
    """No score is greater, nor less than its opposite; infinite where that is beyond float64."""


class Matcher:
    """Evaluates queries that `lutra.search.checks` has passed.

    ``neighbours`` are this part's share of what each KNN query found in all parts. ``scoring`` False leaves scores out.
    """

    def __init__(
        self, part: Part, deadline: Deadline, scoring: bool, neighbours: Mapping[KnnVector, Neighbours] = _NO_NEIGHBOURS
    ) -> None:
        self._part = part
        self._deadline = deadline
        self._scoring = scoring
        self._neighbours = neighbours

    def match(self, query: Query) -> Matches:
        """Raises ParameterInvalid for operands of the wrong type, RequestTimeout."""
        self._deadline.check()
        match query:
            case MatchAll():
                return Matches(self._part.live, 1.0, 1.0)
            case Term(field, value, weight):
                return Matches(self._one_of(self._scalar(field), (value,)), float(weight), weight)
            case Terms(field, values, weight):
                return Matches(self._one_of(self._scalar(field), values), float(weight), weight)
            case Range():
                return Matches(self._range(query), 1.0, 1.0)
            case Prefix(field, prefix, weight):
                return Matches(self._scalar(field).starts_with(prefix), float(weight), weight)
            case Exists(field):
                return Matches(self._column(field).exists(), 1.0, 1.0)
            case Bool():
                return self._bool(query)
            case KnnVector():
                return self._knn(query)
            case _:
                raise AssertionError(f"{query!r} has passed no check")

    def _scalar(self, name: str) -> ScalarPart:
        return self._part.scalars[name]

    def _column(self, name: str) -> ScalarPart | VectorPart:
        return self._part.scalars.get(name) or self._part.vectors[name]

    def _range(self, query: Range) -> Mask:
        column = self._scalar(query.field)
        interval = interval_of(column.reader, query)
        if interval is None:
            return self._nothing()
        return column.between(interval.lower, interval.upper, interval.include_lower, interval.include_upper)

    def _one_of(self, column: ScalarPart, operands: Sequence[Operand]) -> Mask:
        values = values_of(column.reader, operands)
        if len(values) == 1:
            return column.equals(values[0])
        return column.one_of(values) if values else self._nothing()

    def _nothing(self) -> Mask:
        return np.zeros(self._part.size, bool)

    def _bool(self, query: Bool) -> Matches:
        must = [self.match(part) for part in query.must]
        should = [self.match(part) for part in query.should]
        alone = not query.must and not query.filter
        needed = minimum_should_match(query.minimum_should_match, len(should), alone)
        mask = self._part.live
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
        return Matches(mask, *_sum_of(must, should, query))

    def _knn(self, query: KnnVector) -> Matches:
        found = self._neighbours[query]
        mask = np.zeros(self._part.size, bool)
        mask[found.docs] = True
        if not self._scoring:
            return Matches(mask, 0.0)
        scores = np.zeros(self._part.size, np.float64)
        scores[found.docs] = found.scores
        return Matches(mask, scores, float(np.abs(found.scores).max(initial=0.0)))


def _sum_of(must: list[Matches], should: list[Matches], query: Bool) -> tuple[MatchScores, float]:
    """Scores of ``query``, of those of its parts, and how large they may be; finite, whatever these and the weight."""
    if not (must or should or query.filter or query.must_not):
        return float(query.weight), query.weight  # an empty query matches all
    most = sum(part.most for part in (*must, *should))
    with np.errstate(over="ignore"):
        scores: MatchScores = sum((part.scores for part in must), 0.0)
        for part in should:
            scores = scores + np.where(part.mask, part.scores, 0.0)
        if most > _SURELY_FINITE:
            scores = finite(scores)
        scores = scores * query.weight
    most = most * query.weight if query.weight else 0.0
    return (finite(scores) if most > _SURELY_FINITE else scores), most


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
