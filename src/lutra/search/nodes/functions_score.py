"""What a query matches, scored anew by functions of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lutra.kernels.row_mask import RowMask
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.scoring import CombineMode, FunctionMode, FunctionsScore, ScoreFunction
from lutra.search.binder import Binder
from lutra.search.functions import Function, Said, bind_function
from lutra.search.functions.combining import Weighed, combined, times, together
from lutra.search.functions.function import ANYTHING
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch, explained
from lutra.search.nodes.registry import binds
from lutra.search.scores import Docs, DocScores, MatchScores, finite


@binds(FunctionsScore)
def bind(query: FunctionsScore, binder: Binder) -> Clause:
    functions, most = query.functions, limits.SCORE_FUNCTIONS_MAX
    if not 1 <= len(functions) <= most:
        raise ParameterInvalid(f"[functions_score query] takes 1 to {most} functions, not {len(functions)}")
    for name, bound in (("min_score", query.min_score), ("max_score", query.max_score)):
        if bound is not None and not math.isfinite(bound):
            raise ParameterInvalid(f"[functions_score query] {name} must be a finite number: {bound}")
    inner = binder.bind(query.query)
    rescored = rescored_by(
        binder,
        inner,
        tuple(_bound(function, binder) for function in functions),
        query.mode,
        query.combine,
        query.min_score,
        query.max_score,
    )
    return Clause(rescored, 1.0)


def _bound(function: ScoreFunction, binder: Binder) -> Scoring:
    binder.check_weight("functions_score query", function.weight)
    within = None if function.filter is None else binder.bind(function.filter)
    made = None if function.function is None else bind_function(function.function, binder)
    return Scoring(made, function.weight, 0 if within is None else id(within.condition), within)


@dataclass(frozen=True, slots=True)
class Scoring:
    """A function where it stands: None stands for 1."""

    function: Function | None
    weight: float
    filter_id: int = 0
    filter: Clause | None = field(default=None, compare=False)


def rescored_by(
    binder: Binder,
    inner: Clause,
    functions: tuple[Scoring, ...],
    mode: FunctionMode,
    combine: CombineMode,
    min_score: float | None = None,
    max_score: float | None = None,
) -> Condition:
    """What ``inner`` matches, scored by it and ``functions``."""
    kinds = Rescored if min_score is None else ScoredEnough
    key = (id(inner.condition), inner.weight)
    return binder.same(kinds(key, functions, mode, combine, min_score, max_score, inner))


@dataclass(frozen=True, slots=True)
class Rescored(Condition):
    key: tuple[int, float]
    """Of the clause within: an equal condition is the same one."""
    functions: tuple[Scoring, ...]
    mode: FunctionMode
    combine: CombineMode
    min_score: float | None
    max_score: float | None
    inner: Clause = field(compare=False)

    def node(self, part: PartSearch) -> Node:
        return RescoredNode(part, self)

    def scored(self) -> tuple[Clause, ...]:
        return () if self.combine is CombineMode.REPLACE else (self.inner,)

    def within(self) -> tuple[Clause, ...]:
        return (self.inner,)

    def describe(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "query": "functions_score",
            "mode": self.mode.name.lower(),
            "combine": self.combine.name.lower(),
        }
        bounds = {"min_score": self.min_score, "max_score": self.max_score}
        return told | {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class ScoredEnough(Rescored):
    """As Rescored; rows that score less than ``min_score`` do not match."""

    matches_by_score = True

    def node(self, part: PartSearch) -> Node:
        return ScoredEnoughNode(part, self)


class RescoredNode(Node):
    __slots__ = ("_condition", "_filters", "_inner", "_say")

    most = ANYTHING
    uniform = None

    def __init__(self, search: PartSearch, condition: Rescored) -> None:
        super().__init__(search)
        self._condition = condition
        self._inner = search.node(condition.inner.condition)
        self._filters = [None if of.filter is None else search.node(of.filter.condition) for of in condition.functions]
        self._say: list[Callable[[Docs], Said] | None] | None = None

    def estimate(self) -> int:
        return self._inner.estimate()

    def _list(self) -> RowMask:
        return self._inner.matches()

    def scores(self, docs: Docs) -> MatchScores:
        """Finite, whatever functions say."""
        of = self._condition
        made = together(of.mode, [self._weighed(number, docs) for number in range(len(of.functions))], len(docs))
        if of.max_score is not None:
            made = np.minimum(made, of.max_score)
        own = 0.0 if of.combine is CombineMode.REPLACE else finite(self._inner.scores(docs) * of.inner.weight)
        return combined(of.combine, own, made)

    def _weighed(self, number: int, docs: Docs) -> Weighed:
        """What a function says, of documents that its filter matches."""
        of, within = self._condition.functions[number], self._filters[number]
        hit = None if within is None else within.matches().has(docs)
        if self._say is None:
            self._say = [
                None if one.function is None else one.function.in_part(self.part) for one in self._condition.functions
            ]
        say = self._say[number]
        if say is None:
            return Weighed(np.full(len(docs), of.weight), hit, of.weight)
        said = say(docs)
        where = said.where if hit is None else hit if said.where is None else hit & said.where
        return Weighed(times(said.values, of.weight), where, of.weight)

    def _explain_more(self) -> Mapping[str, Any]:
        told = []
        for of, within in zip(self._condition.functions, self._filters, strict=True):
            one: dict[str, Any] = {"weight": of.weight}
            if of.function is not None:
                one |= of.function.describe()
            if of.filter is not None and within is not None:
                one["filter"] = explained(of.filter, within)
            told.append(one)
        return {"functions": told, "of": explained(self._condition.inner, self._inner)}


class ScoredEnoughNode(RescoredNode):
    """Scores what the query matches in order to say what it matches itself; keeps what it found."""

    __slots__ = ("_found",)

    def __init__(self, search: PartSearch, condition: Rescored) -> None:
        super().__init__(search, condition)
        self._found: DocScores | None = None

    def _list(self) -> RowMask:
        within = self._inner.matches() & self.part.live
        docs = within.ids()
        scores = np.broadcast_to(super().scores(docs), docs.shape)
        with np.errstate(over="ignore", under="ignore"):
            kept = scores.astype(np.float32) >= np.float32(self._condition.min_score)
        self._found = DocScores(docs[kept], scores[kept])
        return RowMask.of_rows(self._found.docs, self.part.size)

    def scores(self, docs: Docs) -> MatchScores:
        self.matches()
        assert self._found is not None
        return self._found.take(docs)
