"""Which documents within a row made it a hit: those that a nested query matches, as far as they were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lutra.index.lsm.view import Document
from lutra.model import limits
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid
from lutra.model.nested import InnerHit, InnerHitsByPath
from lutra.search.inner_order import BoundInnerHits
from lutra.search.level import Level
from lutra.search.nodes.nested import HasDocument
from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.order import first_of
from lutra.search.scores import Docs, DocScores
from lutra.segments.part import Part
from lutra.segments.space import SpacePart

Asked = Mapping[str, HasDocument]
"""Nested queries that ask for their documents, by path."""

_NO_DOCS: Final[Docs] = np.empty(0, np.int64)


def asked_within(condition: Condition) -> Asked:
    """The nested queries in ``condition`` that ask for their documents, but for those within a nested query.

    Raises ParameterInvalid where two are of one path, there or further below.
    """
    found: dict[str, HasDocument] = {}
    waiting = [condition]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, HasDocument):
            waiting += [clause.condition for clause in one.within()]
            continue
        below = asked_within(one.inner.condition)
        if one.hits is None and below:
            raise ParameterInvalid(f"[inner_hits] of path {next(iter(below))} go with inner_hits of path {one.path}")
        if one.hits is not None and found.setdefault(one.path, one) is not one:
            raise ParameterInvalid(f"[inner_hits] of path {one.path} are asked for twice")
    return found


def inner_hits_of(asked: Asked, searches: Sequence[PartSearch], documents: Sequence[Document]) -> list[InnerHitsByPath]:
    """Of hits, in their order.

    Raises ParameterInvalid where they are more than an answer may have; RequestTimeout, StorageFailure, Corruption.
    """
    found: list[InnerHitsByPath] = [{} for _ in documents]
    count = _Count()
    for search in searches:
        numbers = [number for number, (part, _) in enumerate(documents) if part is search.part]
        docs = np.array([documents[number][1] for number in numbers], np.int64)
        for number, hits in zip(numbers, _of_docs(asked, search, docs, count), strict=True):
            found[number] = hits
    return found


class _Count:
    """Of the inner hits of one answer: a short request for a page of rows may ask for very many."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        if self._count > limits.ANSWER_INNER_HITS_MAX:
            raise too_many_inner_hits()


def too_many_inner_hits() -> ParameterInvalid:
    """What to raise where an answer has more than `limits.ANSWER_INNER_HITS_MAX`."""
    most = limits.ANSWER_INNER_HITS_MAX
    return ParameterInvalid(f"[inner_hits] the rows have more than {most} together: ask for fewer of them")


def _of_docs(asked: Asked, search: PartSearch, docs: Docs, count: _Count) -> list[InnerHitsByPath]:
    """Of documents of one part, in their order."""
    found: list[InnerHitsByPath] = [{} for _ in docs]
    if not len(docs):
        return found
    for path, condition in asked.items():
        current_deadline().check()
        for own, hits in zip(found, _hits(condition, search, docs, count), strict=True):
            own[path] = hits
    return found


def _hits(condition: HasDocument, search: PartSearch, docs: Docs, count: _Count) -> list[list[InnerHit]]:
    """Of each of ``docs``, the documents that ``condition`` asks for."""
    within, asked = search.space(condition.path), condition.hits
    assert asked is not None
    chosen, scores = _chosen(condition, asked, within, _held(within.part, search.part, docs))
    together = np.concatenate(chosen)
    count.add(len(together))
    offsets = _offsets(within.part, search.part, together)
    below = _of_docs(asked_within(condition.inner.condition), within, together, count)
    made = iter([InnerHit(tuple(own), score, inner) for own, score, inner in zip(offsets, scores, below, strict=True)])
    return [[next(made) for _ in own] for own in chosen]


def _chosen(
    condition: HasDocument, asked: BoundInnerHits, within: PartSearch, held: Sequence[Docs]
) -> tuple[list[Docs], list[float]]:
    """Of each list of documents those that match and are asked for, in order; and the scores of all of these."""
    node = within.node(condition.inner.condition)
    mask = node.matches()
    matching = [docs[mask.has(docs)] for docs in held]
    everything = np.sort(np.concatenate(matching))
    scores = DocScores(everything, np.full(len(everything), np.nan))
    if asked.is_scoring and len(everything):
        values = node.scores(everything) * condition.inner.weight
        scores = DocScores(everything, np.broadcast_to(np.asarray(values, np.float64), everything.shape))
    levels: list[Level] = [ordering.level(within, scores) for ordering in asked.order]
    end = asked.offset + asked.limit
    chosen = []
    for docs in matching:
        in_order = docs[::-1] if asked.last_first else docs
        own = first_of(levels, in_order, end) if end and len(docs) else _NO_DOCS
        chosen.append(own[asked.offset :])
    return chosen, [float(score) for docs in chosen for score in scores.take(docs)]


def _held(part: Part, above: Part, docs: Docs) -> list[Docs]:
    """The documents of ``part``, which is below ``above``, that each of ``docs`` of that holds."""
    spaces = _between(part, above)
    begins, ends = docs, docs + 1
    for space in reversed(spaces):
        parents = space.children.parents()
        begins, ends = parents.searchsorted(begins), parents.searchsorted(ends)
    return [np.arange(begin, end) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]


def _offsets(part: Part, above: Part, docs: Docs) -> list[list[int]]:
    """Of each document its place among those of its parent, and that one's, up to ``above``; the outermost first."""
    places = []
    for space in _between(part, above):
        parents = space.children.parents()
        owners = parents[docs]
        places.append(docs - parents.searchsorted(owners))
        docs = owners.astype(np.int64)
    return np.stack(places[::-1], axis=1).tolist()  # type: ignore[no-any-return]


def _between(part: Part, above: Part) -> list[SpacePart]:
    """The spaces from ``part`` up to ``above``, without it."""
    spaces = []
    while part is not above:
        assert isinstance(part, SpacePart)
        spaces.append(part)
        part = part.enclosing
    return spaces
