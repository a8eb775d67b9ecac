"""The nearest of all parts of an index together."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.model.deadline import Deadline
from lutra.model.queries import Bool, KnnVector, PartStats, Query
from lutra.scalars.strings import Mask
from lutra.search.level import Docs, KeyLevel
from lutra.search.order import first_of
from lutra.search.scores import above, similarity, weighted
from lutra.segments.part import Part
from lutra.vectors.calibration import Fallback

_GROWTH: Final = 8


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The documents of one part that are among the nearest of all parts, and their scores (float64[n])."""

    docs: Docs
    scores: npt.NDArray[np.float64]


_NONE: Final = Neighbours(np.empty(0, np.int64), np.empty(0, np.float64))


def knn_queries(query: Query) -> Iterator[KnnVector]:
    """Those that ``query`` combines, or is."""
    if isinstance(query, KnnVector):
        yield query
    elif isinstance(query, Bool):
        for inner in (*query.must, *query.should, *query.filter, *query.must_not):
            yield from knn_queries(inner)


def nearest(
    query: KnnVector,
    parts: Sequence[Part],
    masks: Sequence[Mask | None],
    stats: Sequence[PartStats],
    deadline: Deadline,
) -> list[Neighbours]:
    """The ``top_k`` of all parts together, part by part; equally near ones by primary key.

    ``masks`` (bool[documents], None for all) say which documents of each part are in question. Adds to ``stats``.

    Raises RequestTimeout, Corruption, StorageFailure.
    """
    scans = [_Scan(query, part, mask, own) for part, mask, own in zip(parts, masks, stats, strict=True)]
    so_far = _NearestSoFar(query.top_k)
    for scan in sorted(scans, key=lambda one: one.part.rows, reverse=True):
        deadline.check()
        scan.run(so_far.within)
        so_far.add(scan.distances)
    metric = parts[0].vectors[query.field].options.metric
    result = []
    for docs, distances in _chosen(scans, query.top_k, deadline):
        if not len(docs):
            result.append(_NONE)
            continue
        scores = weighted(similarity(distances, metric), query.weight)
        if query.min_score is not None:
            kept = above(scores, query.min_score)
            docs, scores = docs[kept], scores[kept]
        result.append(Neighbours(docs, scores))
    return result


class _NearestSoFar:
    """How far the last of the ``count`` nearest is, of parts looked at one after the other, largest first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._distances: npt.NDArray[np.float32] = np.empty(0, np.float32)

    @property
    def within(self) -> float:
        """Infinite until as many were found."""
        return float(self._distances[-1]) if len(self._distances) == self._count else math.inf

    def add(self, distances: npt.NDArray[np.float32]) -> None:
        """Those found in one more part."""
        self._distances = np.sort(np.concatenate([self._distances, distances]))[: self._count]


@dataclass(slots=True)
class _Scan:
    """The search in one part: its nearest, and more of them where they turn out to be needed."""

    query: KnnVector
    part: Part
    mask: Mask | None
    stats: PartStats
    asked: int = 0
    exact: bool = True
    docs: Docs = field(default_factory=lambda: np.empty(0, np.int64))
    distances: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def run(self, within: float) -> None:
        """Finds the ``top_k`` and one more, which shows whether there are more as near as the last; of those farther
        than ``within``, any or none."""
        if self.part.rows and (self.mask is None or self.mask.any()):
            self._ask(self.query.top_k + 1, within)

    def _ask(self, count: int, within: float) -> None:
        query = self.query
        column = self.part.vectors[query.field]
        self.docs, self.distances, counters = column.topk(
            query.vector, count, self.mask, num_candidates=query.num_candidates, within=within
        )
        self.asked, self.exact = count, counters.exact
        self.stats.strategy = counters.strategy
        self.stats.distances += counters.distances
        self.stats.reads += counters.reads
        self.stats.bytes += counters.bytes
        self.stats.recall = counters.recall
        self.stats.fallback = "" if counters.fallback is Fallback.NONE else counters.fallback.value

    def at(self, bound: np.float32, count: int, deadline: Deadline) -> Docs:
        """The first ``count`` by key of the documents as near as ``bound``.

        Where the search is exact, so is this: it goes on until it has them all.
        """
        while len(self.docs) == self.asked > 0 and self.distances[-1] == bound and self.exact:
            deadline.check()
            self._ask(_GROWTH * self.asked, math.inf)
        tied = np.sort(self.docs[self.distances == bound])
        return first_of([KeyLevel(self.part.keys, False)], tied, count) if len(tied) else tied


def _chosen(scans: list[_Scan], top_k: int, deadline: Deadline) -> list[tuple[Docs, npt.NDArray[np.float32]]]:
    """Documents and distances of each scan that are among the ``top_k`` of all."""
    distances = np.concatenate([scan.distances for scan in scans])
    if len(distances) <= top_k:
        return [(scan.docs, scan.distances) for scan in scans]
    bound: np.float32 = np.partition(distances, top_k - 1)[top_k - 1]
    owner = np.repeat(np.arange(len(scans)), [len(scan.distances) for scan in scans])
    nearer = np.bincount(owner[distances < bound], minlength=len(scans)).tolist()
    at_bound = np.bincount(owner[distances == bound], minlength=len(scans)).tolist()
    places = top_k - sum(nearer)
    if sum(at_bound) == places:
        ends = [a + b for a, b in zip(nearer, at_bound, strict=True)]
        return [(scan.docs[:end], scan.distances[:end]) for scan, end in zip(scans, ends, strict=True)]
    tied = _first_by_key(scans, [scan.at(bound, places, deadline) for scan in scans], places)
    return [
        (np.append(scan.docs[:end], more), np.append(scan.distances[:end], np.full(len(more), bound)))
        for scan, end, more in zip(scans, nearer, tied, strict=True)
    ]


def _first_by_key(scans: list[_Scan], tied: list[Docs], count: int) -> list[Docs]:
    """Those of ``tied``, by scan, whose keys are among the first ``count`` of all."""
    keyed = (
        (key, number, doc)
        for number, (scan, docs) in enumerate(zip(scans, tied, strict=True))
        for key, doc in zip(scan.part.keys.taken(docs), docs.tolist(), strict=True)
    )
    chosen: list[list[int]] = [[] for _ in scans]
    for _, number, doc in heapq.nsmallest(count, keyed):
        chosen[number].append(doc)
    return [np.array(docs, np.int64) for docs in chosen]
