"""Queries combined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model.queries import Bool
from lutra.search.binder import Binder
from lutra.search.minimum import minimum_should_match
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch, Unlisted, explained, scores_where_it_matches
from lutra.search.nodes.registry import binds
from lutra.search.scores import Docs, MatchScores, finite

Clauses = tuple[Clause, ...]
_SURELY_FINITE: Final = 1e300
_CHECKED_CLAUSES_MAX: Final = 16
"""Of more, what they match is not guessed."""


@binds(Bool)
def bind(query: Bool, binder: Binder) -> Clause:
    binder.check_weight("bool query", query.weight)
    must = tuple(map(binder.bind, query.must))
    must_not = tuple(map(binder.bind_excluded, query.must_not))
    within, should = (tuple(map(binder.bind, inner)) for inner in (query.filter, query.should))
    alone = not must and not within
    needed = minimum_should_match(query.minimum_should_match, len(should), alone)
    key = tuple(tuple((id(one.condition), one.weight) for one in of) for of in (must, must_not, within, should))
    return Clause(binder.same(Combined(key, needed, query.weight, must, must_not, within, should)), 1.0)


@dataclass(frozen=True, slots=True)
class Combined(Condition):
    """``needed`` of ``should`` have to match."""

    key: tuple[tuple[tuple[int, float], ...], ...]
    """Of the clauses: an equal condition is the same one."""
    needed: int
    weight: float
    must: Clauses = field(compare=False)
    must_not: Clauses = field(compare=False)
    filter: Clauses = field(compare=False)
    should: Clauses = field(compare=False)

    @property
    def is_empty(self) -> bool:
        return not (self.must or self.must_not or self.filter or self.should)

    def node(self, part: PartSearch) -> Node:
        return CombinedNode(part, self)

    def scored(self) -> Clauses:
        return (*self.must, *self.should)

    def within(self) -> Clauses:
        return (*self.must, *self.filter, *self.should)

    def describe(self) -> dict[str, Any]:
        return {"query": "bool"}


class CombinedNode(Node):
    __slots__ = ("_condition", "_most", "_must", "_must_not", "_should", "_within")

    uniform = None

    def __init__(self, search: PartSearch, condition: Combined) -> None:
        super().__init__(search)
        self._condition = condition
        self._most: float | None = None
        self._must, self._must_not, self._within, self._should = (
            [search.node(clause.condition) for clause in clauses]
            for clauses in (condition.must, condition.must_not, condition.filter, condition.should)
        )

    def estimate(self) -> int:
        least = min([node.estimate() for node in (*self._must, *self._within)], default=self.part.rows)
        needed = self._condition.needed
        if needed:
            each = sorted(node.estimate() for node in self._should)
            # Documents of so many of them are of one, at least, of those that the commonest others leave.
            least = min(least, sum(each[: max(0, len(each) - needed + 1)]))
        return min(least, self.part.rows)

    def _list(self) -> RowMask:
        """Narrows the living documents, by the rarest condition first; where none is left, the others are not asked."""
        mask = self.part.live
        required = [*self._must, *self._within]
        if len(required) > 1:
            required.sort(key=lambda node: node.estimate())
        for node in required:
            if not mask.count:
                return mask
            mask = mask & node.matches()
        for node in self._must_not:
            if not mask.count:
                return mask
            mask = mask - node.matches()
        return mask & self._enough() if self._condition.needed and mask.count else mask

    def _unlisted(self) -> Unlisted | None:
        """As if the clauses had nothing to do with each other. What is listed quickly costs nothing."""
        required, forbidden = [*self._must, *self._within], self._must_not
        should = self._should if self._condition.needed else []
        if len(required) + len(forbidden) + len(should) > _CHECKED_CLAUSES_MAX or self._condition.needed > 1:
            return None
        of_required, of_forbidden, of_should = (list(map(_known_of, own)) for own in (required, forbidden, should))
        passing = math.prod(one.passing for one in of_required) * math.prod(1 - one.passing for one in of_forbidden)
        if of_should:
            passing *= 1 - math.prod(1 - one.passing for one in of_should)
        return Unlisted(sum(one.list_us for one in (*of_required, *of_forbidden, *of_should)), passing)

    def _check(self, docs: Docs) -> npt.NDArray[np.bool_]:
        kept = self.part.live.has(docs)
        for node in (*self._must, *self._within):
            kept[kept] = node.matches_of(docs[kept])
        for node in self._must_not:
            kept[kept] = ~node.matches_of(docs[kept])
        if self._condition.needed:
            counts = np.sum([node.matches_of(docs[kept]) for node in self._should], axis=0, dtype=np.int64)
            kept[kept] = counts >= self._condition.needed
        return kept

    def _enough(self) -> RowMask:
        """Documents that as many of ``should`` match as have to."""
        needed, size = self._condition.needed, self.part.size
        if needed > len(self._should):
            return RowMask.none(size)
        masks = [node.matches() for node in self._should]
        return masks[0] if len(masks) == 1 else RowMask.at_least(needed, masks, size)

    def scores(self, docs: Docs) -> MatchScores:
        """The sum of those of ``must`` and ``should``, times the weight; finite, whatever these are."""
        of = self._condition
        if of.is_empty:
            return of.weight  # an empty query matches all
        is_large = self._sum_most() > _SURELY_FINITE
        with np.errstate(over="ignore"):
            total: MatchScores = 0.0
            for node, clause in zip(self._must, of.must, strict=True):
                total = total + node.scores(docs) * clause.weight
            for node, clause in zip(self._should, of.should, strict=True):
                total = total + scores_where_it_matches(node, docs) * clause.weight
            total = finite(total) if is_large else total
            total = total * of.weight
        return finite(total) if is_large or self.most > _SURELY_FINITE else total

    def _sum_most(self) -> float:
        clauses = (*self._condition.must, *self._condition.should)
        nodes = (*self._must, *self._should)
        return sum(node.most * clause.weight for node, clause in zip(nodes, clauses, strict=True) if clause.weight)

    @property
    def most(self) -> float:  # type: ignore[override]
        of = self._condition
        if self._most is None:
            self._most = (1.0 if of.is_empty else self._sum_most()) * of.weight if of.weight else 0.0
        return self._most

    def _explain_more(self) -> Mapping[str, Any]:
        of = self._condition
        told: dict[str, Any] = {}
        for name, clauses, nodes in (
            ("must", of.must, self._must),
            ("filter", of.filter, self._within),
            ("must_not", of.must_not, self._must_not),
            ("should", of.should, self._should),
        ):
            if clauses:
                told[name] = list(map(explained, clauses, nodes))
        return {**told, "needed": of.needed} if of.should else told


def _known_of(node: Node) -> Unlisted:
    """Of a clause, be it listed quickly."""
    known = node.unlisted()
    return Unlisted(0.0, node.estimate() / max(1, node.part.size)) if known is None else known
