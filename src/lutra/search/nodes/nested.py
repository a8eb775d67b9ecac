"""Rows that hold a document that matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model import limits
from lutra.model.nested import InnerHits, Nested, ScoreMode
from lutra.search.binder import Binder
from lutra.search.inner_order import BoundInnerHits, bind_inner_hits
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch, explained
from lutra.search.nodes.registry import binds
from lutra.search.scores import Docs, MatchScores, finite, finite_score
from lutra.segments.space import SpacePart, lifted

_SHRUNK: Final = 2.0**-40
"""By which scores are added up: as many as there can be within one row stay within float64."""
_SAME_IF_UNIFORM: Final = frozenset({ScoreMode.AVG, ScoreMode.MAX, ScoreMode.MIN})


@binds(Nested)
def bind(query: Nested, binder: Binder) -> Clause:
    binder.check_weight("nested query", query.weight)
    with binder.within("nested query", query.path):
        inner = binder.bind(query.query)
        hits = None if query.inner_hits is None else bind_inner_hits(query.inner_hits, binder)
    key = (id(inner.condition), inner.weight)
    return Clause(binder.same(HasDocument(query.path, key, query.mode, query.inner_hits, inner, hits)), query.weight)


@dataclass(frozen=True, slots=True)
class HasDocument(Condition):
    path: str
    key: tuple[int, float]
    """Of the clause within: an equal condition is the same one."""
    mode: ScoreMode
    asked: InnerHits | None
    inner: Clause = field(compare=False)
    hits: BoundInnerHits | None = field(compare=False)
    """``asked``, bound."""

    @property
    def inner_space(self) -> str:
        return self.path

    def node(self, part: PartSearch) -> Node:
        return HasDocumentNode(part, self)

    def scored(self) -> tuple[Clause, ...]:
        return () if self.mode is ScoreMode.NONE else (self.inner,)

    def within(self) -> tuple[Clause, ...]:
        return (self.inner,)

    def describe(self) -> dict[str, Any]:
        return {"query": "nested", "path": self.path, "mode": self.mode.name.lower()}


class HasDocumentNode(Node):
    __slots__ = ("_condition", "_inner", "_space")

    def __init__(self, search: PartSearch, condition: HasDocument) -> None:
        super().__init__(search)
        within = search.space(condition.path)
        assert isinstance(within.part, SpacePart)
        self._condition = condition
        self._space = within.part
        self._inner = within.node(condition.inner.condition)

    def estimate(self) -> int:
        return min(self.part.rows, self._inner.estimate())

    def _list(self) -> RowMask:
        mask, space = self._inner.matches(), self._space
        while True:
            mask = space.children.parents_of(mask)
            if space.enclosing is self.part:
                return mask
            assert isinstance(space.enclosing, SpacePart)
            space = space.enclosing

    @property
    def uniform(self) -> float | None:  # type: ignore[override]
        mode, inner = self._condition.mode, self._inner.uniform
        if mode is ScoreMode.NONE:
            return 0.0
        if inner is None or mode not in _SAME_IF_UNIFORM:
            return None
        return finite_score(inner * self._condition.inner.weight)

    @property
    def most(self) -> float:  # type: ignore[override]
        of = self._condition
        if of.mode is ScoreMode.NONE:
            return 0.0
        most = self._inner.most * of.inner.weight
        return most * limits.NESTED_ROWS_MAX**limits.NESTED_LEVELS_MAX if of.mode is ScoreMode.TOTAL else most

    def scores(self, docs: Docs) -> MatchScores:
        """By the living documents within ``docs`` that match; finite."""
        uniform = self.uniform
        if uniform is not None:
            return uniform
        children = self._inner.matches().ids()
        parents = lifted(self._space, children, self.part)
        places = docs.searchsorted(parents)
        kept = places < len(docs)
        kept[kept] = docs[places[kept]] == parents[kept]
        children, places = children[kept], places[kept]
        with np.errstate(over="ignore"):
            scores = finite(self._inner.scores(children) * self._condition.inner.weight)
        return _together(self._condition.mode, np.broadcast_to(scores, children.shape), places, len(docs))

    def _explain_more(self) -> Mapping[str, Any]:
        return {"of": explained(self._condition.inner, self._inner)}


def _together(
    mode: ScoreMode, scores: npt.NDArray[np.float64], places: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float64]:
    """float64[count], finite: one score of those at each of ``places``, which ascend; each place has some."""
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    result = np.zeros(count)
    if not len(starts):
        return result
    if mode is ScoreMode.MAX:
        together = np.maximum.reduceat(scores, starts)
    elif mode is ScoreMode.MIN:
        together = np.minimum.reduceat(scores, starts)
    else:
        together = np.add.reduceat(scores * _SHRUNK, starts)
        if mode is ScoreMode.AVG:
            together = together / np.diff(starts, append=len(places))
        with np.errstate(over="ignore"):
            together = together / _SHRUNK
    result[places[starts]] = finite(together)
    return result
