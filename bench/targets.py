"""Recall that was asked for beside recall that was reached, by queries like the rows and by others.

  python -m bench.targets                                            # all of it: 20,000 x 64, graphs and lists
  python -m bench.targets --data hard,clumps --segment graph --segments 4
  python -m bench.targets --rows 100000 --dim 128 --data hard --metric cosine --json targets.json

No query is a row, nor was one of those that the builds measured with. "like rows" are drawn as the rows are; the others
are made of such draws: with noise as long as the way to the nearest row, halfway between two of them, pushed aside or
far away all together, turned into other directions (and pushed aside, too: another modality, as of texts that ask for
pictures), longer or shorter than rows, and noise that has nothing of the data. The truth is exact.

Beside each recall stands how sure the sample makes it (95 %, a query as one trial), that of the twentieth of queries
that find least, and what a query took: distances beside those that were planned, and reads. ``-`` marks a recall below
the target by more than .01, ``+`` one above it by more than that: a cost, and no fault. The exit status says whether
a target was missed by more than .01, beyond what chance explains.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.ann import data
from bench.gallery import GALLERY
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy, search_segments
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind
from lutra.vectors.residency import code_residencies
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

Vectors = npt.NDArray[np.float32]
Random = np.random.Generator
Make = Callable[[Random, Vectors, "Scale"], Vectors]

TARGETS: Final = (0.9, 0.95, 0.99)
MISSED: Final = 0.01
TAIL: Final = 0.05
"""Of the queries: those that find least."""
_Z: Final = 1.959964
_EQUAL: Final = 1e-6
_SAMPLE: Final = 256
_PLENTY_BYTES: Final = 1 << 40
_MANIFOLDS: Final = {"hard": data.hard, "gistlike": data.gistlike, "clustered": data.clustered, "uniform": data.uniform}
_PICTURES: Final = {
    "clumps": "clumps of 100, 1.00%",
    "half equal": "half of rows equal",
    "heavy tails": "heavy tails",
    "lengths": "lengths over 4 decades",
    "words": "bags of words",
    "normal": "normal",
}
DATA: Final = (*_MANIFOLDS, *_PICTURES)
SEGMENTS: Final = {
    "graph": (SegmentKind.GRAPH, False),
    "lists": (SegmentKind.GRAPH, True),
    "links": (SegmentKind.GRAPH, False),
    "codes": (SegmentKind.CODES, False),
    "flat": (SegmentKind.FLAT, False),
}
LISTED: Final = "lists"
LINKED: Final = "links"


@dataclass(frozen=True, slots=True)
class Scale:
    """How long things are in some data."""

    mean: Vectors
    spread: float
    """Root of the mean squared distance from the mean."""
    nearest: float
    """The median way from a draw to the nearest row."""


def _like_rows(_rng: Random, drawn: Vectors, _scale: Scale) -> Vectors:
    return drawn


def _noised(rng: Random, drawn: Vectors, scale: Scale) -> Vectors:
    return drawn + np.float32(scale.nearest) * _directions(rng, drawn.shape)


def _between(_rng: Random, drawn: Vectors, _scale: Scale) -> Vectors:
    return np.asarray((drawn + np.roll(drawn, 1, axis=0)) / 2, np.float32)


def _aside(share: float) -> Make:
    def make(rng: Random, drawn: Vectors, scale: Scale) -> Vectors:
        return drawn + np.float32(share * scale.spread) * _directions(rng, (1, drawn.shape[1]))

    return make


def _turned(rng: Random, drawn: Vectors, scale: Scale) -> Vectors:
    """Half of what sets each apart from the mean goes into other directions."""
    rotation = np.linalg.qr(rng.standard_normal((drawn.shape[1], drawn.shape[1])))[0].astype(np.float32)
    own = drawn - scale.mean
    return np.asarray(scale.mean + np.float32(math.sqrt(0.5)) * (own + own @ rotation), np.float32)


def _modality(rng: Random, drawn: Vectors, scale: Scale) -> Vectors:
    return _aside(1.0)(rng, _turned(rng, drawn, scale), scale)


def _times(factor: float) -> Make:
    return lambda _rng, drawn, _scale: np.float32(factor) * drawn


def _noise(rng: Random, drawn: Vectors, scale: Scale) -> Vectors:
    return scale.mean + np.float32(scale.spread) * _directions(rng, drawn.shape)


def _directions(rng: Random, shape: tuple[int, ...]) -> Vectors:
    drawn = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


QUERIES: Final[dict[str, Make]] = {
    "like rows": _like_rows,
    "noised": _noised,
    "between": _between,
    "aside .3": _aside(0.3),
    "far": _aside(3.0),
    "turned": _turned,
    "modality": _modality,
    "x 3": _times(3.0),
    "x .3": _times(0.3),
    "noise": _noise,
}


@dataclass(frozen=True, slots=True)
class Reached:
    """What one target came to."""

    data: str
    metric: str
    segment: str
    queries: str
    k: int
    target: float
    recall: float
    half_width: float
    """Of the interval that holds the true recall for 95 % of the samples."""
    tail: float
    """The recall of the queries that find least."""
    distances: float
    planned: float
    """Distances, as the plan of the target foresees them."""
    reads: float
    strategies: str

    @property
    def is_missed(self) -> bool:
        return self.recall < self.target - MISSED

    @property
    def is_surely_missed(self) -> bool:
        return self.recall + self.half_width < self.target - MISSED

    @property
    def is_too_much(self) -> bool:
        return self.recall - self.half_width > self.target + MISSED


def drawn_of(name: str, rows: int, queries: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Rows, and as many draws like them as are asked for."""
    if name in _MANIFOLDS:
        block = _MANIFOLDS[name](dimension)
        return data.rows(block, rows), data.queries(block, rows, queries)
    picture = next(one for one in GALLERY if one.name == _PICTURES[name])
    return picture.draw(rows, queries, dimension)


@contextlib.contextmanager
def opened(rows: Vectors, metric: Metric, kind: str, count: int) -> Iterator[list[Segment]]:
    """``count`` segments that have the rows together, one after the other."""
    of, has_lists = SEGMENTS[kind]
    plan = BuildPlan(of, choose_code_bits(rows.shape[1]), has_lists=has_lists)
    with contextlib.ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-targets-"))
        segments = []
        for number, some in enumerate(np.array_split(rows, count)):
            path = Path(folder) / f"segment-{number}"
            write_segment(path, some, metric, plan=plan, calibrate=calibrate, on_order=lambda _: None).close()
            segments.append(closing.enter_context(_loaded(SegmentFile.open(path), kind)))
        yield segments


def _loaded(file: SegmentFile, kind: str) -> Segment:
    """With what of it is in memory where searches go that way: beside lists no graph."""
    if kind == LISTED:
        return Segment.load(file, code_residencies(file, graph=False)[0])
    return Segment.open(file, memory_budget_bytes=_PLENTY_BYTES if kind == LINKED else None)


@dataclass(frozen=True, slots=True)
class Found:
    """Of many queries."""

    recalls: npt.NDArray[np.float64]
    """Of each."""
    distances: float
    """A query."""
    reads: float


def asked(segments: Sequence[Segment], queries: Vectors, truth: Vectors, k: int, target: float) -> Found:
    """As an index searches its segments. ``truth`` [q, >= k]: how far the nearest are."""
    shares = [segment.share(np.arange(segment.rows, dtype=np.int32), k, None, None, target) for segment in segments]
    found = search_segments(queries, shares, k, [np.empty(0, np.float32)] * len(queries))
    bounds = truth[:, k - 1] + _EQUAL * np.abs(truth[:, k - 1])
    recalls, distances, reads = np.empty(len(queries)), 0, 0
    for number, (parts, bound) in enumerate(zip(found, bounds, strict=True)):
        near = np.concatenate([part.distances for part in parts])
        recalls[number] = min(k, int((near <= bound).sum())) / k
        distances += sum(part.figures[0] for part in parts)
        reads += sum(part.figures[3] for part in parts)
    return Found(recalls, distances / len(queries), reads / len(queries))


def scale_of(rows: Vectors, drawn: Vectors) -> Scale:
    mean = rows.mean(axis=0)
    nearest = topk(drawn[:_SAMPLE], rows, 1, Metric.EUCLIDEAN)[1][:, 0]
    spread = float(np.sqrt(((rows - mean) ** 2).sum(axis=1).mean()))
    return Scale(mean, spread, float(np.median(np.sqrt(nearest))))


def made(of: str, drawn: Vectors, scale: Scale) -> Vectors:
    """float32 [q, d]: queries of one of `QUERIES`, of draws of the data."""
    return np.ascontiguousarray(QUERIES[of](np.random.default_rng(5), drawn, scale), np.float32)


def reached(name: str, metric: Metric, kind: str, options: argparse.Namespace) -> Iterator[Reached]:
    """What all targets come to, of all queries, in segments of one kind with the rows of one kind of data."""
    rows, drawn = drawn_of(name, options.rows, options.queries, options.dim)
    scale = scale_of(rows, drawn)
    with opened(rows, metric, kind, options.segments) as segments:
        for of in options.kinds:
            queries = made(of, drawn, scale)
            truth = topk(queries, rows, max(options.k), metric)[1]
            for k in options.k:
                for target in TARGETS:
                    found = asked(segments, queries, truth, k, target)
                    worst = np.sort(found.recalls)[: max(1, round(TAIL * len(queries)))]
                    yield Reached(
                        name,
                        metric.name.lower(),
                        kind,
                        of,
                        k,
                        target,
                        float(found.recalls.mean()),
                        _Z * float(found.recalls.std()) / math.sqrt(len(queries)),
                        float(worst.mean()),
                        found.distances,
                        sum(one.predicted(k, recall_target=target).distances for one in segments),
                        found.reads,
                        _ways(segments, queries, k, target),
                    )


def _ways(segments: Sequence[Segment], queries: Vectors, k: int, target: float) -> str:
    """By which strategies the first segment answers some of the queries in the end."""
    used = segments[0].search(queries[:32], k, recall_target=target).counters.used
    names, counts = np.unique(used, return_counts=True)
    return ", ".join(f"{Strategy(int(one)).name.lower()} {count}" for one, count in zip(names, counts, strict=True))


def line_of(one: Reached) -> str:
    mark = "-" if one.is_missed else "+" if one.is_too_much else " "
    return (
        f"{mark} {one.data:11} {one.queries:9} k {one.k:<4} {one.target:4.2f}: {one.recall:.4f} ± {one.half_width:.4f}"
        f", tail {one.tail:.2f}  {one.distances:8,.0f} of {one.planned:8,.0f} distances {one.reads:7,.1f} reads"
        f"  {one.strategies}"
    )


def summary_of(found: Sequence[Reached]) -> Iterator[str]:
    """By queries: how many targets were missed, the worst of them, and by how much the others were passed."""
    for of in QUERIES:
        those = [one for one in found if one.queries == of]
        if not those:
            continue
        worst = min(those, key=lambda one: one.recall - one.target)
        above = [one.recall - one.target for one in those if one.target < max(TARGETS)]
        yield (
            f"{of:9} {sum(one.is_missed for one in those):4} of {len(those):4} missed, worst {worst.recall:.4f} of"
            f" {worst.target} ({worst.data}, {worst.metric}, {worst.segment}); .9 and .95 passed by"
            f" {sum(above) / max(1, len(above)):.3f} on average"
        )


def _list_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        wrong = [one for one in text.split(",") if one not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)} is none of {', '.join(known)}")
        return text.split(",")

    return parse


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.targets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--data", type=_list_of(DATA), default=list(DATA), help="[default: all]")
    parser.add_argument("--kinds", type=_list_of(QUERIES), default=list(QUERIES), help="of queries [default: all]")
    metrics = [metric.name.lower() for metric in Metric]
    parser.add_argument("--metric", type=_list_of(metrics), default=["euclidean"], help="[default: euclidean]")
    segment = "[default: graph,lists]"
    parser.add_argument("--segment", type=_list_of(SEGMENTS), default=["graph", "lists"], help=segment)
    parser.add_argument("--segments", type=int, default=1, help="that have the rows together")
    parser.add_argument("--k", type=lambda text: [int(one) for one in text.split(",")], default=[10])
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    options = parser.parse_args()
    found: list[Reached] = []
    for metric, kind in itertools.product(options.metric, options.segment):
        print(f"{options.rows:,} x {options.dim}, {metric}, {kind}, {options.segments} segment(s)")
        for name in options.data:
            for one in reached(name, Metric[metric.upper()], kind, options):
                found.append(one)
                print(line_of(one), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    print(*summary_of(found), sep="\n")
    missed = [one for one in found if one.is_surely_missed]
    print(f"{len(found)} targets, {sum(one.is_missed for one in found)} missed by more than {MISSED}")
    if missed:
        sys.exit(f"{len(missed)} of them beyond what chance explains")


if __name__ == "__main__":
    main()
