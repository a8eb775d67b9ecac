"""The first documents in an order, of all or of those after a mark."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption
from lutra.search.collectors.run import LocalRun, Rank, Run, SentRun
from lutra.search.level import Level
from lutra.search.mark import Mark, mark_from_json, mark_to_json
from lutra.search.matching import Matching
from lutra.search.order import after_marks, first, first_of
from lutra.search.scores import Docs, DocScores
from lutra.search.sorts.key import KeyLevel
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import are_marks_of

_FEW: Final = 64
"""Hits up to which a list is sorted in less time than an array is made."""
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode


Value = int | float | str | None
"""Of a field; None stands for all rows that have none."""


@dataclass(frozen=True, slots=True)
class Top:
    """The partial state: runs of hits, and how many documents there are to choose from in all."""

    runs: Sequence[Run]
    left: int
    values: Sequence[Sequence[Value]] = ()
    """Of the hits of each run, where of each value of a field there is one (`CollapseCollector`)."""


class Place(NamedTuple):
    """A hit ``at`` of the run that has the number ``run``."""

    run: int
    at: int


class Firsts(NamedTuple):
    """The first hits of a state, and their encoded primary keys."""

    places: Sequence[Place]
    keys: Sequence[bytes] | None


class TopCollector:
    """Chooses ``count`` documents in ``order``, that ends with a total one: those after ``marks``, if there are any."""

    def __init__(
        self, order: Sequence[Ordering], count: int, marks: Sequence[Mark] | None = None, is_scoring: bool = False
    ) -> None:
        self._order = order
        self._count = count
        self._marks = marks
        self._is_scoring = is_scoring

    def collect(self, matching: Matching) -> Top:
        part, docs, mask, left = matching.part, matching.docs, matching.mask, matching.count
        if not left:
            return Top((), 0)
        levels = [ordering.level(matching.search, matching.scores) for ordering in self._order]
        if self._marks is not None:
            mask = after_marks(levels, self._marks, matching.documents)
            left = mask.count
            docs = mask.ids() if isinstance(matching.scores, DocScores) else None
        if not left:
            return Top((), 0)
        if docs is not None:
            firsts = first_of(levels, docs, self._count)
        else:
            assert mask is not None
            firsts = chosen(matching, levels, mask, self._count)
        return Top((LocalRun(part, self._order, levels, firsts, matching.scores if self._is_scoring else None),), left)

    def merge(self, states: Sequence[Top]) -> Top:
        return Top([run for state in states for run in state.runs], sum(state.left for state in states))

    def places(self, state: Top, offset: int, limit: int) -> list[Place]:
        """The hits ``offset`` to ``offset + limit`` of all runs together."""
        return merged(state.runs, offset, limit)

    def encode(self, state: Top, firsts: Firsts | None = None) -> bytes:
        """JSON. ``firsts``: the ones that are chosen; where they are not known, they and their keys are found now."""
        places, keys = firsts or (merged(state.runs, 0, self._count), None)
        hits = sent_hits(state, places, keys)
        return _to_json({"left": state.left, "hits": hits}).encode()

    def decode(self, data: bytes) -> Top:
        try:
            content = json.loads(data)
            hits = [(tuple(map(mark_from_json, marks)), float(score)) for marks, score in content["hits"]]
            left = content["left"]
            if not are_hits_of(self._order, hits) or type(left) is not int or left < len(hits):
                raise ValueError("hits")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise Corruption(f"a top-k's partial state makes no sense: {error!r}") from None
        return Top((SentRun(hits, self._order),) if hits else (), left)


def chosen(matching: Matching, levels: Sequence[Level], mask: RowMask, count: int) -> Docs:
    """The first ``count`` documents of ``mask``, some of those of ``matching``; fewer where there are fewer."""
    if isinstance(matching.scores, DocScores):
        return first_of(levels, mask.ids(), count)
    if matching.part.in_key_order and isinstance(levels[0], KeyLevel):
        return mask.first(count, levels[0].descending)
    return first(levels, mask, count)


def are_hits_of(order: Sequence[Ordering], hits: Sequence[tuple[Sequence[Mark], float]]) -> bool:
    """Whether the marks of ``hits``, which were sent, are such as ``order`` gives."""
    return all(are_marks_of(order, marks) for marks, _ in hits)


def sent_hits(state: Top, places: Sequence[Place], keys: Sequence[bytes] | None = None) -> list[list[Any]]:
    """Marks and score of the hits at ``places``, fit for JSON; ``keys`` are theirs, where those were read before."""
    hits: list[list[Any]] = [[]] * len(places)
    for run_number, numbers in by_run(places).items():
        run, ats = state.runs[run_number], [places[number].at for number in numbers]
        known = None if keys is None else [keys[number] for number in numbers]
        for number, marks, score in zip(numbers, run.all_marks(ats, known), run.scores(ats), strict=True):
            hits[number] = [list(map(mark_to_json, marks)), score]
    return hits


def by_run(places: Sequence[Place]) -> dict[int, list[int]]:
    """Which of ``places`` are of each run."""
    numbers: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        numbers.setdefault(place.run, []).append(number)
    return numbers


def merged(runs: Sequence[Run], offset: int, limit: int) -> list[Place]:
    """The hits ``offset`` to ``offset + limit`` of all runs together; no two stand at the same place.

    Looks at some ``offset + limit`` documents in all, and as many again at most: where a document stands may have to be
    read from storage. After other levels, primary keys are read only of documents that these do not tell apart.
    """
    if len(runs) == 1:
        return [Place(0, at) for at in range(offset, min(offset + limit, len(runs[0])))]
    if not runs:
        return []
    told_apart = _by_first_level(runs, offset + limit)
    if told_apart is not None:
        return told_apart[offset:]
    chunk = (offset + limit) // len(runs) + 1
    together = heapq.merge(*(entries_of(run, number, chunk) for number, run in enumerate(runs)))
    return [place for _, place in islice(together, offset, offset + limit)]


def _by_first_level(runs: Sequence[Run], count: int) -> list[Place] | None:
    """The first ``count`` hits, where the first level alone puts them in order."""
    ranks = [run.first_ranks() for run in runs]
    known = [one[:count] for one in ranks if one is not None]
    if len(known) < len(runs):
        return None
    if sum(map(len, known)) <= _FEW:
        few = sorted((rank, number, at) for number, one in enumerate(known) for at, rank in enumerate(one.tolist()))
        firsts = few[: count + 1]
        if any(one[0] == other[0] for one, other in pairwise(firsts)):
            return None
        return [Place(number, at) for _, number, at in firsts[:count]]
    values = np.concatenate(known)
    order = values.argsort(kind="stable")[: count + 1]
    ordered = values[order]
    if (ordered[1:] == ordered[:-1]).any():
        return None
    ends = np.cumsum([len(one) for one in known])
    numbers = ends.searchsorted(order[:count], "right").tolist()
    begins = [0, *ends.tolist()]
    return [Place(number, at - begins[number]) for number, at in zip(numbers, order[:count].tolist(), strict=True)]


def entries_of(run: Run, number: int, chunk: int) -> Iterator[tuple[Rank, Place]]:
    """Where each hit stands, as comes in order, and which it is."""
    return ((rank, Place(number, at)) for at, rank in enumerate(run.ranks(chunk)))
