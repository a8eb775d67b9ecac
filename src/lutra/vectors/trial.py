"""Trials of a segment: what share of the true neighbours searches find, by how wide they walk and what they compare.

Queries are rows of the segment that are left out of their own search, in the walk too: so they are as hard to find as
vectors that were never part of it, but for the few edges that building drew with their help. The truth is exact in
small segments; in large ones it comes from a scan of all codes with a bound (4 standard deviations) as good as that.

Builds wait for this, so nothing is measured twice. Walks go by the same codes whatever is compared after them: what
they find is measured once, with the widest bound, for all residencies with these codes, and of the ten nearest for
fewer ones too; a query whose neighbours are all found is not asked again with a wider beam. What bounds keep of that is
measured with one beam, and with a wider bound only where the narrower one lost something.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.distance import topk
from lutra.kernels.searcher import Plan, SearchCounters, Searcher, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.calibration import MARGIN, MARGIN_MIN, Calibration, Compared, Effort, Point, frontier, rerank_plan
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.segment_file import SegmentFile

_T = TypeVar("_T", bound=np.generic)
_Truth = tuple[NDArray[np.int64], NDArray[np.float32]]

CACHE_BYTES: Final = 64 * 1024 * 1024
"""For nodes meanwhile: the same queries read the same ones again and again."""
TRUTH_SIGMAS: Final = 4.0
EXACT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of vectors that are compared with one and all."""
OCTAVES: Final = (128, 256, 512, 1_024)
SIGMAS: Final = (0.7, 1.3, 2.0, 2.8)
PANEL: Final = 32
"""Queries that are asked with every beam and bound: what these cost on average is told from them."""
ENOUGH: Final = 0.998
"""Of recall: wider beams are not tried."""
KEPT_ENOUGH: Final = 0.9995
"""Of what the widest bound keeps: wider ones are not tried."""
EVENLY_MISSED: Final = 0.125
"""Of what is missed, so much more is taken to lie at all ranks alike: a little less is then foretold of the first."""
NEAR: Final = 0.005
"""Of a sample: a last neighbour as near as that of so few is not one that lists were measured with."""
OUTLYING: Final = 4.0
"""Times the distance before it, in their order: what is so much farther is not taken for usual,"""
OUTLYING_SHARE: Final = 0.2
"""if there are no more of it than that."""
CHECKED: Final = 32
"""Queries that a plan is checked with: their recall is known to about ± 3 %."""
EQUAL: Final = 1e-6
"""Of a distance: less is float32's."""
UNMET_MAX: Final = 4_096
"""Of rows that walks do not come by so many are asked for in earnest."""
APART_MAX: Final = 1_024
"""Rows that all walks look at besides: an estimate each."""
_ASKED_AT_ONCE: Final = 2_048
SURE_SIGMAS: Final = 1.65
"""Standard deviations of a sample's recall that a target is reached by: of 20 samples one says more."""
FORETOLD_WRONG: Final = 1.25
"""Times what all ranks foretell of the first, with all beams: so much is missed of ordinary vectors by chance."""
SETTLED: Final = 0.5
"""Of recall: what bounds keep is measured with a beam that finds so much; the share hardly depends on it."""


@dataclass(frozen=True, slots=True)
class WalkTrial:
    """Walks of every width."""

    k: int
    queries: int
    """Recall of 10 neighbours each is known to about ± 0.8 % from 256. Of more neighbours, fewer queries tell as
    much."""
    beams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BoundTrial:
    """Bounds of every width, after the walks of another trial."""

    k: int
    queries: int
    walks: int
    """The place of the other trial."""


WALK_TRIALS: Final = (WalkTrial(10, 256, (32, 48, 64, 96, *OCTAVES)), WalkTrial(100, 64, OCTAVES))
BOUND_TRIALS: Final = (BoundTrial(1, 512, 0), BoundTrial(10, 256, 0), BoundTrial(100, 64, 1))
QUERIES_MAX: Final = max(trial.queries for trial in BOUND_TRIALS)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows that serve as queries, and what is to be found for each."""

    rows: NDArray[np.uint32]
    """[q]"""
    vectors: NDArray[np.float32]
    """[q, d], theirs."""
    truths: tuple[NDArray[np.int64], ...]
    """For each of `WALK_TRIALS`, [q', k]: the nearest of the other rows to the first q' of these, nearest first."""
    distances: tuple[NDArray[np.float32], ...]
    """Theirs, [q', k]."""
    farthest: Mapping[int, float]
    """By k of the trials, how far the last of these is at most; under inner product, of queries of length 1."""
    nearest: Mapping[int, float]
    """The same, how far it is for all but `NEAR` of them at least."""
    bounds: NDArray[np.float32]
    """[q'], how far the last of the first trial's is: who is as near is one of the nearest."""


def draw(searcher: Searcher, file: SegmentFile, threads: int = 0, *, with_effort: bool = True) -> Sample:
    """Rows of ``file``, which has at least 2, by chance; ``searcher`` has its codes in memory.

    :param with_effort: for all trials, or only for `check`.
    """
    count = min(QUERIES_MAX if with_effort else CHECKED, file.rows)
    rows = np.random.default_rng(file.seed).choice(file.rows, count, replace=False).astype(np.uint32)
    vectors = file.read_vectors(rows)
    is_small = 4 * file.rows * file.dimension <= EXACT_BYTES_MAX
    everything = np.concatenate(list(file.vector_blocks())) if is_small else None

    def all_truths() -> list[_Truth]:
        return [truth(trial) for trial in (WALK_TRIALS if with_effort else WALK_TRIALS[:1])]

    def truth(trial: WalkTrial) -> _Truth:
        own, queries, k = rows[: trial.queries], vectors[: trial.queries], min(trial.k, file.rows - 1)
        if everything is None:
            return searcher.search(queries, k, truth_plan(k), left_out=own, threads=threads)[:2]
        found, distances = topk(queries, everything, k + 1, file.metric, threads=threads)
        # A row is mostly its own nearest, but need not be: by inner product, or where rows are equal.
        others = [np.flatnonzero(row != one)[:k] for row, one in zip(found, own, strict=True)]
        return _taken(found, others), _taken(distances, others)

    known = all_truths()
    unlike = np.flatnonzero(known[0][1][:, 0] > 0)
    if file.metric is not Metric.DOT_PRODUCT and CHECKED <= len(unlike) < len(known[0][1]):
        # What equals another row is found by that, however ill others are found.
        rows, vectors = rows[unlike], vectors[unlike]
        known = all_truths()
    lengths = (
        np.linalg.norm(vectors.astype(np.float64), axis=1) if file.metric is Metric.DOT_PRODUCT else np.ones(len(rows))
    )
    farthest: dict[int, float] = {}
    nearest: dict[int, float] = {}
    for _, distances in known:
        of_length = lengths[: len(distances), None]
        scaled = np.divide(distances, of_length, out=np.zeros(distances.shape), where=of_length > 0)
        measured = {1, distances.shape[1]} - farthest.keys()
        farthest |= {k: _farthest(scaled[:, k - 1]) for k in measured}
        nearest |= {k: float(np.quantile(scaled[:, k - 1], NEAR)) for k in measured}
    truths, of_truths = tuple(found for found, _ in known), tuple(distances for _, distances in known)
    return Sample(rows, vectors, truths, of_truths, farthest, nearest, known[0][1][:, -1])


def _farthest(distances: NDArray[np.float64]) -> float:
    """The most of them; or, where a few lie so much farther than all others that they say nothing of these, the most of
    the others. (Rows of clusters smaller than what is asked for have neighbours in other clusters.)"""
    ascending = np.sort(distances)
    some = ascending[int((1 - OUTLYING_SHARE) * len(ascending)) :]
    gaps = np.flatnonzero((some[:-1] > 0) & (some[1:] > OUTLYING * some[:-1]))
    return float(some[gaps[0]] if len(gaps) else ascending[-1])


def truth_plan(k: int) -> Plan:
    """Of a scan of all codes whose finds are taken for the true ones."""
    return replace(rerank_plan(Strategy.CODE_SCAN, k, 0, TRUTH_SIGMAS), deepens=True)


def check(searcher: Searcher, sample: Sample, plan: Plan, threads: int = 0) -> tuple[float, Compared]:
    """The recall of the nearest that `CHECKED` of the sample's queries come to by ``plan``, equals taken for equal, and
    what they compare for it."""
    bounds = sample.bounds[:CHECKED, None]
    k = sample.truths[0].shape[1]
    _, distances, counters = searcher.search(
        sample.vectors[:CHECKED], k, plan, left_out=sample.rows[:CHECKED], threads=threads
    )
    compared = Compared(float(counters.exact.mean()), float(np.median(counters.exact)))
    return float((distances <= bounds + EQUAL * np.abs(bounds)).mean()), compared


def apart(searcher: Searcher, file: SegmentFile, plan: Plan, threads: int = 0) -> list[int]:
    """Rows, `APART_MAX` at most, that ``plan`` does not find though they are what is asked for, as walks do not come by
    them.

    Every row is asked for: a walk ends where it meets its row, which takes a third of a search. Who is not met is asked
    for once more in earnest: where codes do not tell rows apart, walks are blind and searches go another way.
    """
    if file.metric is Metric.DOT_PRODUCT:  # by which others may be nearer than a row to itself
        return []
    unmet: list[int] = []
    begin = 0
    for block in file.vector_blocks():
        rows = np.arange(begin, begin + len(block), dtype=np.uint32)
        unmet += rows[~searcher.meet(block, rows, max(plan.beam, 1), threads)].tolist()
        begin += len(block)
    asked = np.array(unmet[:: -(-len(unmet) // UNMET_MAX) or 1], np.int64)
    return missed(searcher, file, asked, plan, threads)[:APART_MAX]


def missed(searcher: Searcher, file: SegmentFile, rows: NDArray[np.int64], plan: Plan, threads: int = 0) -> list[int]:
    """Those of ``rows``, ascending, that ``plan`` does not find though they are what is asked for, nor their equals."""
    found: list[int] = []
    for begin in range(0, len(rows), _ASKED_AT_ONCE):
        some = rows[begin : begin + _ASKED_AT_ONCE]
        vectors = file.read_vectors(some)
        _, distances, _ = searcher.search(vectors, 1, plan, threads=threads)
        found += some[distances[:, 0] > own_distances(vectors, file.metric)].tolist()
    return found


def own_distances(vectors: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    """float32 [n]: how far vectors are from themselves: under cosine, those without a direction are as far as from all
    others."""
    if metric is not Metric.COSINE:
        return np.zeros(len(vectors), np.float32)
    return np.where(vectors.any(axis=1), np.float32(0), np.float32(1))


def _taken(lines: NDArray[_T], places: Sequence[NDArray[np.intp]]) -> NDArray[_T]:
    """Of each line, what stands at its places."""
    return np.stack([line[at] for line, at in zip(lines, places, strict=True)])


@dataclass(frozen=True, slots=True)
class Walks:
    """What walks found, each beam's compared with the widest bound."""

    beams: tuple[int, ...]
    """In the order they were tried; 0 in a segment without a graph."""
    hits: tuple[NDArray[np.bool_], ...]
    """[q, k] for each beam: whether the nearest, the second, … is found."""
    distances: tuple[float, ...]
    """A query, for each beam."""
    settled: int
    """The place of the beam that what bounds keep is measured with."""
    widest: NDArray[np.int64]
    """[q', k]: what that beam finds with the widest bound, nearest first, for the queries of all bounds' trials."""

    def recalls(self, k: int) -> list[float]:
        """For each beam, of the ``k`` nearest; less where the sample is less sure than a target's margin allows.

        What all ranks tell of the first ones is not believed where those are missed so much more often: by inner
        product, where the longest rows are next to many queries, or where rows equal each other.
        """
        foretold = [_recall_of_first(found, k) for found in self.hits]
        recalls = [recall - _unsure(found) for recall, found in zip(foretold, self.hits, strict=True)]
        first = [found[:, :k] for found in self.hits]
        missed = sum(1 - float(found.mean()) for found in first)
        if missed <= FORETOLD_WRONG * sum(1 - recall for recall in foretold):
            return recalls
        counted = [float(found.mean()) - _unsure(found) for found in first]
        return [min(both) for both in zip(recalls, counted, strict=True)]


def _recall_of_first(hits: NDArray[np.bool_], k: int) -> float:
    """Of the ``k`` nearest, by what is missed of all ranks together: it grows as a power of the rank (0.05 to 0.8 on
    nine sets of vectors), and of the nearest alone too few are missed to count them."""
    queries, all_ranks = hits.shape
    missed = (~hits).sum(axis=0)
    total = int(missed.sum())
    if k >= all_ranks or total == 0:
        return float(hits.mean())
    ranks = np.arange(1, all_ranks + 1)
    mean_rank = (missed @ ranks / total + EVENLY_MISSED * ranks.mean()) / (1 + EVENLY_MISSED)
    powers = np.linspace(0, 2, 81)
    shapes = ranks ** powers[:, None]
    shape = ranks ** np.interp(mean_rank, shapes @ ranks / shapes.sum(axis=1), powers)
    return float(1 - total / (queries * k) * shape[:k].sum() / shape.sum())


def _unsure(hits: NDArray[np.bool_]) -> float:
    """Of the recall of ``hits``, what chance may have added beyond the margin. Of clusters all rows are found or none:
    so many neighbours then tell no more than as many queries."""
    by_query = hits.mean(axis=1)
    margin = max(MARGIN * (1 - float(by_query.mean())), MARGIN_MIN)
    return max(0.0, SURE_SIGMAS * float(by_query.std()) / math.sqrt(len(by_query)) - margin)


def _hits(truth: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [q, k]: which of ``truth`` [q, k] are in their line of ``found`` [q, k]."""
    hits: NDArray[np.bool_] = np.any(truth[:, :, None] == found[:, None, :], axis=2)
    return hits


class Asking:
    """Searches for a sample's queries."""

    def __init__(self, searcher: Searcher, sample: Sample, costs: SegmentCosts, threads: int = 0) -> None:
        self.sample = sample
        self.has_graph = costs.has_graph
        self._deepens = costs.link_bytes > 0  # codes of neighbours often tell too little, and another walk is made
        self._searcher = searcher
        self._threads = threads

    def __call__(
        self, chosen: NDArray[np.intp], k: int, beam: int, sigmas: float
    ) -> tuple[NDArray[np.int64], SearchCounters]:
        """The ``k`` rows that each of the ``chosen`` queries finds, [q, k], and what it took."""
        plan = rerank_plan(Strategy.WALK if self.has_graph else Strategy.CODE_SCAN, k, beam, sigmas)
        found, _, counters = self._searcher.search(
            self.sample.vectors[chosen],
            k,
            replace(plan, deepens=self._deepens),
            left_out=self.sample.rows[chosen],
            threads=self._threads,
        )
        return found, counters


def try_walks(ask: Asking) -> tuple[Walks, ...]:
    """For each of `WALK_TRIALS`, beams as wide as it takes to find enough; without a graph, one scan of all codes."""
    return tuple(_walks(ask, place) for place in range(len(WALK_TRIALS)))


def _walks(ask: Asking, place: int) -> Walks:
    truth = ask.sample.truths[place]
    k, everyone = truth.shape[1], np.arange(len(truth))
    beams = WALK_TRIALS[place].beams if ask.has_graph else (0,)
    found, counters = ask(everyone, k, beams[0], SIGMAS[-1])
    hits, taken = [_hits(truth, found)], [float(counters.distances.mean())]
    last = counters.distances[:PANEL].mean()
    for beam in beams[1:]:
        if hits[-1].mean() >= ENOUGH:
            break
        chosen = np.flatnonzero((everyone < PANEL) | ~hits[-1].all(axis=1))
        found, counters = ask(chosen, k, beam, SIGMAS[-1])
        hits.append(hits[-1].copy())
        hits[-1][chosen] = _hits(truth[chosen], found)
        # What the panel takes more than with the beam before, all take more.
        panel = counters.distances[:PANEL].mean()
        taken.append(taken[-1] * float(panel / last))
        last = panel
    tried = tuple(beams[: len(hits)])
    settled = _settled(tried, hits, k)
    queries = max(trial.queries for trial in BOUND_TRIALS if trial.walks == place)
    widest, _ = ask(np.arange(min(queries, len(ask.sample.rows))), k, tried[settled], SIGMAS[-1])
    return Walks(tried, tuple(hits), tuple(taken), settled, widest)


def _settled(beams: Sequence[int], hits: Sequence[NDArray[np.bool_]], k: int) -> int:
    """The first beam that finds so much, and as many rows as are compared at most: a narrower one leaves fewer."""
    most = rerank_plan(Strategy.WALK, k, beams[-1], 0.0).candidates
    for place, (beam, found) in enumerate(zip(beams, hits, strict=True)):
        if beam >= most and found.mean() >= SETTLED:
            return place
    return len(beams) - 1


@dataclass(frozen=True, slots=True)
class Bound:
    """What one bound keeps of what walks found, and what it takes."""

    sigmas: float
    kept: float
    """Share of what the widest bound finds."""
    reads: float
    distances: float
    """With the settled beam."""


def _bounds(ask: Asking, walks: Walks, trial: BoundTrial) -> list[Bound]:
    beam, wanted = walks.beams[walks.settled], walks.widest[: trial.queries, : trial.k]
    everyone = np.arange(len(wanted))
    hits = np.zeros(wanted.shape, np.bool_)
    bounds: list[Bound] = []
    chosen, last = everyone, Bound(0, 0, 1, 1)
    for sigmas in SIGMAS:
        found, counters = ask(chosen, trial.k, beam, sigmas)
        hits[chosen] = _hits(wanted[chosen], found)
        share = float(hits.mean())
        panel = Bound(sigmas, share, float(counters.reads[:PANEL].mean()), float(counters.distances[:PANEL].mean()))
        if bounds:
            reads = _grown(bounds[-1].reads, last.reads, panel.reads)
            distances = _grown(bounds[-1].distances, last.distances, panel.distances)
        else:  # all were asked
            reads, distances = float(counters.reads.mean()), float(counters.distances.mean())
        bounds.append(Bound(sigmas, share, reads, distances))
        last = panel
        if share >= KEPT_ENOUGH:
            break
        chosen = np.flatnonzero((everyone < PANEL) | ~hits.all(axis=1))
    return bounds


def _grown(all_took: float, panel_took: float, panel_takes: float) -> float:
    """What all take, were they to take more as the panel does. With links in memory that may have read nothing."""
    return all_took * panel_takes / panel_took if panel_took else panel_takes


def try_bounds(ask: Asking, walks: Sequence[Walks]) -> dict[int, list[Bound]]:
    """By k of `BOUND_TRIALS`, bounds as wide as it takes to keep enough."""
    return {
        trial.k: _bounds(ask, walks[trial.walks], trial)
        for trial in BOUND_TRIALS
        if trial.k <= walks[trial.walks].widest.shape[1]
    }


def measure(
    ask: Asking, walks: Sequence[Walks], bounds: Mapping[int, Sequence[Bound]], costs: SegmentCosts
) -> Calibration:
    """The calibration of a residency, by what walks with its codes found, and what bounds keep of that."""
    curves = {}
    for trial in BOUND_TRIALS:
        if trial.k in bounds:
            curves[trial.k] = frontier(_points(walks[trial.walks], bounds[trial.k], trial.k), costs)
    return Calibration(curves, ask.sample.farthest, nearest=ask.sample.nearest)


def _points(walks: Walks, bounds: Sequence[Bound], k: int) -> list[Point]:
    """Every beam with every bound. Recall is taken for the product of what the beam finds and what the bound keeps of
    it (within 0.002 of measuring all pairs)."""
    settled, most = walks.beams[walks.settled], walks.distances[walks.settled]
    points = []
    for beam, recall, distances in _filled(walks, k):
        # What is compared, and put in order by finer codes, is no more than the beam holds.
        share = min(beam, settled) / settled if settled else 1.0
        for bound in bounds:
            taken = max(0.0, distances + share * (bound.distances - most))
            points.append(Point(recall * bound.kept, Effort(beam, bound.sigmas, taken, bound.reads)))
    return points


def _filled(walks: Walks, k: int) -> list[tuple[int, float, float]]:
    """Beam, recall and distances, with one more wherever two beams are a factor of two apart: by their logarithms what
    is missed and what it takes are nearly straight lines."""
    tried = list(zip(walks.beams, walks.recalls(k), walks.distances, strict=True))
    least = 1 / walks.hits[0].size  # of what is missed: where nothing is, as much as would show
    points = [tried[0]]
    for before, after in itertools.pairwise(tried):
        if after[0] >= 2 * before[0]:
            missed = math.sqrt(max(1 - before[1], least) * max(1 - after[1], least))
            beam = round(math.sqrt(before[0] * after[0]))
            points.append((beam, 1 - missed, math.sqrt(before[2] * after[2])))
        points.append(after)
    return points
