"""Merging of segments: the rows that live, in one new segment, whose graph goes on from the first one's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.model.errors import ParameterInvalid
from lutra.vectors.build_plan import BuildPlan, choose_plan
from lutra.vectors.input_vectors import Matrix
from lutra.vectors.layout import NO_ROW, SegmentKind
from lutra.vectors.segment_file import Rows, SegmentFile
from lutra.vectors.writer import Calibrate, OnOrder, Progress, write_segment

PLACES_KEPT_MIN: Final = 0.75
"""A row that lost neighbours and has fewer than this share of its places filled is inserted anew. Counted in places and
not in what it had, so that a graph does not thin out from one merge to the next."""
_SWEEP_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True)
class MergeInput:
    """A segment, and which of its rows live: bool [rows]; None: all."""

    segment: SegmentFile
    live: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.live is not None and self.live.shape != (self.segment.rows,):
            raise ValueError(f"live has shape {self.live.shape} for {self.segment.rows} rows")

    @property
    def rows(self) -> int:
        """How many live."""
        return self.segment.rows if self.live is None else int(np.count_nonzero(self.live))

    def vector_blocks(self) -> Iterator[Matrix]:
        """Those of the rows that live, in order."""
        begin = 0
        for block in self.segment.vector_blocks():
            end = begin + len(block)
            yield block if self.live is None else block[self.live[begin:end]]
            begin = end


def merge_segments(
    path: str | os.PathLike[str],
    inputs: Sequence[MergeInput],
    *,
    plan: BuildPlan | None = None,
    threads: int = 0,
    seed: int = 0,
    calibrate: Calibrate | None = None,
    on_progress: Progress | None = None,
    on_order: OnOrder | None = None,
) -> SegmentFile:
    """One segment of the rows that live, input by input, each in its own order.

    Where a graph is built and the first input has one, the build goes on from it: give the largest first. All else
    is as in `write_segment`.

    :raises ParameterInvalid: inputs differ in dimension or metric.
    :raises Corruption: an input is damaged. Inputs are never changed.
    :raises ValueError: there is no input.
    """
    if not inputs:
        raise ValueError("nothing to merge")
    first = inputs[0].segment
    for other in inputs[1:]:
        if (other.segment.dimension, other.segment.metric) != (first.dimension, first.metric):
            raise ParameterInvalid(f"{other.segment.name} differs from {first.name} in dimension or metric.")
    if plan is None:
        plan = choose_plan(sum(part.rows for part in inputs), first.dimension)
    start = None
    if plan.kind is SegmentKind.GRAPH and first.kind is SegmentKind.GRAPH:
        start = surviving_graph(first.load_graph(), inputs[0].live)
    return write_segment(
        path,
        (block for part in inputs for block in part.vector_blocks()),
        first.metric,
        dimension=first.dimension,
        plan=plan,
        threads=threads,
        seed=seed,
        start_graph=start,
        calibrate=calibrate,
        on_progress=on_progress,
        on_order=on_order,
    )


def surviving_graph(graph: Rows, live: NDArray[np.bool_] | None) -> Rows:
    """uint32 [rows that live, degree] of uint32 [rows, degree]: rows numbered anew, edges to the dead left out.

    A row that this leaves with too few neighbours has none: `lutra.kernels.graph.build` inserts it like a new one.
    """
    if live is None or live.all():
        return graph
    numbers = np.full(len(graph), NO_ROW, np.uint32)
    numbers[live] = np.arange(np.count_nonzero(live), dtype=np.uint32)
    survivors = np.flatnonzero(live)
    result = np.full((len(survivors), graph.shape[1]), NO_ROW, np.uint32)
    for begin in range(0, len(survivors), _SWEEP_ROWS):
        rows = survivors[begin : begin + _SWEEP_ROWS]
        result[begin : begin + len(rows)] = _renumbered(graph[rows], numbers)
    return result


def _renumbered(neighbours: Rows, numbers: Rows) -> Rows:
    had = neighbours != NO_ROW
    renumbered = np.full_like(neighbours, NO_ROW)
    renumbered[had] = numbers[neighbours[had]]
    has = renumbered != NO_ROW
    nearest_first = np.argsort(~has, axis=1, kind="stable")
    renumbered = np.take_along_axis(renumbered, nearest_first, axis=1)
    kept = has.sum(axis=1)
    too_few = (kept < had.sum(axis=1)) & (kept < PLACES_KEPT_MIN * neighbours.shape[1])
    renumbered[too_few] = NO_ROW
    return renumbered
