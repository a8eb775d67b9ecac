"""What scores of words must know before there are any: how often each is in all parts, and how long the texts are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add

from lutra.search.nodes.node import PartSearch, Placed
from lutra.search.nodes.words import Scored, ScoredNode
from lutra.text.statistics import TermStatistics


def gather_statistics(roots: Iterable[Placed], parts: Sequence[PartSearch]) -> None:
    """Tells the nodes of those conditions in ``roots`` that score words.

    Counted are the documents that live, rows or those of the nested field that is asked: so one scores the same
    wherever it and the others lie, before a compaction and after it. Raises RequestTimeout, Corruption, StorageFailure.
    """
    for scored in scored_in(roots):
        tell_statistics(scored, parts, statistics_of(scored, parts))


def scored_in(roots: Iterable[Placed]) -> list[Placed]:
    """Conditions in ``roots`` whose scores must know how often words are, each once, in the order of the query."""
    return list(dict.fromkeys(scored for root in roots for scored in _scored(root)))


def statistics_of(scored: Placed, parts: Sequence[PartSearch]) -> TermStatistics:
    """Of the words of a condition, in all ``parts``. Raises RequestTimeout, Corruption, StorageFailure."""
    counted = []
    for part, node in zip(parts, _nodes(scored, parts), strict=True):
        part.deadline.check()
        counted.append(node.living_statistics())
    return reduce(add, counted)


def tell_statistics(scored: Placed, parts: Sequence[PartSearch], together: TermStatistics) -> None:
    """What scores go by in ``parts``: the statistics of these, and of all others there are."""
    for node in _nodes(scored, parts):
        node.set_statistics(together)


def _nodes(scored: Placed, parts: Sequence[PartSearch]) -> list[ScoredNode]:
    space, condition = scored
    nodes = (part.space(space).node(condition) for part in parts)
    return [node for node in nodes if isinstance(node, ScoredNode)]


def _scored(placed: Placed) -> Iterator[Placed]:
    """What adds to the scores: not what stands under ``filter``."""
    space, condition = placed
    if isinstance(condition, Scored) and condition.terms:
        yield placed
    below = space if condition.inner_space is None else condition.inner_space
    for clause in condition.scored():
        yield from _scored(Placed(below, clause.condition))
