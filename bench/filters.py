"""Searches under filters of every pass rate and correlation: recall, queries/s against no filter, what was done.

  python -m bench.filters --hard 200000
  python -m bench.filters --segment /data/lutra.segment --hard 200000     # built earlier from the same data

A filter passes rows at random, or by a threshold on how far a row lies the query's way (correlated), or the other way
(anti-correlated): each query then has its own. The answer is compared with the exact one under the same filter, and its
time with those of queries without a filter, one before each: a busy machine is busy for both. The medians count: what
delays one read does not. Each is asked twice and the second time counts: what lies under a disk may keep what was read
before, and the queries without a filter are asked again and again.
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from bench.ann import data
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Neighbours, Segment, calibrate
from lutra.vectors.writer import write_segment

Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
KINDS: Final = ("random", "correlated", "anti-correlated")
PASS_RATES: Final = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0001)
_BLOCK_ROWS: Final = 50_000
_SOURCES: Final = {"gistlike": data.gistlike, "hard": data.hard, "clustered": data.clustered, "uniform": data.uniform}


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of filter at one pass rate; one client, one thread."""

    kind: str
    pass_rate: float
    recall: float
    p50_ms: float
    p99_ms: float
    share_of_unfiltered: float
    """Queries a second against those without a filter, of the medians."""
    cpu_ms: float
    fewest: int
    """Rows of the shortest answer."""
    distances: float
    reads: float
    strategies: str
    """How many queries ended how."""


class Filters:
    """Masks over the rows of one data set, for some queries."""

    def __init__(self, vectors: Vectors, queries: Vectors) -> None:
        self._rows = len(vectors)
        blocks = [vectors[begin : begin + _BLOCK_ROWS] for begin in range(0, self._rows, _BLOCK_ROWS)]
        centre = np.sum([block.sum(axis=0, dtype=np.float64) for block in blocks], axis=0) / self._rows
        # [q, n]: how far each row lies each query's way.
        self._along = np.concatenate([(queries - centre.astype(np.float32)) @ block.T for block in blocks], axis=1)
        self._rng = np.random.default_rng(5)

    def mask(self, kind: str, pass_rate: float, query: int) -> Mask:
        """bool [n], of the query of that number; at least one row passes."""
        count = max(1, round(pass_rate * self._rows))
        mask = np.zeros(self._rows, np.bool_)
        if kind == "random":
            mask[self._rng.choice(self._rows, count, replace=False)] = True
            return mask
        along = self._along[query]
        order = np.argpartition(-along if kind == "correlated" else along, count - 1)
        mask[order[:count]] = True
        return mask


@dataclass(frozen=True, slots=True)
class Question:
    """What every point asks."""

    segment: Segment
    vectors: Vectors
    queries: Vectors
    k: int
    recall_target: float

    def ask(self, query: Vectors, mask: Mask | None) -> tuple[Neighbours, float, float]:
        """The answer, and the seconds it took: on the clock, and of the processor."""
        start_s, start_cpu_s = time.perf_counter(), time.thread_time()
        answer = self.segment.search(query[None], self.k, mask=mask, recall_target=self.recall_target, threads=1)
        return answer, time.perf_counter() - start_s, time.thread_time() - start_cpu_s


def run(question: Question) -> Iterator[Point]:
    """The unfiltered point first, then all others."""
    filters = Filters(question.vectors, question.queries)
    yield _point("none", 1.0, question, [None] * len(question.queries))
    for kind in KINDS:
        for pass_rate in PASS_RATES:
            yield _point(
                kind, pass_rate, question, [filters.mask(kind, pass_rate, i) for i in range(len(question.queries))]
            )


def _point(kind: str, pass_rate: float, question: Question, masks: Sequence[Mask | None]) -> Point:
    answers, seconds, cpu_s, unfiltered_s = [], [], 0.0, []
    for i, (query, mask) in enumerate(zip(question.queries, masks, strict=True)):
        unfiltered_s.append(question.ask(question.queries[i - 1], None)[1])
        question.ask(query, mask)  # a disk's first read of a place may take many times what the next one does
        answer, clock_s, processor_s = question.ask(query, mask)
        seconds.append(clock_s)
        cpu_s += processor_s
        answers.append(answer)
    hits = wanted = 0
    for query, mask, answer in zip(question.queries, masks, answers, strict=True):
        truth, _ = topk(query[None], question.vectors, question.k, question.segment.file.metric, mask)
        hits += len(np.intersect1d(truth, answer.ids))
        wanted += truth.size
    used = collections.Counter(Strategy(int(answer.counters.used[0])).name.lower() for answer in answers)
    return Point(
        kind,
        pass_rate,
        hits / wanted,
        1e3 * float(np.median(seconds)),
        1e3 * float(np.percentile(seconds, 99)),
        float(np.median(unfiltered_s) / np.median(seconds)),
        1e3 * cpu_s / len(answers),
        min(answer.ids.shape[1] for answer in answers),
        float(np.mean([answer.counters.distances[0] for answer in answers])),
        float(np.mean([answer.counters.reads[0] for answer in answers])),
        " ".join(f"{name} {count}" for name, count in used.most_common()),
    )


def print_table(points: list[Point]) -> None:
    """To standard output."""
    table = Table(
        "filter", "pass", "recall", "p50 ms", "p99 ms", "x none", "cpu ms", "fewest", "distances", "reads", "ended as"
    )
    for p in points:
        table.add_row(
            p.kind,
            f"{100 * p.pass_rate:g} %",
            f"{p.recall:.3f}",
            f"{p.p50_ms:.2f}",
            f"{p.p99_ms:.2f}",
            f"{p.share_of_unfiltered:.2f}",
            f"{p.cpu_ms:.2f}",
            str(p.fewest),
            f"{p.distances:,.0f}",
            f"{p.reads:.1f}",
            p.strategies,
        )
    Console(width=150).print(table)


def main() -> None:
    """Command line."""
    arguments = _parser().parse_args()
    kind, rows = next((k, getattr(arguments, k)) for k in _SOURCES if getattr(arguments, k))
    block = _SOURCES[kind](arguments.dim)
    vectors, queries = data.rows(block, rows), data.queries(block, rows, arguments.queries)
    with tempfile.TemporaryDirectory(prefix="lutra-filters-") as folder:
        path = arguments.segment or Path(folder) / "segment"
        if not path.exists():
            plan = BuildPlan(SegmentKind.GRAPH, choose_code_bits(arguments.dim))
            write_segment(path, vectors, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
        budget_bytes = None if arguments.memory_cap is None else int(arguments.memory_cap * rows)
        with Segment.open(path, memory_budget_bytes=budget_bytes) as segment:
            points = list(run(Question(segment, vectors, queries, arguments.k, arguments.recall)))
    print_table(points)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.filters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    for kind, maker in _SOURCES.items():
        source.add_argument(
            f"--{kind}", type=int, metavar="N", help=(maker.__doc__ or "").splitlines()[0].replace("%", "%%")
        )
    parser.add_argument("--dim", type=int, default=960)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--recall", type=float, default=0.95, help="the target")
    parser.add_argument("--segment", type=Path, help="a segment of these data; written there where it is not yet")
    parser.add_argument(
        "--memory-cap", type=float, metavar="BYTES_PER_VECTOR", help="what the segment may keep in memory"
    )
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    main()
