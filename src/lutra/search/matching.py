"""What a query matches in one part of an index, as collectors take it in."""

from __future__ import annotations

from dataclasses import dataclass

from lutra.kernels.row_mask import RowMask
from lutra.search.nodes.knn import NearNode
from lutra.search.nodes.node import Clause, Condition, PartSearch
from lutra.search.scores import Docs, DocScores, Scores, finite_score, weighted
from lutra.segments.part import Part


@dataclass(frozen=True, slots=True)
class Matching:
    """Living documents of a part, ``count`` of them: as a list, where they are known to be few, or as a mask."""

    search: PartSearch
    """Which part it is, and what of it the search has evaluated."""
    count: int
    scores: Scores
    """0 where nobody asks."""
    docs: Docs | None = None
    """Ascending."""
    mask: RowMask | None = None

    @property
    def part(self) -> Part:
        return self.search.part

    @property
    def documents(self) -> RowMask:
        """As a mask, in any case."""
        if self.mask is not None:
            return self.mask
        assert self.docs is not None
        return RowMask.of_rows(self.docs, self.part.size)


def matching_of(search: PartSearch, root: Clause, is_scoring: bool, within: Condition | None = None) -> Matching:
    """What ``root`` finds; of that, what ``within`` matches too. Raises RequestTimeout, StorageFailure, Corruption."""
    part, node = search.part, search.node(root.condition)
    passed = None if within is None else search.node(within).matches()
    if isinstance(node, NearNode):
        found = node.found
        if passed is not None:
            kept = passed.has(found.docs)
            found = DocScores(found.docs[kept], found.values[kept])
        return Matching(search, len(found.docs), found if is_scoring else 0.0, docs=found.docs)
    mask = node.matches()
    if mask is not part.live:
        mask = mask & part.live
    if passed is not None:
        mask = mask & passed
    if not is_scoring or not mask.count:
        return Matching(search, mask.count, 0.0, mask=mask)
    if node.uniform is not None:
        return Matching(search, mask.count, finite_score(node.uniform * root.weight), mask=mask)
    docs = mask.ids()
    scores = node.scores(docs)
    if isinstance(scores, float):
        return Matching(search, mask.count, finite_score(scores * root.weight), mask=mask)
    return Matching(search, mask.count, DocScores(docs, weighted(scores, root.weight)), docs=docs, mask=mask)
