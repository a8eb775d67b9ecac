"""What a query matches, whatever it scores there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model.scoring import ConstScore
from lutra.search.binder import Binder
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch, Unlisted, explained
from lutra.search.nodes.registry import binds
from lutra.search.scores import Docs


@binds(ConstScore)
def bind(query: ConstScore, binder: Binder) -> Clause:
    inner = binder.bind(query.filter)
    return Clause(binder.same(Constant(id(inner.condition), inner)), 1.0)


@dataclass(frozen=True, slots=True)
class Constant(Condition):
    key: int
    """Of the condition within: an equal one is the same one."""
    inner: Clause = field(compare=False)

    def node(self, part: PartSearch) -> Node:
        return ConstantNode(part, self)

    def within(self) -> tuple[Clause, ...]:
        return (self.inner,)

    def describe(self) -> dict[str, Any]:
        return {"query": "const_score"}


class ConstantNode(Node):
    __slots__ = ("_clause", "_inner")

    def __init__(self, search: PartSearch, condition: Constant) -> None:
        super().__init__(search)
        self._clause = condition.inner
        self._inner = search.node(condition.inner.condition)

    def estimate(self) -> int:
        return self._inner.estimate()

    def _list(self) -> RowMask:
        return self._inner.matches()

    def _unlisted(self) -> Unlisted | None:
        return self._inner.unlisted()

    def _check(self, docs: Docs) -> npt.NDArray[np.bool_]:
        return self._inner.matches_of(docs)

    def _explain_more(self) -> Mapping[str, Any]:
        return {"filter": explained(self._clause, self._inner)}
