"""Every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lutra.kernels.row_mask import RowMask
from lutra.model.queries import MatchAll
from lutra.search.binder import Binder
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch
from lutra.search.nodes.registry import binds


@binds(MatchAll)
def bind(query: MatchAll, binder: Binder) -> Clause:
    return Clause(binder.same(Everything()), 1.0)


@dataclass(frozen=True, slots=True)
class Everything(Condition):
    def node(self, part: PartSearch) -> Node:
        return EverythingNode(part)

    def describe(self) -> dict[str, Any]:
        return {"query": "match_all"}


class EverythingNode(Node):
    __slots__ = ()

    def estimate(self) -> int:
        return self.part.rows

    def _list(self) -> RowMask:
        return self.part.live
