"""How much effort a recall takes in a segment: measured when it is built, kept in its footer.

Queries are rows of the segment that are left out of their own search, in the walk too: so they are as hard to find as
vectors that were never part of it, but for the few edges that building drew with their help. The truth is exact in
small segments; in large ones it comes from a scan of all codes with a bound (4 standard deviations) as good as that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.distance import topk
from lutra.kernels.searcher import Plan, Searcher, Strategy
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.segment_file import SegmentFile

QUERIES: Final = 256
"""Recall of 10 neighbours each is known to about ± 0.8 % then."""
CACHE_BYTES: Final = 64 * 1024 * 1024
"""For nodes meanwhile: the same queries read the same ones again and again."""
TRUTH_SIGMAS: Final = 4.0
TRUTH_CANDIDATES: Final = 1_000
EXACT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of vectors that are compared with one and all."""
BEAMS: Final = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is measured for one number of neighbours."""

    k: int
    queries: int
    sigmas: tuple[float, ...]


TRIALS: Final = (
    Trial(1, 2 * QUERIES, (0.7, 1.3, 2.0, 2.8)),
    Trial(10, QUERIES, (0.7, 1.3, 2.0, 2.8)),
    Trial(100, QUERIES // 4, (0.7, 1.3, 2.0)),
)
"""Of more neighbours, fewer queries tell as much."""
FIRST_MIN: Final = 8
"""Rows compared without asking: for one neighbour too, the first by estimate is often not the nearest."""
K_MAX: Final = max(trial.k for trial in TRIALS)
ENOUGH: Final = 0.998
"""Of recall: wider beams are not tried."""
MARGIN: Final = 0.2
"""Share of the misses a target allows that is kept back for what a sample does not show,"""
MARGIN_MIN: Final = 0.005
"""but at least so much of recall: rows that were linked into the graph are found more easily than other vectors,"""
MARGIN_MAX: Final = 0.6
"""and at most this share."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What to spend on a query, and what that came to when it was measured."""

    beam: int
    """0 in a segment without a graph."""
    bound_sigmas: float
    distances: float
    reads: float


DEFAULT_EFFORT: Final = Effort(beam=256, bound_sigmas=1.6, distances=8_000.0, reads=25.0)
"""For a segment that was not calibrated."""


@dataclass(frozen=True, slots=True)
class Point:
    recall: float
    effort: Effort


class Calibration:
    """Recall against effort, for the numbers of neighbours that were measured."""

    def __init__(self, curves: Mapping[int, Sequence[Point]]) -> None:
        """``curves``: by k, points of ascending recall and cost."""
        self._curves = {k: tuple(points) for k, points in sorted(curves.items()) if points}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Calibration:
        """What `to_json` gave; nothing measured where it is empty. Raises KeyError, TypeError or ValueError."""
        return cls(
            {
                int(k): [
                    Point(float(recall), Effort(int(beam), float(sigmas), float(distances), float(reads)))
                    for recall, beam, sigmas, distances, reads in points
                ]
                for k, points in document.get("curves", {}).items()
            }
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "curves": {
                str(k): [
                    [p.recall, p.effort.beam, p.effort.bound_sigmas, p.effort.distances, p.effort.reads] for p in points
                ]
                for k, points in self._curves.items()
            }
        }

    def effort(self, k: int, recall_target: float) -> Effort:
        """What reaches ``recall_target`` of ``k`` neighbours; the most that was measured where none does."""
        if not self._curves:
            beam = max(DEFAULT_EFFORT.beam, 2 * k)
            return Effort(beam, DEFAULT_EFFORT.bound_sigmas, DEFAULT_EFFORT.distances, DEFAULT_EFFORT.reads + 2 * k)
        measured = list(self._curves)
        lower = max((m for m in measured if m <= k), default=measured[0])
        upper = min((m for m in measured if m >= k), default=measured[-1])
        below, above = _reach(self._curves[lower], recall_target), _reach(self._curves[upper], recall_target)
        if lower == upper:
            return _scaled(below, max(1.0, k / lower))
        share = math.log(k / lower) / math.log(upper / lower)
        return _between(below, above, share)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows that serve as queries, and what is to be found for each."""

    rows: NDArray[np.uint32]
    """[q]"""
    vectors: NDArray[np.float32]
    """[q, d], theirs."""
    truth: NDArray[np.int64]
    """[q, `K_MAX` or fewer]: the nearest of the other rows, nearest first."""


def sample(searcher: Searcher, file: SegmentFile) -> Sample:
    """Rows of ``file``, at least 2, by chance; ``searcher`` has its codes in memory."""
    count = min(max(trial.queries for trial in TRIALS), file.rows)
    rows = np.random.default_rng(file.seed).choice(file.rows, count, replace=False).astype(np.uint32)
    vectors = file.read_vectors(rows)
    k = min(K_MAX, file.rows - 1)
    if 4 * file.rows * file.dimension <= EXACT_BYTES_MAX:
        found, _ = topk(vectors, np.concatenate(list(file.vector_blocks())), k + 1, file.metric)
        # A row is mostly its own nearest, but need not be: by inner product, or where rows are equal.
        others = [row[row != own][:k] for row, own in zip(found, rows, strict=True)]
        return Sample(rows, vectors, np.stack(others))
    wide = Plan(Strategy.CODE_SCAN, 0, max(TRUTH_CANDIDATES, k), k, TRUTH_SIGMAS)
    return Sample(rows, vectors, searcher.search(vectors, k, wide, left_out=rows)[0])


def measure(searcher: Searcher, of: Sample, costs: SegmentCosts) -> Calibration:
    """The calibration of a segment with codes."""
    curves = {}
    for trial in TRIALS:
        if trial.k <= of.truth.shape[1]:
            curves[trial.k] = _frontier(_points(searcher, of, costs, trial), costs)
    return Calibration(curves)


def _points(searcher: Searcher, of: Sample, costs: SegmentCosts, trial: Trial) -> list[Point]:
    """Every beam with every bound. Recall is taken for the product of what the beam finds, measured with the widest
    bound, and what the bound keeps of it, measured with the widest beam (within 0.002 of measuring all pairs)."""
    k = trial.k
    rows, vectors, truth = of.rows[: trial.queries], of.vectors[: trial.queries], of.truth[: trial.queries, :k]

    def point(beam: int, sigmas: float) -> Point:
        plan = rerank_plan(Strategy.WALK if beam else Strategy.CODE_SCAN, k, beam, sigmas)
        found, _, counters = searcher.search(vectors, k, plan, left_out=rows)
        means = counters.means()
        return Point(_recall(found, truth), Effort(beam, sigmas, means["distances"], means["reads"]))

    by_beam: list[Point] = []
    for beam in [b for b in BEAMS if b >= k] if costs.has_graph else [0]:
        by_beam.append(point(beam, trial.sigmas[-1]))
        if by_beam[-1].recall >= ENOUGH:
            break
    widest = by_beam[-1]
    by_sigmas = [point(widest.effort.beam, sigmas) for sigmas in trial.sigmas[:-1]] + [widest]
    return [
        Point(
            b.recall * s.recall / max(widest.recall, 1e-9),
            Effort(b.effort.beam, s.effort.bound_sigmas, b.effort.distances, s.effort.reads),
        )
        for b in by_beam
        for s in by_sigmas
    ]


def rerank_plan(strategy: Strategy, k: int, beam: int, bound_sigmas: float, effort_max: int = 0) -> Plan:
    """A plan that walks or scans, with what follows from ``k`` for the comparing after it."""
    most = max(64, 4 * k) if strategy is Strategy.WALK else max(256, 8 * k)
    candidates = max(k, min(most, beam)) if strategy is Strategy.WALK else most
    return Plan(strategy, beam, candidates, max(k + k // 5, FIRST_MIN), bound_sigmas, effort_max)


def _recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size


def _frontier(points: Sequence[Point], costs: SegmentCosts) -> list[Point]:
    """Those worth their cost, ascending in recall and cost: the upper convex hull."""

    def cost_us(point: Point) -> float:
        return costs.effort_us(point.effort.distances, point.effort.reads)

    def gain(low: Point, high: Point) -> float:
        return (high.recall - low.recall) / max(cost_us(high) - cost_us(low), 1e-9)

    hull: list[Point] = []
    for point in sorted(points, key=lambda p: (cost_us(p), -p.recall)):
        if hull and point.recall <= hull[-1].recall:
            continue
        while len(hull) > 1 and gain(hull[-2], hull[-1]) <= gain(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _reach(points: Sequence[Point], target: float) -> Effort:
    wanted = target + min(max(MARGIN * (1 - target), MARGIN_MIN), MARGIN_MAX * (1 - target))
    if points[0].recall >= wanted:
        return points[0].effort
    for before, after in itertools.pairwise(points):
        if after.recall >= wanted:
            share = (wanted - before.recall) / (after.recall - before.recall)
            return _between(before.effort, after.effort, share)
    return points[-1].effort


def _between(low: Effort, high: Effort, share: float) -> Effort:
    def mean(a: float, b: float) -> float:
        return a + share * (b - a)

    # Rounded up: a beam a little wider costs little, one too narrow misses the target.
    return Effort(
        math.ceil(mean(low.beam, high.beam)),
        mean(low.bound_sigmas, high.bound_sigmas),
        mean(low.distances, high.distances),
        mean(low.reads, high.reads),
    )


def _scaled(effort: Effort, factor: float) -> Effort:
    """For more neighbours than were measured."""
    beam = math.ceil(effort.beam * factor)
    return Effort(beam, effort.bound_sigmas, effort.distances * factor, effort.reads * factor)
