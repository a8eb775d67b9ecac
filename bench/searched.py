"""What the pictures of `bench.gallery` are hung in: something that finds neighbours, and can compare all rows too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, SearchCounters, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.writer import write_segment

Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, and what it took."""

    rows: Rows
    """[k], -1 where there are no more."""
    strategy: str
    distances: int
    bytes: int
    """Read in search of it, from the disk or the cache."""


Ask = Callable[[Vectors, int], Found]
"""Of a query [d] and a number of neighbours."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Two ways to ask, under the same filter."""

    nearest: Ask
    """As searches do it."""
    comparing_all: Ask


class Searched(Protocol):
    """Rows that can be searched. A context manager."""

    def under(self, mask: Mask | None) -> Asking:
        """``mask``: bool [rows], which rows count; None: all."""

    @property
    def measured(self) -> str:
        """What builds measured of it, such as ``0.98 scan``: a recall, and what it took where plans missed it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_ALL: Final = Strategy.BRUTE_FORCE


class SearchedSegment:
    """One vector segment by itself. A `Searched`."""

    def __init__(self, rows: Vectors, metric: Metric, kind: SegmentKind) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lutra-recall-")
        path = Path(self._folder.name) / "segment"
        measure = calibrate if kind is SegmentKind.GRAPH else check
        plan = BuildPlan(kind, choose_code_bits(rows.shape[1]))
        write_segment(path, rows, metric, plan=plan, calibrate=measure).close()
        self._segment = Segment.open(path)

    def under(self, mask: Mask | None) -> Asking:
        searcher = self._segment.searcher

        def nearest(query: Vectors, k: int) -> Found:
            found = self._segment.search(query[None], k, mask=mask, threads=1)
            return _found(found.ids, found.counters)

        def comparing_all(query: Vectors, k: int) -> Found:
            counting = None if mask is None else RowMask(mask)
            k = max(1, min(k, self._segment.rows if counting is None else counting.count))
            ids, _, counters = searcher.search(query[None], k, Plan(_ALL, 0, k, k), mask=counting, threads=1)
            return _found(ids, counters)

        return Asking(nearest, comparing_all)

    @property
    def measured(self) -> str:
        recall, fallback, _ = self._segment.checked
        return "" if recall is None else f"{recall:.3f} {fallback}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segment.close()
        self._folder.cleanup()


def _found(ids: Rows, counters: SearchCounters) -> Found:
    used = Strategy(int(counters.used[0])).name.lower()
    return Found(ids[0], used, int(counters.distances[0]), int(counters.bytes[0]))
