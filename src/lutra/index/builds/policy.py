"""When a buffer is flushed and which segments are merged: decisions over descriptions, without any I/O.

Size-tiered: segments of about the same size are merged, so that every row is written once for each tier its segment
passes, and the number of segments grows with the logarithm of the rows.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lutra.vectors.build_memory import sample_bytes_of
from lutra.vectors.build_plan import BuildPlan, choose_code_bits, choose_kind
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.layout import SegmentKind

_RANK: Final = {SegmentKind.FLAT: 0, SegmentKind.CODES: 1, SegmentKind.GRAPH: 2}
BUILDER_BASE_BYTES: Final = 40 * 1024 * 1024
"""What a process that builds takes before it begins: 30 MB that are its own, and 10 of libraries."""
BUILD_BYTES_MIN: Final = 32 * 1024 * 1024
"""What the least build that is of use takes: a buffer's rows get their codes in it."""
_BUILD_BASE_BYTES: Final = 20 * 1024 * 1024
"""What any build takes: sweeps and buffers of `lutra.segments.build.build_segment`, and stacks of threads."""
_COPIED_FACTOR: Final = 3.5
"""Of vectors that are copied together at a time (`lutra.vectors.build_memory`): once more as they are rotated, and
once more for what is found of them. More than a sample of them go through a file."""
_GRAPH_ROW_BYTES: Final = 250
"""Of a graph build, beside a byte a dimension (`lutra.kernels.graph.build`)."""
_ROW_BYTES: Final = 150
_DEGREE: Final = BuildPlan(SegmentKind.GRAPH, 4).degree
_SCALAR_FACTOR: Final = 6
"""Columns and keys are held as Python and numpy objects while they are merged and sorted."""


@dataclass(frozen=True, slots=True)
class VectorsShape:
    """The vectors of one field in one segment."""

    dimension: int
    rows: int
    kind: SegmentKind


@dataclass(frozen=True, slots=True)
class SegmentShape:
    """A segment as a decision sees it. ``rows`` counts the dead too; ``scalar_bytes`` are columns and keys."""

    name: str
    rows: int
    dead: int
    bytes: int
    scalar_bytes: int = 0
    vectors: tuple[VectorsShape, ...] = ()

    @property
    def live(self) -> int:
        return self.rows - self.dead

    @property
    def live_bytes(self) -> int:
        return self._of_living(self.bytes)

    def _of_living(self, amount: int) -> int:
        """The share of ``amount`` that belongs to live rows."""
        return -(-amount * self.live // self.rows) if self.rows else 0

    @property
    def has_its_kind(self) -> bool:
        """Whether every field has codes and a graph where so many live rows are to have them."""
        return all(
            _RANK[field.kind] >= _RANK[choose_kind(self._of_living(field.rows), field.dimension)]
            for field in self.vectors
        )

    @property
    def build_bytes(self) -> int:
        """Memory that a build needs for its live rows, beside what any build takes: of graphs as if it built one."""
        graph = max((self._of_living(f.rows) * (f.dimension + _GRAPH_ROW_BYTES) for f in self.vectors), default=0)
        searched = max((self._of_living(f.rows) * _searched_bytes(f.dimension) for f in self.vectors), default=0)
        return graph + searched + self.live * _ROW_BYTES + _SCALAR_FACTOR * self._of_living(self.scalar_bytes)

    @property
    def vector_bytes(self) -> int:
        """Of the field that has most of them, of live rows."""
        return max((4 * self._of_living(field.rows) * field.dimension for field in self.vectors), default=0)


def _searched_bytes(dimension: int) -> int:
    """Of codes and graph a row, which are loaded to be calibrated."""
    return CodeFormat(dimension, choose_code_bits(dimension)).record_bytes + 4 * _DEGREE


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers behind the decisions; the defaults are what production runs with."""

    flush_bytes: int = 8 * 1024 * 1024
    """Of a buffer's rows: so many vectors are scanned in under a millisecond."""
    flush_age_s: float = 60.0
    """Changes wait at most so long for a segment: what a restart reads again, and the changelog keeps, is bounded."""
    fan_in: int = 4
    """So many segments of about one size are merged; where a build does not hold so many, those it holds."""
    size_ratio: float = 4.0
    """About one size: the largest is at most so many times the smallest."""
    size_floor_bytes: int = 64 * 1024
    """Smaller ones count as so large: the smallest tier."""
    dead_share: float = 0.25
    """A segment with more dead rows is written anew."""
    segments_max: int = 32
    """More of them, those not counted that are full, are merged whatever their sizes."""
    hurry_buffers: int = 2
    """So many that are sealed and not built: one was full before the one before it was built, so builds fall behind."""
    hurry_segments: int = 16
    """The same for merges: so many segments, and more to merge than is being merged."""
    inline_bytes: int = 1024 * 1024
    """Segments without codes that are no larger together are merged without a process for it."""
    build_memory_bytes: int = 2 * 1024 * 1024 * 1024
    """What one build may take: who opens a directory says it of the machine (`lutra.index.lsm.resources`). No merge is
    chosen that needs more, so that is what segments grow to."""
    orphans_after_s: float = 900.0
    """After an opening, and after a build was lost: so long is waited for what was given up to put its object."""
    orphans_period_s: float = 86_400.0
    """So often is looked for such objects in any case: a machine may stand still for as long as it likes."""
    trim_changes: int = 50_000
    """The changelog forgets changes that no index needs: so many at once, as it costs an fsync and a tombstone,"""
    trim_period_s: float = 30.0
    """or what there is after a while."""

    def is_flush_due(self, size_bytes: int, age_s: float) -> bool:
        """Whether a buffer of ``size_bytes``, whose first change came ``age_s`` ago, is to be flushed."""
        return size_bytes >= self.flush_bytes or age_s >= self.flush_age_s

    def is_small(self, inputs: Sequence[SegmentShape]) -> bool:
        """Whether merging ``inputs`` takes less than a process for it would."""
        vectors: dict[int, int] = {}
        for field in (field for segment in inputs for field in segment.vectors):
            vectors[field.dimension] = vectors.get(field.dimension, 0) + field.rows
        flat = all(choose_kind(rows, dimension) is SegmentKind.FLAT for dimension, rows in vectors.items())
        return flat and sum(segment.bytes for segment in inputs) <= self.inline_bytes

    def build_need_bytes(self, inputs: Iterable[SegmentShape]) -> int:
        """Memory for a build of ``inputs``."""
        parts = list(inputs)
        built, vectors = sum(part.build_bytes for part in parts), sum(part.vector_bytes for part in parts)
        return _need_bytes(built, vectors, self.build_memory_bytes)

    def choose_merge(
        self, segments: Sequence[SegmentShape], memory_bytes_max: int | None = None
    ) -> tuple[SegmentShape, ...]:
        """Which of ``segments`` to make one of next, largest first; empty where nothing is to be done.

        ``memory_bytes_max``: what the build may take, where that is less than any may.

        One segment alone is to be written anew: without its dead rows, or as the kind that its size calls for. What is
        returned has a live row. Doing what is said, over and over, ends.
        """
        limit_bytes = min(self.build_memory_bytes, memory_bytes_max or self.build_memory_bytes)
        by_size = sorted((s for s in segments if s.live), key=lambda s: (s.live_bytes, s.name))
        runs = _Runs(by_size, limit_bytes, self.build_memory_bytes)
        room = [segment for segment in by_size if not self.is_full(segment)]
        chosen = self._tier(by_size, runs, self.fan_in) or self._renewal(by_size, limit_bytes)
        if not chosen:
            runs = _Runs(room, limit_bytes, self.build_memory_bytes)
            is_whole = limit_bytes == self.build_memory_bytes
            chosen = (self._tier(room, runs, 2) if is_whole else ()) or self._surplus(room, runs)
        return tuple(reversed(chosen))

    def is_full(self, segment: SegmentShape) -> bool:
        """Whether two like it are too large for a build: it is merged no more, however many there are."""
        return not self._fits([segment, segment], self.build_memory_bytes)

    def is_behind(self, waiting_buffers: int, segments: int, free: Sequence[SegmentShape]) -> bool:
        """Whether builds are to have their share of the processor, whatever else wants it.

        Well before the feed slows for them (`lutra.feed.feed`), and before searches pay for many segments.

        :param segments: how many there are that are not full. :param free: those that are not being merged.
        """
        if waiting_buffers >= self.hurry_buffers:
            return True
        return segments >= self.hurry_segments and bool(self.choose_merge(free))

    def is_awaited(self, segment: SegmentShape) -> bool:
        """Whether ``segment`` is yet to be built as the kind that its size calls for."""
        return bool(segment.live) and not segment.has_its_kind and self._fits([segment], self.build_memory_bytes)

    def _fits(self, inputs: Sequence[SegmentShape], limit_bytes: int) -> bool:
        return self.build_need_bytes(inputs) <= limit_bytes

    def _tier(self, by_size: Sequence[SegmentShape], runs: _Runs, least: int) -> Sequence[SegmentShape]:
        """Of the smallest ``fan_in`` or more of about one size those that fit a build together, ``least`` at least."""
        sizes = [self._tier_bytes(segment) for segment in by_size]
        for first in range(len(by_size) - self.fan_in + 1):
            end = bisect.bisect_right(sizes, self.size_ratio * sizes[first], first)
            if end - first >= self.fan_in and runs.end(first, end) - first >= least:
                return by_size[first : runs.end(first, end)]
        return ()

    def _tier_bytes(self, segment: SegmentShape) -> int:
        return max(segment.live_bytes, self.size_floor_bytes)

    def _renewal(self, by_size: Sequence[SegmentShape], limit_bytes: int) -> Sequence[SegmentShape]:
        """The smallest segment that is of another kind than it should be, or has too many dead rows."""
        for segment in by_size:
            stale = segment.dead > self.dead_share * segment.rows
            if (stale or not segment.has_its_kind) and self._fits([segment], limit_bytes):
                return [segment]
        return ()

    def _surplus(self, by_size: Sequence[SegmentShape], runs: _Runs) -> Sequence[SegmentShape]:
        """The smallest ones, as many as are too many; fewer where a build does not hold them."""
        end = runs.end(0, len(by_size) - self.segments_max + 1)
        return by_size[:end] if end >= 2 else ()


class _Runs:
    """Which neighbours among segments fit a build together."""

    def __init__(self, by_size: Sequence[SegmentShape], memory_bytes: int, any_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._any_bytes = any_bytes
        self._built = [0, *itertools.accumulate(segment.build_bytes for segment in by_size)]
        self._vectors = [0, *itertools.accumulate(segment.vector_bytes for segment in by_size)]

    def end(self, first: int, end: int) -> int:
        """The end of the longest run from ``first`` on that fits, ``end`` at most; ``first`` where none does."""
        within = range(first, max(first, end))
        return first + bisect.bisect_right(within, self._memory_bytes, key=lambda last: self._need(first, last + 1))

    def _need(self, first: int, end: int) -> int:
        built, vectors = self._built[end] - self._built[first], self._vectors[end] - self._vectors[first]
        return _need_bytes(built, vectors, self._any_bytes)


def _need_bytes(built: int, vectors: int, any_bytes: int) -> int:
    """Of a build: ``built`` bytes for its rows, and for ``vectors`` bytes of vectors, of which a sample is copied that
    goes by what any build may take."""
    return _BUILD_BASE_BYTES + int(_COPIED_FACTOR * min(vectors, sample_bytes_of(any_bytes))) + built
