"""Recall on data that is not nice, and the time beside brute force: `bench.gallery`, hung picture by picture.

  python -m bench.recall                                  # all of it, a graph of 22,000 x 64
  python -m bench.recall --kind codes --only clumps       # codes without a graph, some pictures

A neighbour counts as found where its distance is that of the k-th true one or less: which of equals are returned is
the index's to choose. The times are of one thread, medians, beside a search that reads and compares all rows.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.gallery import FILTERS, GALLERY, Picture
from lutra.kernels.searcher import Plan, RowMask, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.writer import write_segment

Vectors = npt.NDArray[np.float32]
NEIGHBOURS: Final = (1, 10, 100)
TARGET: Final = 0.95
OWN_ROWS: Final = 200
_TIMED: Final = 30


@dataclass(frozen=True, slots=True)
class Hung:
    """What was found of one picture."""

    picture: str
    metric: str
    filter: str
    recall: dict[int, float]
    """By k."""
    own: float
    """Of rows that are asked for by themselves: the share that is first, or as near as who is."""
    ms: float
    """A query, of the ten nearest."""
    brute_force_ms: float
    strategies: dict[str, int]

    @property
    def falls_short(self) -> bool:
        return min(self.recall.values()) < TARGET or self.own < 1


def distances(rows: Vectors, queries: Vectors, metric: Metric) -> npt.NDArray[np.float64]:
    """float64 [q, n], in the index's sense: smaller is nearer."""
    base, asked = rows.astype(np.float64), queries.astype(np.float64)
    if metric is Metric.EUCLIDEAN:
        return np.stack([((base - one) ** 2).sum(axis=1) for one in asked])
    if metric is Metric.COSINE:
        base, asked = _unit(base), _unit(asked)
        return np.asarray(1 - asked @ base.T)
    return np.asarray(-(asked @ base.T))


def recall(found: npt.NDArray[np.int64], all_distances: npt.NDArray[np.float64], k: int) -> float:
    """The share of the ``k`` nearest, as far as there are so many, that are among ``found`` [q, k], by distance.

    -1: nothing is found there. Rows that do not count are infinitely far.
    """
    k = min(k, all_distances.shape[1])
    wanted = np.minimum(np.isfinite(all_distances).sum(axis=1), k)
    kth = np.take_along_axis(np.sort(all_distances, axis=1), np.maximum(wanted - 1, 0)[:, None], axis=1)
    allowed = kth + 1e-6 * np.abs(kth) + 1e-12
    reached = np.take_along_axis(all_distances, np.maximum(found, 0), axis=1)
    hits = np.minimum(((reached <= allowed) & (found >= 0)).sum(axis=1), wanted)
    return float(hits.sum() / wanted.sum()) if wanted.any() else 1.0


def hang(
    picture: Picture, rows: int, queries: int, dimension: int, metric: Metric, kind: SegmentKind, filters: Sequence[str]
) -> list[Hung]:
    """Builds a segment of the picture and asks it."""
    base, asked = picture.draw(rows, queries, dimension)
    plan = BuildPlan(kind, choose_code_bits(dimension))
    hung = []
    with tempfile.TemporaryDirectory(prefix="lutra-recall-") as folder:
        path = Path(folder) / "segment"
        measure = calibrate if kind is SegmentKind.GRAPH else check
        write_segment(path, base, metric, plan=plan, calibrate=measure).close()
        with Segment.open(path) as segment:
            hung.append(_ask(picture, segment, base, asked, metric))
            if not picture.spoil and picture.queries is None:
                hung += [_ask(picture, segment, base, asked[:50], metric, name) for name in filters]
    return hung


def _ask(picture: Picture, segment: Segment, base: Vectors, asked: Vectors, metric: Metric, filtered: str = "") -> Hung:
    true = distances(base, asked, metric)
    masks = [FILTERS[filtered](base, query) for query in asked] if filtered else [None] * len(asked)
    for mask, line in zip(masks, true, strict=True):
        if mask is not None:
            line[~mask] = np.inf
    recalls, used = {}, collections.Counter[str]()
    for k in NEIGHBOURS:
        found = [segment.search(query[None], k, mask=mask) for query, mask in zip(asked, masks, strict=True)]
        recalls[k] = recall(np.concatenate([one.ids for one in found]), true, k)
        if k == 10:
            used.update(Strategy(int(one.counters.used[0])).name for one in found)
    own = 1.0
    if not filtered:
        chosen = np.random.default_rng(1).choice(len(base), OWN_ROWS, replace=False)
        if metric is not Metric.DOT_PRODUCT:
            ids = segment.search(base[chosen], 1).ids
            own = recall(ids, distances(base, base[chosen], metric), 1)
    took_ms, brute_ms = _times(segment, asked[:_TIMED], masks[:_TIMED])
    return Hung(picture.name, metric.name, filtered, recalls, own, took_ms, brute_ms, dict(used))


def _times(segment: Segment, asked: Vectors, masks: Sequence[npt.NDArray[np.bool_] | None]) -> tuple[float, float]:
    """Milliseconds: a search, and one that compares all rows."""
    searches, comparisons = [], []
    exhaustive = Plan(Strategy.BRUTE_FORCE, 0, 10, 10)
    for query, mask in zip(asked, masks, strict=True):
        begin = time.perf_counter()
        segment.search(query[None], 10, mask=mask, threads=1)
        searches.append(time.perf_counter() - begin)
        counting = None if mask is None else RowMask(mask)
        begin = time.perf_counter()
        segment.searcher.search(query[None], 10, exhaustive, mask=counting, threads=1)
        comparisons.append(time.perf_counter() - begin)
    return 1_000 * float(np.median(searches)), 1_000 * float(np.median(comparisons))


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def _line(one: Hung) -> str:
    name = one.picture + (f", {one.filter}" if one.filter else "")
    found = "  ".join(f"{value:.3f}" for value in one.recall.values())
    ways = ", ".join(f"{strategy.lower()} {count}" for strategy, count in one.strategies.items())
    mark = "*" if one.falls_short else " "
    return f"{mark} {name:46} {found}  own {one.own:.3f}  {one.ms:7.2f} / {one.brute_force_ms:7.2f} ms  {ways}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.recall", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=22_000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--metric", choices=[metric.name.lower() for metric in Metric], default="euclidean")
    parser.add_argument("--kind", choices=["codes", "graph"], default="graph")
    parser.add_argument("--only", action="append", help="pictures whose names hold this; may be said again")
    parser.add_argument("--no-filters", action="store_true", help="ask without filters only")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    arguments = parser.parse_args()
    hung: list[Hung] = []
    print(f"recall@{', @'.join(map(str, NEIGHBOURS))}; ms a search / comparing all")
    for picture in GALLERY:
        if any(part in picture.name for part in arguments.only or [""]):
            metric, kind = Metric[arguments.metric.upper()], SegmentKind(arguments.kind)
            filters = [] if arguments.no_filters else list(FILTERS)
            found = hang(picture, arguments.rows, arguments.queries, arguments.dimension, metric, kind, filters)
            hung += found
            print("\n".join(map(_line, found)), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in hung], indent=1) + "\n")
    if short := [one.picture for one in hung if one.falls_short]:
        sys.exit(f"{len(short)} of {len(hung)} fall short")


if __name__ == "__main__":
    main()
