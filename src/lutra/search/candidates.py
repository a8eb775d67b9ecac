"""The nearest of all parts of an index together: of each KNN query those in each part, before anything is collected.

What one part found says how near a row of the next has to be, so the largest comes first, and each is read only for
what may still be nearer.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import nearest as nearest_in
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Found, Share, Strategy, search_segments
from lutra.model.deadline import current_deadline
from lutra.model.errors import RequestTimeout
from lutra.search.far import at_once
from lutra.search.nodes.knn import Near, NearNode, Scan
from lutra.search.nodes.node import PartSearch, Placed
from lutra.search.order import first_of
from lutra.search.post_filter import Passed, passed_nearby
from lutra.search.scores import Docs, DocScores, above, similarity, weighted
from lutra.search.sorts.key import KeyLevel
from lutra.search.turns import by_turns
from lutra.segments.space import lifted
from lutra.vectors.calibration import Checked, Fallback
from lutra.vectors.part import POST_FILTERED, KnnCounters

Distances = npt.NDArray[np.float32]

_GROWTH: Final = 8
_SPARE: Final = 16
"""Documents that are looked for beyond two a row, to begin with."""
_NO_DOCS: Final[Docs] = np.empty(0, np.int64)
_NO_DISTANCES: Final[Distances] = np.empty(0, np.float32)

Wanted = tuple[Placed, Sequence[PartSearch]]
"""A condition of a query, and the search of that query in each part."""
_Searched = tuple[Near, Sequence[PartSearch]]
"""Neighbours that are looked for, and the search in each part, of the documents they are among."""


def find_candidates(wanted: Iterable[Wanted]) -> None:
    """Gives the nodes of the KNN queries among the conditions ``wanted`` what they found.

    Those that differ in nothing but their vectors, as many queries at once have them, are looked for together: the
    parts are the same, in the same order. Raises RequestTimeout, Corruption, StorageFailure.
    """
    found: list[_Searched] = []
    again: list[_Searched] = []
    seen: set[int] = set()
    for (space, condition), parts in wanted:
        if not isinstance(condition, Near):
            continue
        own = [part.space(space) for part in parts]
        if id(condition) in seen:  # of another query of the same request
            again.append((condition, own))
            continue
        seen.add(id(condition))
        if condition.is_nested:
            _find_rows(condition, own)
        else:
            found.append((condition, own))
    for group in [found] if len(found) == 1 else _alike(found):
        _find(group)
    for condition, parts in again:
        for part in parts:
            node = part.node(condition)
            assert isinstance(node, NearNode)
            part.stats.is_complete = part.stats.is_complete and not node.is_cut


def _alike(found: Sequence[_Searched]) -> Iterable[Sequence[_Searched]]:
    """Those that differ in nothing but their vectors, together."""
    together: dict[Near, list[_Searched]] = {}
    for condition, own in found:
        together.setdefault(condition.without_vector(), []).append((condition, own))
    return together.values()


def _find(group: Sequence[_Searched]) -> None:
    """The ``top_k`` of all parts together, for each; equally near ones by primary key."""
    is_alone = len(group) == 1
    scans = [_scans(condition, parts, is_alone=is_alone) for condition, parts in group]
    top_k = group[0][0].top_k
    _run(scans, top_k)
    for (condition, _), own in zip(group, scans, strict=True):
        _give(condition, own, _chosen(own, top_k))


def _scans(condition: Near, parts: Sequence[PartSearch], *, is_alone: bool = False) -> list[_Scan]:
    """Of each part, whose filter is listed for it."""
    until = current_deadline()
    made = by_turns(parts, until, lambda part: _Scan(condition, part, is_alone=is_alone), leaves_some=True)
    return list(made.values())


def _find_rows(condition: Near, parts: Sequence[PartSearch]) -> None:
    """The ``top_k`` rows whose nearest documents are nearest, and of each that document.

    Several of one row must not take the places of others, so more and more documents are looked for, until so many rows
    are surely among them: the nearer ones, as of those that are just as near as the last some may be missing.
    """
    scans, top_k = _scans(condition, parts), condition.top_k
    count, most = 2 * top_k + _SPARE, sum(part.part.rows for part in parts) + 1
    while True:
        for scan in scans:
            scan.wanted = count + 1
        _run([scans], count)
        distances = np.concatenate([scan.distances for scan in scans])
        bests = [_best_of_rows(scan) for scan in scans]
        if len(distances) < count or not _are_whole(scans):  # there are no more, or there is no time for them
            break
        bound = np.partition(distances, count - 1)[count - 1]
        if sum(int(np.count_nonzero(own < bound)) for _, own in bests) >= top_k:
            break
        count = min(_GROWTH * count, most)
    _give(condition, scans, _first_rows(scans, bests, top_k))


def _are_whole(scans: Sequence[_Scan]) -> bool:
    return all(scan.search.stats.is_complete for scan in scans)


def _best_of_rows(scan: _Scan) -> tuple[Docs, Distances]:
    """Of each row of what was found the nearest document, the first of those that are."""
    docs = scan.docs.astype(np.int64, copy=False)
    order = np.lexsort((docs, scan.distances))
    docs, distances = docs[order], scan.distances[order]
    _, firsts = np.unique(lifted(scan.search.part, docs), return_index=True)
    firsts.sort()
    return docs[firsts], distances[firsts]


def _first_rows(
    scans: Sequence[_Scan], bests: Sequence[tuple[Docs, Distances]], top_k: int
) -> Sequence[tuple[Docs, Distances]]:
    """The nearest ``top_k`` of ``bests``, by scan; equally near ones by primary key."""
    distances = np.concatenate([own for _, own in bests])
    if len(distances) <= top_k:
        return bests
    bound = np.partition(distances, top_k - 1)[top_k - 1]
    nearer = [int(own.searchsorted(bound)) for _, own in bests]
    tied = _first_by_key(scans, [docs[own == bound] for docs, own in bests], top_k - sum(nearer))
    return [
        (np.append(docs[:end], more), np.append(own[:end], np.full(len(more), bound)))
        for (docs, own), end, more in zip(bests, nearer, tied, strict=True)
    ]


def _give(condition: Near, scans: Sequence[_Scan], chosen: Sequence[tuple[Docs, Distances]]) -> None:
    distances = np.concatenate([distances for _, distances in chosen])
    scores = weighted(similarity(distances, condition.metric), condition.weight)
    begin = 0
    for scan, (docs, own) in zip(scans, chosen, strict=True):
        end = begin + len(own)
        if end > begin:
            scan.give(docs, own, scores[begin:end])
        begin = end


def _run(scans: Sequence[Sequence[_Scan]], top_k: int) -> None:
    """Has each part looked through, for each query of ``scans`` [query][part]: buffers, which are compared anyway, then
    all segments in one call, the largest first, by as many threads as there are idle processors; but those far away,
    which tell each other nothing so that they are waited for at once."""
    far = [number for number, first in enumerate(scans[0]) if first.is_far]
    together = []
    for number, first in enumerate(scans[0]):
        if number in far:
            continue
        share = first.share()
        if share is not None:
            together.append((number, *share))
            continue
        _run_apart([own[number] for own in scans])
    _run_together(scans, together, top_k)
    at_once([partial(_run_far, scans, number, top_k) for number in far])


def _run_far(scans: Sequence[Sequence[_Scan]], number: int, top_k: int) -> None:
    """Asks one part that waits for a store far away."""
    first, of = scans[0][number], scans[0][number].condition
    try:
        nearest_in(first.search.part, of.field).come(
            np.stack([own[number].condition.vector for own in scans]),
            first.wanted,
            first.mask,
            num_candidates=of.num_candidates,
            recall_target=of.recall_target,
            lasting=first.lasting,
        )
    except RequestTimeout as error:
        for own in scans:
            own[number].cut(error)
        return
    share = first.share()
    if share is not None:
        _run_together(scans, [(number, *share)], top_k)


def _run_together(scans: Sequence[Sequence[_Scan]], together: list[tuple[int, Share, Checked]], top_k: int) -> None:
    """Asks those parts in one call; what was found before says how near their rows have to be."""
    if not together:
        return
    together.sort(key=lambda one: scans[0][one[0]].search.part.rows, reverse=True)
    known = [np.concatenate([_NO_DISTANCES, *(scan.distances for scan in own)]) for own in scans]
    vectors = np.stack([own[0].condition.vector for own in scans])
    shares = [share for _, share, _ in together]
    in_part = scans[0][0].search.allows_part
    found = search_segments(vectors, shares, top_k, known, in_part=in_part)
    for own, answers in zip(scans, found, strict=True):
        for (number, _, checked), answer in zip(together, answers, strict=True):
            own[number].take(answer, checked)


def _run_apart(scans: Sequence[_Scan]) -> None:
    """Asks one part, of the same mask for each query, for all of them at once."""
    first = scans[0]
    if not first.is_asked:
        return
    of, count = first.condition, first.wanted
    began_s = time.perf_counter()
    try:
        found = nearest_in(first.search.part, of.field).topk_many(
            np.stack([scan.condition.vector for scan in scans]),
            count,
            first.mask,
            num_candidates=of.num_candidates,
            recall_target=of.recall_target,
            lasting=first.lasting,
        )
    except RequestTimeout as error:
        for scan in scans:
            scan.cut(error)
        return
    us = (time.perf_counter() - began_s) * 1e6 / len(scans)
    for scan, (docs, distances, counters) in zip(scans, found, strict=True):
        scan.note(count, docs, distances, counters, math.inf, us)


class _Scan:
    """The search in one part: its nearest, and more of them where they turn out to be needed."""

    __slots__ = (
        "asked",
        "condition",
        "distances",
        "docs",
        "is_exact",
        "lasting",
        "mask",
        "node",
        "passed",
        "search",
        "wanted",
    )

    def __init__(self, condition: Near, search: PartSearch, *, is_alone: bool = False) -> None:
        """``is_alone``: the part is asked for no other query in the same call, so it may be among what is near this
        one."""
        self.condition = condition
        self.search = search
        node = search.node(condition)
        assert isinstance(node, NearNode)
        self.node = node
        self.wanted = condition.top_k + 1
        """So many are asked for: one more shows whether there are more as near as the last."""
        self.passed: Passed | None = None
        self.mask: RowMask | None = None
        self.lasting: Sequence[RowMask] = ()
        """What the mask is made of, where all of it comes again."""
        try:
            self.passed = passed_nearby(condition, search, self.wanted) if is_alone else None
            self.mask = in_question(condition, search) if self.passed is None else self.passed.mask
            self.lasting = _lasting(condition, search) if self.passed is None else ()
        except RequestTimeout as error:
            self.cut(error)
            self.mask = RowMask.of_rows(_NO_DOCS, search.part.size)
        self.asked = 0
        self.is_exact = True
        self.docs = _NO_DOCS
        self.distances = _NO_DISTANCES

    def share(self) -> tuple[Share, Checked] | None:
        """What the part is asked together with others. None where it is asked apart, or not at all."""
        if not self.is_asked:
            return None
        of = self.condition
        return nearest_in(self.search.part, of.field).share(
            self.wanted,
            self.mask,
            num_candidates=of.num_candidates,
            recall_target=of.recall_target,
            lasting=self.lasting,
        )

    def take(self, found: Found, checked: Checked) -> None:
        """What came of it."""
        distances, compared, hops, reads, size, planned, used = found.figures
        counters = KnnCounters(
            Strategy(used).name.lower(),
            distances,
            hops,
            reads,
            size,
            *checked,
            compared=compared,
            planned=Strategy(planned).name.lower(),
        )
        self.note(self.wanted, found.docs, found.distances, counters, found.within, found.us)
        if not found.is_complete:
            self.is_exact = self.search.stats.is_complete = False
            self.node.is_cut = True

    def cut(self, error: RequestTimeout) -> None:
        """As `PartSearch.cut`."""
        self.search.cut(error)
        self.node.is_cut = True

    @property
    def is_far(self) -> bool:
        """Whether it waits for a store far away."""
        return self.is_asked and self.search.part.is_far

    @property
    def is_asked(self) -> bool:
        return self.search.part.rows > 0 and (self.mask is None or self.mask.count > 0)

    def _ask(self, count: int) -> None:
        of = self.condition
        began_s = time.perf_counter()
        docs, distances, counters = nearest_in(self.search.part, of.field).topk(
            of.vector,
            count,
            self.mask,
            num_candidates=of.num_candidates,
            recall_target=of.recall_target,
            lasting=self.lasting,
        )
        self.note(count, docs, distances, counters, math.inf, (time.perf_counter() - began_s) * 1e6)

    def note(
        self, count: int, docs: Docs, distances: Distances, counters: KnnCounters, within: float, us: float
    ) -> None:
        """Keeps what was found, and what it took."""
        if self.passed is not None:
            distances_taken = counters.distances + self.passed.distances
            counters = replace(counters, strategy=POST_FILTERED, planned=POST_FILTERED, distances=distances_taken)
        self.docs, self.distances = docs, distances
        self.asked, self.is_exact = count, counters.exact
        stats = self.search.stats
        stats.strategy = counters.strategy
        stats.recall = counters.recall
        stats.fallback = "" if counters.fallback is Fallback.NONE else counters.fallback.value
        stats.exact_rows = counters.exact_rows
        stats.distances += counters.distances
        stats.reads += counters.reads
        stats.bytes += counters.bytes
        if self.search.explains:
            qualifying = self.search.part.rows if self.mask is None else self.mask.count
            checked = None if self.passed is None else self.passed.looked_at
            self.node.took(Scan(count, qualifying, within, counters, us, checked))
            self.search.took_us += us

    def give(self, docs: Docs, distances: Distances, scores: npt.NDArray[np.float64]) -> None:
        """To the node: its neighbours, as far as they score enough."""
        self.node.set_nearest(docs, distances)
        if self.condition.min_score is not None:
            kept = above(scores, self.condition.min_score)
            docs, scores = docs[kept], scores[kept]
        self.node.set_found(DocScores.of(docs, scores))

    def at(self, bound: Any, count: int) -> Docs:
        """The first ``count`` by key of the documents as near as ``bound``.

        Where the search is exact, so is this: it goes on until it has them all.
        """
        try:
            while len(self.docs) == self.asked > 0 and self.distances[-1] == bound and self.is_exact:
                self.search.deadline.check()
                self._ask(_GROWTH * self.asked)
        except RequestTimeout as error:
            self.cut(error)
        tied = np.sort(self.docs[self.distances == bound])
        return first_of([KeyLevel(self.search.part.keys, False)], tied, count) if len(tied) else tied


def in_question(condition: Near, search: PartSearch) -> RowMask | None:
    """Which documents may be neighbours; None where all may."""
    part = search.part
    if condition.filter is not None:
        return search.node(condition.filter).matches() & part.live
    return part.live if part.rows < part.size else None


def _lasting(condition: Near, search: PartSearch) -> Sequence[RowMask]:
    """What `in_question` is made of, where all of it comes again: the same objects."""
    part = search.part
    live = (part.live,) if part.rows < part.size else ()
    if condition.filter is None:
        return live
    node = search.node(condition.filter)
    return (node.matches(), *live) if node.is_kept else ()


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
