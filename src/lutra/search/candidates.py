"""The nearest of all parts of an index together: of each KNN query those in each part, before anything is collected.

What one part found says how near a row of the next has to be, so the largest comes first, and each is read only for
what may still be nearer.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import nearest as nearest_in
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Found, Share, Strategy, search_segments
from lutra.search.level import KeyLevel
from lutra.search.nodes.knn import Near, NearNode, Scan
from lutra.search.nodes.node import Condition, PartSearch
from lutra.search.order import first_of
from lutra.search.scores import Docs, DocScores, above, similarity, weighted
from lutra.vectors.calibration import Checked, Fallback
from lutra.vectors.part import KnnCounters

Distances = npt.NDArray[np.float32]

_GROWTH: Final = 8
_NO_DOCS: Final[Docs] = np.empty(0, np.int64)
_NO_DISTANCES: Final[Distances] = np.empty(0, np.float32)


def find_candidates(conditions: Iterable[Condition], parts: Sequence[PartSearch]) -> None:
    """Gives the nodes of the KNN queries among ``conditions`` what they found.

    Raises RequestTimeout, Corruption, StorageFailure.
    """
    for condition in conditions:
        if isinstance(condition, Near):
            _find(condition, parts)


def _find(condition: Near, parts: Sequence[PartSearch]) -> None:
    """The ``top_k`` of all parts together; equally near ones by primary key."""
    scans = [_Scan(condition, part) for part in parts]
    _run(scans, condition.top_k)
    chosen = _chosen(scans, condition.top_k)
    distances = np.concatenate([distances for _, distances in chosen])
    scores = weighted(similarity(distances, condition.metric), condition.weight)
    begin = 0
    for scan, (docs, own) in zip(scans, chosen, strict=True):
        end = begin + len(own)
        if end > begin:
            scan.give(docs, scores[begin:end])
        begin = end


def _run(scans: Sequence[_Scan], top_k: int) -> None:
    """Has each part looked through: buffers, which are compared anyway, then all segments in one call, the largest
    first."""
    known, together = [_NO_DISTANCES], []
    for scan in scans:
        share = scan.share()
        if share is not None:
            together.append((scan, *share))
        else:
            scan.run()
            known.append(scan.distances)
    if not together:
        return
    together.sort(key=lambda one: one[0].search.part.rows, reverse=True)
    nearer = np.concatenate(known) if len(known) > 1 else known[0]
    vector = together[0][0].condition.vector
    found = search_segments(vector, [share for _, share, _ in together], top_k, nearer)
    for (scan, _, checked), own in zip(together, found, strict=True):
        scan.take(own, checked)


class _Scan:
    """The search in one part: its nearest, and more of them where they turn out to be needed."""

    __slots__ = ("asked", "condition", "distances", "docs", "is_exact", "mask", "node", "search")

    def __init__(self, condition: Near, search: PartSearch) -> None:
        self.condition = condition
        self.search = search
        node = search.node(condition)
        assert isinstance(node, NearNode)
        self.node = node
        self.mask = _in_question(condition, search)
        self.asked = 0
        self.is_exact = True
        self.docs = _NO_DOCS
        self.distances = _NO_DISTANCES

    def share(self) -> tuple[Share, Checked] | None:
        """What the part is asked together with others: for the ``top_k`` and one more, which shows whether there are
        more as near as the last. None where it is asked apart, or not at all."""
        self.search.deadline.check()
        if not self._is_asked:
            return None
        of = self.condition
        return nearest_in(self.search.part, of.field).share(
            of.top_k + 1, self.mask, num_candidates=of.num_candidates, is_lasting=of.filter is None
        )

    def take(self, found: Found, checked: Checked) -> None:
        """What came of it."""
        distances, _, hops, reads, size, _, used = found.figures
        counters = KnnCounters(Strategy(used).name.lower(), distances, hops, reads, size, *checked)
        self._note(self.condition.top_k + 1, found.docs, found.distances, counters, found.within, found.us)

    def run(self) -> None:
        """Asks the part apart."""
        if self._is_asked:
            self._ask(self.condition.top_k + 1)

    @property
    def _is_asked(self) -> bool:
        return self.search.part.rows > 0 and (self.mask is None or self.mask.count > 0)

    def _ask(self, count: int) -> None:
        of = self.condition
        began_s = time.perf_counter()
        docs, distances, counters = nearest_in(self.search.part, of.field).topk(
            of.vector, count, self.mask, num_candidates=of.num_candidates, is_lasting=of.filter is None
        )
        self._note(count, docs, distances, counters, math.inf, (time.perf_counter() - began_s) * 1e6)

    def _note(
        self, count: int, docs: Docs, distances: Distances, counters: KnnCounters, within: float, us: float
    ) -> None:
        self.docs, self.distances = docs, distances
        self.asked, self.is_exact = count, counters.exact
        stats = self.search.stats
        stats.strategy = counters.strategy
        stats.recall = counters.recall
        stats.fallback = "" if counters.fallback is Fallback.NONE else counters.fallback.value
        stats.distances += counters.distances
        stats.reads += counters.reads
        stats.bytes += counters.bytes
        if self.search.explains:
            qualifying = self.search.part.rows if self.mask is None else self.mask.count
            self.node.took(Scan(count, qualifying, within, counters, us))
            self.search.took_us += us

    def give(self, docs: Docs, scores: npt.NDArray[np.float64]) -> None:
        """To the node: its neighbours, as far as they score enough."""
        if self.condition.min_score is not None:
            kept = above(scores, self.condition.min_score)
            docs, scores = docs[kept], scores[kept]
        self.node.set_found(DocScores.of(docs, scores))

    def at(self, bound: Any, count: int) -> Docs:
        """The first ``count`` by key of the documents as near as ``bound``.

        Where the search is exact, so is this: it goes on until it has them all.
        """
        while len(self.docs) == self.asked > 0 and self.distances[-1] == bound and self.is_exact:
            self.search.deadline.check()
            self._ask(_GROWTH * self.asked)
        tied = np.sort(self.docs[self.distances == bound])
        return first_of([KeyLevel(self.search.part.keys, False)], tied, count) if len(tied) else tied


def _in_question(condition: Near, search: PartSearch) -> RowMask | None:
    """Which documents may be neighbours; None where all may."""
    part = search.part
    if condition.filter is not None:
        return search.node(condition.filter).matches() & part.live
    return part.live if part.rows < part.size else None


def _chosen(scans: Sequence[_Scan], top_k: int) -> list[tuple[Docs, Distances]]:
    """Documents and distances of each scan that are among the ``top_k`` of all."""
    if sum(len(scan.distances) for scan in scans) <= top_k:
        return [(scan.docs, scan.distances) for scan in scans]
    distances = np.concatenate([scan.distances for scan in scans])
    distances.partition(top_k - 1)
    bound = distances[top_k - 1]
    ends = [int(scan.distances.searchsorted(bound, "right")) for scan in scans]
    if sum(ends) == top_k:
        return [(scan.docs[:end], scan.distances[:end]) for scan, end in zip(scans, ends, strict=True)]
    nearer = [int(scan.distances.searchsorted(bound)) for scan in scans]
    places = top_k - sum(nearer)
    tied = _first_by_key(scans, [scan.at(bound, places) for scan in scans], places)
    return [
        (np.append(scan.docs[:end], more), np.append(scan.distances[:end], np.full(len(more), bound)))
        for scan, end, more in zip(scans, nearer, tied, strict=True)
    ]


def _first_by_key(scans: Sequence[_Scan], tied: Sequence[Docs], count: int) -> list[Docs]:
    """Those of ``tied``, by scan, whose keys are among the first ``count`` of all."""
    keyed = (
        (key, number, doc)
        for number, (scan, docs) in enumerate(zip(scans, tied, strict=True))
        for key, doc in zip(scan.search.part.keys.taken(docs), docs.tolist(), strict=True)
    )
    chosen: list[list[int]] = [[] for _ in scans]
    for _, number, doc in heapq.nsmallest(count, keyed):
        chosen[number].append(doc)
    return [np.array(docs, np.int64) for docs in chosen]
