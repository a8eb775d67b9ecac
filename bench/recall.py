"""Recall on data that is not nice, and the time beside brute force: `bench.gallery`, hung picture by picture.

  python -m bench.recall                                  # all of it, a graph of 22,000 x 64
  python -m bench.recall --kind codes --only clumps       # codes without a graph, some pictures
  python -m bench.recall --kind mixture                   # segments of all kinds with deletions, and a buffer
  python -m bench.recall --kind turnover --rows 6000      # a graph whose rows were all replaced ten times
  python -m bench.recall --all --rows 12000               # the matrix of `bench.recall_matrix`, with a summary

A neighbour counts as found where its distance is that of the k-th true one or less: which of equals are returned is
the index's to choose. The times are of one thread, medians, beside a search that reads and compares all rows; where the
machine has other work ``--processor`` takes processor time, in which nobody waits for reads. The exit
status says whether recall fell short somewhere or, with ``--all``, a search was slower than comparing all.
"""

from __future__ import annotations

import argparse
import collections
import enum
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.gallery import GALLERY, Picture
from bench.gallery_filters import FILTERS
from bench.searched import Ask, Asking, Mask, Rows, Searched, SearchedSegment, Vectors
from bench.searched_index import SearchedIndex
from bench.truth import Truth
from lutra.model.indexes import Metric
from lutra.vectors.layout import SegmentKind

Clock = Callable[[], float]
"""Seconds."""
NEIGHBOURS: Final = (1, 10, 100, 1_000)
TARGET: Final = 0.95
SLOWER: Final = 1.1
"""Than comparing all rows: a search that takes longer is too slow,"""
_NOTICED_MS: Final = 0.05
"""if by more than this, which a call alone may take."""
TURNOVERS: Final = 10
OWN_ROWS: Final = 200
"""Asked for by themselves."""
_TIMED: Final = 30
_TIMED_K: Final = 10
_FILTERED: Final = 50
"""Queries, at most, for each filter."""


class Kind(enum.StrEnum):
    """What pictures are hung in."""

    CODES = "codes"
    GRAPH = "graph"
    MIXTURE = "mixture"
    TURNOVER = "turnover"


@dataclass(frozen=True, slots=True)
class Size:
    """Of what is drawn."""

    rows: int
    queries: int
    dimension: int


@dataclass(frozen=True, slots=True)
class Hung:
    """What was found of one picture."""

    picture: str
    metric: str
    kind: str
    dimension: int
    filter: str
    recall: dict[int, float]
    """By k."""
    own: float
    """Of rows that are asked for by themselves: the share that is first, or as near as who is. 1 under inner product,
    where others may be nearer."""
    ms: float
    """A query, of the ten nearest; NaN where times are not taken."""
    brute_force_ms: float
    read_bytes: float
    """A query, of the ten nearest."""
    brute_force_bytes: float
    strategies: dict[str, int]
    measured: str
    """By builds."""

    @property
    def falls_short(self) -> bool:
        return min(self.recall.values()) < TARGET or self.own < 1

    @property
    def is_slow(self) -> bool:
        return self.ms > SLOWER * self.brute_force_ms and self.ms > self.brute_force_ms + _NOTICED_MS

    @property
    def name(self) -> str:
        return self.picture + (f", {self.filter}" if self.filter else "")


def hang(
    picture: Picture,
    size: Size,
    metric: Metric,
    kinds: Sequence[Kind],
    *,
    filtered: bool,
    clock: Clock | None = time.perf_counter,
    own_rows: int = OWN_ROWS,
) -> list[Hung]:
    """Draws the picture, hangs it in each of ``kinds``, and asks; ``clock``: None: no times are taken."""
    rows, queries = picture.draw(size.rows, size.queries, size.dimension)
    asked = _Asked(picture, rows, queries, metric, clock, own_rows)
    hung = []
    for kind in kinds:
        with _searched(picture, rows, size, metric, kind) as searched:
            hung.append(asked.of(searched, kind))
            if filtered:
                hung += [asked.of(searched, kind, name) for name in FILTERS]
    return hung


def _searched(picture: Picture, rows: Vectors, size: Size, metric: Metric, kind: Kind) -> Searched:
    if kind is Kind.MIXTURE:
        return SearchedIndex.mixture(rows, metric)
    if kind is Kind.TURNOVER:
        drawn = (picture.draw(size.rows, size.queries, size.dimension, seed)[0] for seed in range(1, TURNOVERS + 1))
        return SearchedIndex.turned_over([*drawn, rows], metric, SegmentKind.GRAPH)
    return SearchedSegment(rows, metric, SegmentKind(kind))


class _Asked:
    """What is asked of a picture, and the true answers, whatever it hangs in."""

    def __init__(
        self,
        picture: Picture,
        rows: Vectors,
        queries: Vectors,
        metric: Metric,
        clock: Clock | None,
        own_rows: int,
    ) -> None:
        self._picture, self._rows, self._queries, self._metric, self._clock = picture, rows, queries, metric, clock
        self._truth = Truth.of(rows, queries, metric)
        chosen = np.random.default_rng(1).choice(len(rows), min(own_rows, len(rows)), replace=False)
        self._own = rows[chosen]
        self._own_truth = None if metric is Metric.DOT_PRODUCT else Truth.of(rows, self._own, metric)

    def of(self, searched: Searched, kind: Kind, filtered: str = "") -> Hung:
        queries, truth = self._queries, self._truth
        masks: list[Mask | None] = [None] * len(queries)
        if filtered:
            queries = queries[:_FILTERED]
            masks = [FILTERS[filtered](self._rows, query) for query in queries]
            truth = truth.first(len(queries)).among(np.array(masks, np.bool_))
        everyone = searched.under(None)
        askings = [everyone if mask is None else searched.under(mask) for mask in masks]
        recalls = {k: truth.recall(_rows(askings, queries, k), k) for k in NEIGHBOURS}
        found = [asking.nearest(query, _TIMED_K) for asking, query in zip(askings, queries, strict=True)]
        compared = [asking.comparing_all(query, _TIMED_K) for asking, query in zip(askings, queries, strict=True)]
        clock = self._clock
        times = (math.nan, math.nan) if clock is None else _times(askings[:_TIMED], queries[:_TIMED], clock)
        return Hung(
            picture=self._picture.name,
            metric=self._metric.name.lower(),
            kind=kind.value,
            dimension=self._rows.shape[1],
            filter=filtered,
            recall=recalls,
            own=1.0 if filtered else self._found_themselves(everyone.nearest),
            ms=times[0],
            brute_force_ms=times[1],
            read_bytes=float(np.mean([one.bytes for one in found])),
            brute_force_bytes=float(np.mean([one.bytes for one in compared])),
            strategies=dict(collections.Counter(one.strategy for one in found)),
            measured=searched.measured,
        )

    def _found_themselves(self, ask: Ask) -> float:
        if self._own_truth is None:
            return 1.0
        return self._own_truth.recall(np.array([ask(row, 1).rows for row in self._own]), 1)


def _rows(askings: Sequence[Asking], queries: Vectors, k: int) -> Rows:
    """int64 [q, k], -1 where there are no more."""
    found = np.full((len(queries), k), -1, np.int64)
    for line, asking, query in zip(found, askings, queries, strict=True):
        rows = asking.nearest(query, k).rows
        line[: len(rows)] = rows
    return found


def _times(askings: Sequence[Asking], queries: Vectors, clock: Clock) -> tuple[float, float]:
    """Milliseconds: a search, and one that compares all rows. Taken by turns, so that both meet the same neighbours."""
    near, compared = [], []
    for asking, query in zip(askings, queries, strict=True):
        near.append(_seconds(asking.nearest, query, clock))
        compared.append(_seconds(asking.comparing_all, query, clock))
    return 1_000 * float(np.median(near)), 1_000 * float(np.median(compared))


def _seconds(ask: Ask, query: Vectors, clock: Clock) -> float:
    """The better of two: the machine has other things to do now and then."""
    taken = []
    for _ in range(2):
        begin = clock()
        ask(query, _TIMED_K)
        taken.append(clock() - begin)
    return min(taken)


def line_of(one: Hung) -> str:
    """For people: ``*`` where recall falls short, ``!`` where it is slower than comparing all."""
    found = "  ".join(f"{value:.3f}" for value in one.recall.values())
    ways = ", ".join(f"{strategy} {count}" for strategy, count in one.strategies.items())
    mark = "*" if one.falls_short else "!" if one.is_slow else " "
    times = f"{one.ms:7.2f} / {one.brute_force_ms:7.2f} ms"
    return f"{mark} {one.name:46} {found}  own {one.own:.3f}  {times}  {ways} ({one.measured})"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.recall", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=22_000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--metric", choices=[metric.name.lower() for metric in Metric], default="euclidean")
    parser.add_argument("--kind", choices=list(Kind), default=Kind.GRAPH)
    parser.add_argument("--only", action="append", help="pictures whose names hold this; may be said again")
    parser.add_argument("--no-filters", action="store_true", help="ask without filters only")
    parser.add_argument("--no-times", action="store_true", help="take no times")
    parser.add_argument("--own-rows", type=int, default=OWN_ROWS, help="rows that are asked for by themselves")
    parser.add_argument("--processor", action="store_true", help="take processor time")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument(
        "--all", action="store_true", help="the matrix of dimensions, metrics and kinds; then a summary"
    )
    parser.add_argument("--cell", action="append", help="with --all: cells such as '64 dimensions, cosine'")
    options = parser.parse_args()
    clock = None if options.no_times else time.process_time if options.processor else time.perf_counter
    pictures = [one for one in GALLERY if any(part in one.name for part in options.only or [""])]
    print(f"recall@{', @'.join(map(str, NEIGHBOURS))}; ms a search / comparing all; (what builds measured)")
    if options.all:
        from bench.recall_matrix import hang_all

        sys.exit(hang_all(pictures, options.cell or [""], options.rows, options.queries, clock, options.json))
    size, metric = Size(options.rows, options.queries, options.dimension), Metric[options.metric.upper()]
    hung: list[Hung] = []
    for picture in pictures:
        filtered = not options.no_filters and not picture.spoil and picture.queries is None
        found = hang(
            picture, size, metric, [Kind(options.kind)], filtered=filtered, clock=clock, own_rows=options.own_rows
        )
        hung += found
        print("\n".join(map(line_of, found)), flush=True)
        write(hung, options.json)
    if short := [one.name for one in hung if one.falls_short]:
        sys.exit(f"{len(short)} of {len(hung)} fall short")


def write(hung: Sequence[Hung], path: Path | None) -> None:
    """As JSON; nothing without a ``path``."""
    if path is not None:
        path.write_text(json.dumps([asdict(one) for one in hung], indent=1) + "\n")


if __name__ == "__main__":
    main()
