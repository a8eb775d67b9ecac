"""How much effort a recall takes in a segment: measured when it is built, kept in its footer.

Queries are rows of the segment that are left out of their own search, in the walk too: so they are as hard to find as
vectors that were never part of it, but for the few edges that building drew with their help. The truth comes from a
scan of all codes with a bound wide enough (4 standard deviations) to be as good as exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.searcher import Plan, Searcher, Strategy
from lutra.vectors.costs import SegmentCosts

QUERIES: Final = 256
"""Recall of 10 neighbours each is known to about ± 0.8 % then."""
TRUTH_SIGMAS: Final = 4.0
TRUTH_CANDIDATES: Final = 1_000
BEAMS: Final = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is measured for one number of neighbours."""

    k: int
    queries: int
    sigmas: tuple[float, ...]


TRIALS: Final = (Trial(10, QUERIES, (0.7, 1.3, 2.0, 2.8)), Trial(100, QUERIES // 4, (0.7, 1.3, 2.0)))
"""As many neighbours each: of 100, fewer queries tell as much."""
GAIN_MIN: Final = 0.003
"""Of recall: a wider bound that gains less is not widened further."""
ENOUGH: Final = 0.998
"""Of recall: wider beams are not tried."""
MARGIN: Final = 0.2
"""Share of the misses a target allows that is kept back for what a sample does not show."""


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


def measure(
    searcher: Searcher, rows: NDArray[np.uint32], vectors: NDArray[np.float32], costs: SegmentCosts
) -> Calibration:
    """The calibration of a segment with codes.

    :param rows: uint32 [q], the rows that serve as queries; ``vectors`` float32 [q, d] are theirs.
    """
    curves = {}
    for trial in TRIALS:
        if trial.k < costs.rows:
            points = _points(searcher, rows[: trial.queries], vectors[: trial.queries], costs, trial)
            curves[trial.k] = _frontier(points, costs)
    return Calibration(curves)


def _points(
    searcher: Searcher, rows: NDArray[np.uint32], vectors: NDArray[np.float32], costs: SegmentCosts, trial: Trial
) -> list[Point]:
    k = trial.k
    wide = Plan(Strategy.CODE_SCAN, 0, max(TRUTH_CANDIDATES, 5 * k), k, TRUTH_SIGMAS)
    truth, _, _ = searcher.search(vectors, k, wide, left_out=rows)
    points: list[Point] = []
    for beam in [b for b in BEAMS if b >= k] if costs.has_graph else [0]:
        best = 0.0
        for sigmas in trial.sigmas:
            plan = rerank_plan(Strategy.WALK if beam else Strategy.CODE_SCAN, k, beam, sigmas)
            found, _, counters = searcher.search(vectors, k, plan, left_out=rows)
            recall = _recall(found, truth)
            means = counters.means()
            points.append(Point(recall, Effort(beam, sigmas, means["distances"], means["reads"])))
            gain, best = recall - best, max(best, recall)
            if gain < GAIN_MIN:
                break
        if best >= ENOUGH:
            break
    return points


def rerank_plan(strategy: Strategy, k: int, beam: int, bound_sigmas: float, effort_max: int = 0) -> Plan:
    """A plan that walks or scans, with what follows from ``k`` for the comparing after it."""
    most = max(64, 4 * k) if strategy is Strategy.WALK else max(256, 8 * k)
    candidates = max(k, min(most, beam)) if strategy is Strategy.WALK else most
    return Plan(strategy, beam, candidates, k + max(2, k // 5), bound_sigmas, effort_max)


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
    wanted = target + MARGIN * (1 - target)
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
