"""The best of several queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from lutra.kernels.row_mask import RowMask
from lutra.model.errors import ParameterInvalid
from lutra.model.scoring import DisMax
from lutra.search.binder import Binder
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch, explained
from lutra.search.nodes.registry import binds
from lutra.search.scores import Docs, MatchScores, finite


@binds(DisMax)
def bind(query: DisMax, binder: Binder) -> Clause:
    binder.check_weight("dis_max query", query.weight)
    if not query.queries:
        raise ParameterInvalid("[dis_max query] has no queries")
    if not 0 <= query.tie_breaker <= 1:
        raise ParameterInvalid(f"[dis_max query] tie_breaker must be in [0, 1], not {query.tie_breaker}")
    clauses = tuple(map(binder.bind, query.queries))
    key = tuple((id(one.condition), one.weight) for one in clauses)
    return Clause(binder.same(Best(key, query.tie_breaker, clauses)), query.weight)


@dataclass(frozen=True, slots=True)
class Best(Condition):
    key: tuple[tuple[int, float], ...]
    """Of the clauses: an equal condition is the same one."""
    tie_breaker: float
    clauses: tuple[Clause, ...] = field(compare=False)

    def node(self, part: PartSearch) -> Node:
        return BestNode(part, self)

    def scored(self) -> tuple[Clause, ...]:
        return self.clauses

    def within(self) -> tuple[Clause, ...]:
        return self.clauses

    def describe(self) -> dict[str, Any]:
        return {"query": "dis_max", "tie_breaker": self.tie_breaker}


class BestNode(Node):
    __slots__ = ("_condition", "_inner")

    uniform = None

    def __init__(self, search: PartSearch, condition: Best) -> None:
        super().__init__(search)
        self._condition = condition
        self._inner = [search.node(clause.condition) for clause in condition.clauses]

    def estimate(self) -> int:
        return min(self.part.rows, sum(node.estimate() for node in self._inner))

    def _list(self) -> RowMask:
        return reduce(or_, [node.matches() for node in self._inner])

    def scores(self, docs: Docs) -> MatchScores:
        """Those of queries that do not match a document do not count, be its others negative; finite."""
        best, total = np.full(len(docs), -np.inf), np.zeros(len(docs))
        with np.errstate(over="ignore"):
            for node, clause in zip(self._inner, self._condition.clauses, strict=True):
                hit = node.matches().has(docs)
                own = finite(node.scores(docs[hit]) * clause.weight)
                best[hit] = np.maximum(best[hit], own)
                total[hit] = finite(total[hit] + own)
            tie_breaker = self._condition.tie_breaker
            return finite(best + tie_breaker * finite(total - best)) if tie_breaker else best

    @property
    def most(self) -> float:  # type: ignore[override]
        each = [node.most * clause.weight for node, clause in zip(self._inner, self._condition.clauses, strict=True)]
        return max(each) + self._condition.tie_breaker * sum(each)

    def _explain_more(self) -> Mapping[str, Any]:
        return {"queries": list(map(explained, self._condition.clauses, self._inner))}
