"""What scores of words must know before there are any: how often each is in all parts, and how long the texts are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add

from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.nodes.words import Scored, ScoredNode


def gather_statistics(roots: Iterable[Condition], parts: Sequence[PartSearch]) -> None:
    """Tells the nodes of those conditions in ``roots`` that score words.

    Counted are the rows that live: so a row scores the same wherever it and the others lie, before a compaction and
    after it. Raises RequestTimeout, Corruption, StorageFailure.
    """
    for condition in dict.fromkeys(scored for root in roots for scored in _scored(root)):
        nodes = [node for node in (part.node(condition) for part in parts) if isinstance(node, ScoredNode)]
        counted = []
        for part, node in zip(parts, nodes, strict=True):
            part.deadline.check()
            counted.append(node.living_statistics())
        together = reduce(add, counted)
        for node in nodes:
            node.set_statistics(together)


def _scored(condition: Condition) -> Iterator[Scored]:
    """What adds to the scores: not what stands under ``filter``."""
    if isinstance(condition, Scored) and condition.terms:
        yield condition
    for clause in condition.scored():
        yield from _scored(clause.condition)
