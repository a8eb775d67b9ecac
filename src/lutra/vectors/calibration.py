"""How much effort a recall takes in a segment: measured when it is built, by its trials, and kept in its footer."""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from lutra.kernels.searcher import Plan, Strategy
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.strays import Strays

FIRST_MIN: Final = 8
"""Rows compared without asking: for one neighbour too, the first by estimate is often not the nearest."""
MARGIN: Final = 0.17
"""Share of the misses a target allows that is kept back for what a sample does not show,"""
MARGIN_MIN: Final = 0.0045
"""but at least so much of recall: rows that were linked into the graph are found more easily than other vectors,"""
MARGIN_MAX: Final = 0.6
"""and at most this share."""

CHECKED_NEIGHBOURS: Final = 10
"""Of a query of the check."""
SURPRISING: Final = 1.5
"""Times what was planned to be read: so much is taken for what searches read."""
LIST_GROWTH_DEFAULT: Final = 0.5
LIST_GROWTH_MIN: Final = 0.1
"""Of the rows that lists looked at have: for ten times the neighbours 1.3 times as many at least."""
FAMILIAR_MARGIN: Final = 0.05
"""Of the farthest k-th neighbour that was measured: of some hundred queries the farthest is not the farthest of all."""


class Fallback(enum.StrEnum):
    """What a segment's searches do where what was planned for them misses its recall, as its build found."""

    NONE = "none"
    """What was planned finds enough."""
    SCAN = "scan"
    """All codes are scanned, and compared by a wide bound."""
    EXACT = "exact"
    """All rows are compared."""


class Compared(NamedTuple):
    """Vectors that a query of a build's check compares."""

    mean: float = 0.0
    median: float = 0.0
    """Of the most: where a few read all, the mean is of none."""


class Checked(NamedTuple):
    """What a build's check of a segment's searches found."""

    recall: float | None
    """Of the ten nearest; None where nothing was checked."""
    fallback: Fallback
    """What it took."""
    exact_rows: int = 0
    """That codes do not describe, so that every search compares them."""


class ListEffort(NamedTuple):
    """What to spend on a query that goes by lists, and what that came to when it was measured."""

    covers: int
    reach: float
    """As `lutra.kernels.searcher.Plan` has both."""
    reach_most: float
    """For who wants more than was planned: of the most that was found."""
    bound_sigmas: float
    rows: float
    """That the lists looked at have."""
    rows_most: float
    growth: float
    """By the number of neighbours to this power more rows are looked at."""
    reads: float
    slack: float = 0.0
    """As `lutra.kernels.searcher.Plan` has it; 0: there are no fast codes, or they tell too little."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What to spend on a query, and what that came to when it was measured."""

    beam: int
    """0 in a segment without a graph."""
    bound_sigmas: float
    distances: float
    reads: float
    lists: ListEffort | None = None
    """None: there are no lists, or they find too little."""


UNMEASURED_READS_FACTOR: Final = 1.1
"""Times what is read without asking (5,000 x 96, scans by the default bound: 8, 13 and 107 of 8, 12 and 120)."""
DEFAULT_EFFORT: Final = Effort(beam=256, bound_sigmas=1.6, distances=8_000.0, reads=25.0)
"""For a segment that was not calibrated."""


@dataclass(frozen=True, slots=True)
class Point:
    recall: float
    effort: Effort


class Calibration:
    """Recall against effort, for the numbers of neighbours that were measured."""

    def __init__(
        self,
        curves: Mapping[int, Sequence[Point]],
        farthest: Mapping[int, float] | None = None,
        fallback: Fallback = Fallback.NONE,
        recall: float | None = None,
        apart: Sequence[int] = (),
        compared: Compared = Compared(),  # noqa: B008 (immutable)
        lists: ListCurves | None = None,
        nearest: Mapping[int, float] | None = None,
        strays: Strays | None = None,
    ) -> None:
        """``curves``: by k, points of ascending recall and cost. ``farthest``: by k, how far a k-th neighbour was at
        most; under inner product, of queries of length 1. ``recall``: of the ten nearest, checked after all that, and
        ``compared``: what each query of the check compared for it. ``apart``: rows that walks to them do not
        find, so that all walks look at them, too. ``lists``: of searches by lists. ``nearest``: as ``farthest``, how
        near one was at least, but for a few. ``strays``: of queries that rows stand out less for."""
        self.fallback = fallback
        self.apart = tuple(apart)
        self.recall = recall
        self.lists = lists
        self.strays = strays
        self._nearest = dict(sorted((nearest or {}).items()))
        self._compared = compared
        self._curves = {k: tuple(points) for k, points in sorted(curves.items()) if points}
        self._farthest = dict(sorted((farthest or {}).items()))

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
            },
            {int(k): float(distance) for k, distance in document.get("farthest", {}).items()},
            Fallback(document.get("fallback", Fallback.NONE)),
            document.get("recall"),
            [int(row) for row in document.get("apart", ())],
            Compared(float(document.get("compared", 0.0)), float(document.get("compared_mostly", 0.0))),
            ListCurves.from_json(document["lists"]) if "lists" in document else None,
            {int(k): float(distance) for k, distance in document.get("nearest", {}).items()},
            Strays.from_json(document["strays"]) if "strays" in document else None,
        )

    def to_json(self) -> dict[str, Any]:
        return (
            {
                "curves": {
                    str(k): [
                        [p.recall, p.effort.beam, p.effort.bound_sigmas, p.effort.distances, p.effort.reads]
                        for p in points
                    ]
                    for k, points in self._curves.items()
                },
                "farthest": {str(k): distance for k, distance in self._farthest.items()},
                "fallback": self.fallback.value,
                "recall": self.recall,
                "compared": self._compared.mean,
                "compared_mostly": self._compared.median,
            }
            | ({"apart": list(self.apart)} if self.apart else {})
            | ({"lists": self.lists.to_json()} if self.lists else {})
            | ({"nearest": {str(k): distance for k, distance in self._nearest.items()}} if self._nearest else {})
            | ({"strays": self.strays.to_json()} if self.strays else {})
        )

    def checked(self, fallback: Fallback, recall: float, compared: Compared = Compared()) -> Calibration:  # noqa: B008
        """The same, with what a check of it found."""
        return self._but(fallback=fallback, recall=recall, compared=compared)

    def with_apart(self, rows: Sequence[int]) -> Calibration:
        """The same, with rows that walks to them do not find."""
        return self._but(apart=rows)

    def with_fallback(self, fallback: Fallback) -> Calibration:
        """The same, done another way."""
        return self._but(fallback=fallback)

    def with_lists(self, lists: ListCurves | None) -> Calibration:
        """The same, with what searches by lists take."""
        return self._but(lists=lists)

    def with_strays(self, strays: Strays | None) -> Calibration:
        """The same, with what queries take that rows stand out less for."""
        return self._but(strays=strays)

    def _but(self, **changed: Any) -> Calibration:
        own = {
            "curves": self._curves,
            "farthest": self._farthest,
            "fallback": self.fallback,
            "recall": self.recall,
            "apart": self.apart,
            "compared": self._compared,
            "lists": self.lists,
            "nearest": self._nearest,
            "strays": self.strays,
        }
        return Calibration(**{**own, **changed})

    @property
    def curves(self) -> Mapping[int, Sequence[Point]]:
        """By k, points of ascending recall and cost."""
        return self._curves

    def measured_within(self, k: int) -> float:
        """A ``k``-th neighbour farther than this is none that effort was measured with; infinite where that is not
        known."""
        # Of more neighbours the last is farther: a number that was measured, and is no smaller.
        return next(
            (distance + FAMILIAR_MARGIN * abs(distance) for m, distance in self._farthest.items() if m >= k), math.inf
        )

    def measured_beyond(self, k: int) -> float:
        """A ``k``-th neighbour nearer than this is hardly one that effort was measured with."""
        # Of fewer neighbours the last is nearer: a number that was measured, and is no larger.
        return max((distance for m, distance in self._nearest.items() if m <= k), default=-math.inf)

    def wider_beam(self, k: int, recall_target: float) -> int:
        """Of a walk for a query that rows stand out less for; 0: none finds enough."""
        if self.strays is None:
            return 0
        usual = self._effort(CHECKED_NEIGHBOURS, recall_target).beam
        share = self._effort(k, recall_target).beam / max(usual, 1)
        return math.ceil(self.strays.beam(_aimed_at(recall_target)) * share)

    def expected_effort(self, k: int, recall_target: float, *, filtered: bool) -> Effort:
        """As `effort`, but for the reads: those that the check came to, where they are many more than was planned.

        Codes that do not tell rows apart leave so many in doubt that to compare all may cost less: more often where a
        filter leaves fewer, so that the mean tells of it; without one, what most queries came to.
        """
        effort = self.effort(k, recall_target)
        compared = self._compared.mean if filtered else self._compared.median
        compared *= _without_asking(k) / _without_asking(CHECKED_NEIGHBOURS)
        return effort if compared <= SURPRISING * effort.reads else replace(effort, reads=compared)

    def expected_recall(self, k: int, recall_target: float) -> float | None:
        """What `effort` was measured to find of ``k`` neighbours; where it was not, what the check found, if any."""
        if not self._curves:
            return self.recall
        lower, upper = self._around(k)
        below, above = (_recall_of(self._curves[m], recall_target) for m in (lower, upper))
        if lower == upper:
            return below
        return below + math.log(k / lower) / math.log(upper / lower) * (above - below)

    def _around(self, k: int) -> tuple[int, int]:
        """The numbers of neighbours that were measured next to ``k``."""
        measured = list(self._curves)
        return (
            max((m for m in measured if m <= k), default=measured[0]),
            min((m for m in measured if m >= k), default=measured[-1]),
        )

    def effort(self, k: int, recall_target: float) -> Effort:
        """What reaches ``recall_target`` of ``k`` neighbours; the most that was measured where none does."""
        effort = self._effort(k, recall_target)
        return effort if self.lists is None else replace(effort, lists=self.lists.effort(k, recall_target))

    def _effort(self, k: int, recall_target: float) -> Effort:
        if not self._curves:
            beam = max(DEFAULT_EFFORT.beam, 2 * k)
            reads = UNMEASURED_READS_FACTOR * _without_asking(k)
            return Effort(beam, DEFAULT_EFFORT.bound_sigmas, DEFAULT_EFFORT.distances, reads)
        lower, upper = self._around(k)
        below, above = _reach(self._curves[lower], recall_target), _reach(self._curves[upper], recall_target)
        if lower == upper:
            return _scaled(below, max(1.0, k / lower))
        share = math.log(k / lower) / math.log(upper / lower)
        return _between(below, above, share)


def _without_asking(k: int) -> int:
    """Rows that are compared whatever codes say."""
    return max(k + k // 5, FIRST_MIN)


class ListCurves:
    """Recall against how far lists are reached for, in thousandths in place of a beam, and the rows of these lists in
    the place of distances."""

    def __init__(self, curves: Mapping[int, Sequence[Point]], least: int, slack: float = 0.0) -> None:
        """``curves``: as of `Calibration`, at least one; ``least``: rows to cover so that every row finds itself;
        ``slack``: of fast codes; 0: they are not gone by."""
        self._curves = Calibration(curves)
        self._least = least
        self._slack = slack

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ListCurves | None:
        """What `to_json` gave; None where it has no curve. Raises KeyError, TypeError or ValueError."""
        curves = Calibration.from_json(document).curves
        slack = float(document.get("slack", 0.0))
        if not (math.isfinite(slack) and slack >= 0):
            raise ValueError(f"a slack of {slack}")
        return cls(curves, int(document["least"]), slack) if curves else None

    def to_json(self) -> dict[str, Any]:
        document = {"curves": self._curves.to_json()["curves"], "least": self._least}
        return document | ({"slack": self._slack} if self._slack else {})

    def effort(self, k: int, recall_target: float) -> ListEffort:
        """As `Calibration.effort`. Reaches hardly depend on ``k``: beyond what was measured they are the same."""
        few, many = min(self._curves.curves), max(self._curves.curves)
        effort = self._curves.effort(min(k, many), recall_target)
        most = self._curves.effort(min(k, many), 1.0)
        growth = LIST_GROWTH_DEFAULT
        if few < many:
            fewer, more = (max(1.0, self._curves.effort(m, recall_target).distances) for m in (few, many))
            growth = min(max(math.log(more / fewer) / math.log(many / few), LIST_GROWTH_MIN), 1.0)
        beyond = max(1.0, k / many)
        return ListEffort(
            self._least,
            effort.beam / 1_000,
            most.beam / 1_000,
            effort.bound_sigmas,
            effort.distances * beyond**growth,
            most.distances * beyond**growth,
            growth,
            effort.reads * beyond,
            self._slack,
        )


def rerank_plan(strategy: Strategy, k: int, beam: int, bound_sigmas: float, effort_max: int = 0) -> Plan:
    """A plan that walks or scans, with what follows from ``k`` for the comparing after it."""
    is_partial = strategy in (Strategy.WALK, Strategy.LIST_SCAN)
    most = max(64, 4 * k) if is_partial else max(256, 8 * k)
    candidates = max(k, min(most, beam)) if strategy is Strategy.WALK else most
    return Plan(strategy, beam, candidates, _without_asking(k), bound_sigmas, effort_max)


def frontier(points: Sequence[Point], costs: SegmentCosts) -> list[Point]:
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


def _aimed_at(target: float) -> float:
    """More than a target, for what a sample does not show."""
    return target + min(max(MARGIN * (1 - target), MARGIN_MIN), MARGIN_MAX * (1 - target))


def _recall_of(points: Sequence[Point], target: float) -> float:
    """What was measured of the effort that `_reach` gives."""
    return min(max(_aimed_at(target), points[0].recall), points[-1].recall)


def _reach(points: Sequence[Point], target: float) -> Effort:
    wanted = _aimed_at(target)
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
