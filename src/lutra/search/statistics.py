"""What scores of words must know before there are any: how often each is in all parts, and how long the texts are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add

from lutra.search.nodes.node import PartSearch, Placed
from lutra.search.nodes.words import Scored, ScoredNode


def gather_statistics(roots: Iterable[Placed], parts: Sequence[PartSearch]) -> None:
    """Tells the nodes of those conditions in ``roots`` that score words.

    Counted are the documents that live, rows or those of the nested field that is asked: so one scores the same
    wherever it and the others lie, before a compaction and after it. Raises RequestTimeout, Corruption, StorageFailure.
    """
    for space, condition in dict.fromkeys(scored for root in roots for scored in _scored(root)):
        searches = [part.space(space) for part in parts]
        nodes = [node for node in (search.node(condition) for search in searches) if isinstance(node, ScoredNode)]
        counted = []
        for part, node in zip(parts, nodes, strict=True):
            part.deadline.check()
            counted.append(node.living_statistics())
        together = reduce(add, counted)
        for node in nodes:
            node.set_statistics(together)


def _scored(placed: Placed) -> Iterator[Placed]:
    """What adds to the scores: not what stands under ``filter``."""
    space, condition = placed
    if isinstance(condition, Scored) and condition.terms:
        yield placed
    below = space if condition.inner_space is None else condition.inner_space
    for clause in condition.scored():
        yield from _scored(Placed(below, clause.condition))
