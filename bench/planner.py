"""The planner against an oracle: every way a search can go, on the same queries, beside the one that was chosen.

  python -m bench.planner                                  # the grid: rows, kinds, residencies, filters, k
  python -m bench.planner --rows 20000 --only graph --dim 128 --json planner.json
  python -m bench.planner --rows 60000 --clock             # times of the clock, on a machine with nothing else to do

Filters pass rows by chance, or by how far a row lies the query's way (correlated) or the other (anti-correlated). A way
is as good as the least of its times for each query; of the ways that find enough, the fastest is the oracle's. Times
are of the processor, as long as ``--clock`` is not given: then waiting for reads counts, too. What was predicted is
held against the way that was gone: the one that it ended by. The exit status says whether a way cost more than it may,
was predicted worse than it may, found too little, or gave fewer than k rows while k qualify.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.ann import data
from bench.filters import Filters
from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, SearchCounters, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind
from lutra.vectors.residency import Residency, choose_residency, code_residencies
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Clock = Callable[[], float]
"""Seconds."""

PASS_RATES: Final = (1.0, 0.5, 0.1, 0.01, 0.001, 0.0001)
NEIGHBOURS: Final = (1, 10, 100)
CORRELATIONS: Final = ("random", "correlated", "anti-correlated")
ROWS: Final = {SegmentKind.FLAT: (1_000,), SegmentKind.CODES: (5_000, 20_000), SegmentKind.GRAPH: (20_000, 60_000)}
FACTOR_MAX: Final = 1.5
"""Of the oracle's time, and between what was predicted and what it took."""
NOTICED_US: Final = 30.0
"""Of a query: a call alone may take that."""
RECALL_MIN: Final = 0.93
"""Of a way that counts: the target, less what a few queries miss by chance."""
_TIMES: Final = 3
_HOPELESS: Final = 5.0
"""Times what the chosen way takes: a way whose first query takes longer is not asked for the others."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Of the grid."""

    kind: str
    rows: int
    residency: str
    correlation: str
    pass_rate: float
    k: int

    def __str__(self) -> str:
        filtered = "no filter" if self.pass_rate == 1 else f"{100 * self.pass_rate:g} % {self.correlation}"
        return f"{self.kind} {self.rows:,} {self.residency}, {filtered}, k {self.k}"


@dataclass(frozen=True, slots=True)
class Way:
    """What going one way took: means of the queries that were asked."""

    strategy: str
    predicted_us: float
    us: float
    distances: float
    reads: float
    recall: float
    fewest: int
    """Rows of the shortest answer, less those there could be: 0, or below."""
    ended: str
    """How most of them ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one cell; the first way is the chosen one."""

    cell: Cell
    ways: list[Way]

    @property
    def chosen(self) -> Way:
        return self.ways[0]

    @property
    def best(self) -> Way:
        """The fastest of those that find enough."""
        enough = min(RECALL_MIN, self.chosen.recall)
        return min((way for way in self.ways if way.recall >= enough), key=lambda way: way.us)

    @property
    def against_best(self) -> float:
        return self.chosen.us / self.best.us

    @property
    def predicted_us(self) -> float:
        """Of the way that was gone: a plan that is given up on the way is so early."""
        return next(
            (way.predicted_us for way in self.ways if way.strategy == self.chosen.ended), self.chosen.predicted_us
        )

    @property
    def predicted_share(self) -> float:
        """Of what it took."""
        return self.predicted_us / self.chosen.us

    @property
    def faults(self) -> list[str]:
        chosen, found = self.chosen, []
        if self.against_best > FACTOR_MAX and chosen.us > self.best.us + NOTICED_US:
            found.append("slow")
        apart = abs(self.predicted_us - chosen.us)
        if not 1 / FACTOR_MAX <= self.predicted_share <= FACTOR_MAX and apart > NOTICED_US:
            found.append("predicted")
        if chosen.recall < RECALL_MIN:
            found.append("recall")
        return found + (["fewer"] if chosen.fewest < 0 else [])


@dataclass(frozen=True, slots=True)
class Question:
    """Queries, each with its own filter, and the true answers under it."""

    queries: Vectors
    masks: list[RowMask | None]
    truths: list[npt.NDArray[np.float32]]
    """Of each query the distances of the nearest, as many as are ever asked for, or as there are."""


class Measured:
    """One segment in one residency, asked all ways."""

    def __init__(self, segment: Segment, clock: Clock, recall_target: float) -> None:
        self._segment = segment
        self._clock = clock
        self._recall_target = recall_target

    def outcome(self, cell: Cell, question: Question) -> Outcome:
        mask = question.masks[0]
        qualifying = None if mask is None else mask.count
        predicted = self._segment.predicted(cell.k, qualifying, recall_target=self._recall_target)
        names = sorted(predicted.us, key=lambda name: predicted.us[name])
        us = predicted.us if self._clock is time.perf_counter else predicted.processor_us
        chosen = self._way(names[0], us[names[0]], cell.k, question, math.inf)
        others = [self._way(name, us[name], cell.k, question, _HOPELESS * chosen.us) for name in names[1:]]
        return Outcome(cell, [chosen, *others])

    def _way(self, name: str, predicted_us: float, k: int, question: Question, hopeless_us: float) -> Way:
        strategy = Strategy[name.upper()]
        taken_us: list[float] = []
        hits = wanted = fewest = 0
        figures, ended = np.zeros(2), []
        for query, mask, truth in zip(question.queries, question.masks, question.truths, strict=True):
            count, plan = self._segment.plan_of(strategy, k, mask, self._recall_target)
            us, distances, counters = self._ask(query, count, plan, mask)
            taken_us.append(us)
            kth = truth[min(k, len(truth)) - 1]
            hits += int((distances <= kth).sum())
            wanted += min(k, len(truth))
            fewest = min(fewest, len(distances) - min(k, len(truth)))
            figures += (counters.distances[0], counters.reads[0])
            ended.append(Strategy(int(counters.used[0])).name.lower())
            if us > hopeless_us:
                break
        asked = len(taken_us)
        return Way(
            name,
            predicted_us,
            float(np.mean(taken_us)),
            float(figures[0]) / asked,
            float(figures[1]) / asked,
            min(1.0, hits / wanted),
            fewest,
            max(set(ended), key=ended.count),
        )

    def _ask(self, query: Vectors, k: int, plan: Plan, mask: RowMask | None) -> tuple[float, Vectors, SearchCounters]:
        """The least microseconds of several times, the distances found, and the counters."""
        least = math.inf
        for _ in range(_TIMES):
            begin = self._clock()
            _, distances, counters = self._segment.searcher.search(query[None], k, plan, mask=mask, threads=1)
            least = min(least, self._clock() - begin)
        found = distances[0]
        return 1e6 * least, found[np.isfinite(found)], counters


@dataclass(frozen=True, slots=True)
class Grid:
    """What is built, and asked."""

    kinds: Sequence[SegmentKind]
    rows: Sequence[int]
    """In place of those of `ROWS`, where there are any."""
    dimension: int
    queries: int
    recall_target: float
    has_lists: bool
    """Whether graphs have their rows in lists."""


def measure(grid: Grid, clock: Clock) -> Iterator[Outcome]:
    """All outcomes of the grid."""
    block = data.hard(grid.dimension)
    for kind in grid.kinds:
        for count in grid.rows or ROWS[kind]:
            vectors, asked = data.rows(block, count), data.queries(block, count, grid.queries)
            with tempfile.TemporaryDirectory(prefix="lutra-planner-") as folder:
                path = Path(folder) / "segment"
                vectors = _written(path, vectors, kind, grid)
                yield from _of_segment(path, kind, vectors, asked, clock, grid.recall_target)


def _written(path: Path, vectors: Vectors, kind: SegmentKind, grid: Grid) -> Vectors:
    """The rows, as they are in the segment."""
    has_lists = grid.has_lists and kind is SegmentKind.GRAPH
    plan = BuildPlan(kind, choose_code_bits(grid.dimension), has_lists=has_lists)
    orders: list[npt.NDArray[np.uint32]] = []
    measured = calibrate if kind is SegmentKind.GRAPH else check
    write_segment(
        path,
        vectors,
        Metric.EUCLIDEAN,
        plan=plan,
        calibrate=measured,
        on_order=lambda order: orders.append(order.copy()),
    ).close()
    return vectors[orders[0]] if orders else vectors


def _of_segment(
    path: Path, kind: SegmentKind, vectors: Vectors, queries: Vectors, clock: Clock, recall_target: float
) -> Iterator[Outcome]:
    filters = Filters(vectors, queries)
    opened = {}
    for name, residency in residencies(path).items():
        file = SegmentFile.open(path)
        opened[name] = Segment.load(file, residency)
    try:
        for correlation, pass_rate in itertools.product(CORRELATIONS, PASS_RATES):
            if pass_rate == 1 and correlation != CORRELATIONS[0]:
                continue
            if pass_rate * len(vectors) < 1:
                continue
            question = _question(vectors, queries, filters, correlation, pass_rate)
            for (name, segment), k in itertools.product(opened.items(), NEIGHBOURS):
                cell = Cell(kind.value, len(vectors), name, correlation, pass_rate, k)
                yield Measured(segment, clock, recall_target).outcome(cell, question)
    finally:
        for segment in opened.values():
            segment.close()


def residencies(path: Path) -> dict[str, Residency]:
    """All in memory, codes alone, and next to nothing; as far as these differ."""
    with SegmentFile.open(path) as file:
        found = {"all": choose_residency(file, None)}
        alone = code_residencies(file, graph=False)
        if file.kind is SegmentKind.GRAPH and alone:
            found["codes"] = alone[-1]
        if file.codes is not None:
            found["little"] = Residency(None, False)
    return found


def _question(vectors: Vectors, queries: Vectors, filters: Filters, correlation: str, pass_rate: float) -> Question:
    masks: list[Mask | None] = [
        None if pass_rate == 1 else filters.mask(correlation, pass_rate, number) for number in range(len(queries))
    ]
    truths = []
    for query, mask in zip(queries, masks, strict=True):
        _, distances = topk(query[None], vectors, max(NEIGHBOURS), Metric.EUCLIDEAN, mask)
        truths.append(distances[0])
    return Question(queries, [None if mask is None else RowMask(mask) for mask in masks], truths)


def line_of(outcome: Outcome) -> str:
    """For people."""
    chosen, best = outcome.chosen, outcome.best
    ways = "  ".join(f"{way.strategy} {way.us:,.0f} ({way.predicted_us:,.0f})" for way in outcome.ways)
    mark = ",".join(outcome.faults)
    return (
        f"{outcome.cell!s:60} {chosen.strategy:11} {outcome.against_best:5.2f} x {best.strategy:11} "
        f"predicted {outcome.predicted_share:4.2f}  recall {chosen.recall:.3f}  "
        f"{chosen.distances:,.0f} distances, {chosen.reads:,.0f} reads  {ways}  {mark}"
    )


def summary_of(outcomes: Sequence[Outcome]) -> str:
    """How many cells lie within the bounds."""
    count = len(outcomes)
    told = [f"{count} cells"]
    for fault in ("slow", "predicted", "recall", "fewer"):
        told.append(f"{fault}: {sum(fault in outcome.faults for outcome in outcomes)}")
    slowest = max(outcomes, key=lambda outcome: outcome.against_best)
    shares = [outcome.predicted_share for outcome in outcomes]
    told.append(f"worst {slowest.against_best:.2f} x the best ({slowest.cell})")
    told.append(f"predicted {min(shares):.2f} to {max(shares):.2f} of what it took, median {np.median(shares):.2f}")
    return "; ".join(told)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.planner", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", default=[], help="in place of the grid's; again for more")
    parser.add_argument(
        "--only", choices=[kind.value for kind in SegmentKind], action="append", help="kinds; may be said again"
    )
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--queries", type=int, default=16)
    parser.add_argument("--recall", type=float, default=0.95, help="the target")
    parser.add_argument("--lists", action="store_true", help="graphs have their rows in lists")
    parser.add_argument("--clock", action="store_true", help="times of the clock, not of the processor")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    options = parser.parse_args()
    clock = time.perf_counter if options.clock else time.thread_time
    kinds = [SegmentKind(kind) for kind in options.only or [kind.value for kind in SegmentKind]]
    outcomes: list[Outcome] = []
    grid = Grid(kinds, options.rows, options.dim, options.queries, options.recall, options.lists)
    for outcome in measure(grid, clock):
        outcomes.append(outcome)
        print(line_of(outcome), flush=True)
    print(summary_of(outcomes))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    if any(outcome.faults for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
