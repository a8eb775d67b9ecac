"""What an index consists of and what it has cost, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.manifest import BytesWritten
from lutra.index.lsm.open_segment import OpenSegment
from lutra.vectors.calibration import Checked, Fallback
from lutra.vectors.layout import SegmentKind

_SCALAR: Final = "scalar"
_KINDS: Final = tuple(kind.value for kind in (SegmentKind.FLAT, SegmentKind.CODES, SegmentKind.GRAPH))


@dataclass(frozen=True, slots=True)
class SegmentStats:
    """One segment. ``kinds``: by vector field. ``bytes``: of the object, by class, as its footer says."""

    name: str
    rows: int
    dead: int
    kinds: Mapping[str, str]
    bytes: Mapping[str, int]
    resident_bytes: int
    is_awaited: bool = False
    """Whether it is yet to be built as the kind that its size calls for."""
    recalls: Mapping[str, float] = field(default_factory=dict)
    """By vector field: of the ten nearest, as its build checked it; not of those that were not checked."""
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    """By vector field: ``scan`` or ``exact`` where what was planned for searches was found to miss too much."""
    exact_rows: Mapping[str, int] = field(default_factory=dict)
    """By vector field: that codes do not describe, so that every search compares them; not where there are none."""
    graph_bytes: int = 0
    """Of ``resident_bytes``: of graphs."""

    @property
    def kind(self) -> str:
        """That of the field with most to it; "scalar" where there are no vectors."""
        return max(self.kinds.values(), key=_KINDS.index, default=_SCALAR)


@dataclass(frozen=True, slots=True)
class IndexStats:
    """An index at one moment. Sequences are of the changelog.

    ``searchable``: changes up to it are in views; ``durable``: in a manifest's segments; ``indexed``: in segments of
    the kind that their size calls for, 0 before all rows are in a manifest's segments.
    """

    manifest: int
    segments: tuple[SegmentStats, ...]
    buffer_rows: int
    buffer_bytes: int
    sealed_buffers: int
    merges: int
    """Under way."""
    searchable: Progress
    durable: int
    indexed: int
    written: BytesWritten
    unindexed: Mapping[str, int]
    """How many values of each field were left out since the index was made: not of its type, or too long for it."""
    error: str | None

    @property
    def rows(self) -> int:
        """In segments, the dead included."""
        return sum(segment.rows for segment in self.segments)

    @property
    def dead(self) -> int:
        return sum(segment.dead for segment in self.segments)

    @property
    def exact_rows(self) -> int:
        """In all segments, that codes do not describe."""
        return sum(sum(segment.exact_rows.values()) for segment in self.segments)

    @property
    def awaited(self) -> int:
        """How many segments are yet to be built as the kind that their size calls for."""
        return sum(segment.is_awaited for segment in self.segments)

    @property
    def bytes_by_class(self) -> dict[str, int]:
        """Of all segments."""
        total: dict[str, int] = {}
        for segment in self.segments:
            for name, size_bytes in segment.bytes.items():
                total[name] = total.get(name, 0) + size_bytes
        return total

    @property
    def resident_bytes(self) -> int:
        """Of all segments, beside what they share: the block cache."""
        return sum(segment.resident_bytes for segment in self.segments)

    @property
    def graph_bytes(self) -> int:
        """Of these: of graphs."""
        return sum(segment.graph_bytes for segment in self.segments)

    @property
    def kinds(self) -> dict[str, int]:
        """How many segments are of each kind."""
        counts: dict[str, int] = {}
        for segment in self.segments:
            kind = segment.kind
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    @property
    def fallbacks(self) -> dict[str, int]:
        """How many segments' searches do other than was planned for them, by what they do."""
        counts = {fallback.value: 0 for fallback in Fallback if fallback is not Fallback.NONE}
        for segment in self.segments:
            for fallback in set(segment.fallbacks.values()):
                counts[fallback] += 1
        return counts

    @property
    def write_amplification(self) -> float:
        """Bytes put on the store for each byte of rows flushed; 0 where none were."""
        written = self.written
        return (written.flushed + written.built + written.deletions) / written.flushed if written.flushed else 0.0


def stats_of(opened: OpenSegment, policy: Policy) -> SegmentStats:
    """Of a segment that is searched."""
    segment = opened.segment
    return SegmentStats(
        name=opened.name,
        rows=segment.size,
        dead=opened.dead,
        kinds={field: kind.value for field, kind in segment.kinds.items()},
        bytes=segment.meta.bytes_by_class,
        resident_bytes=segment.resident_bytes + opened.state_bytes,
        is_awaited=policy.is_awaited(opened.shape),
        recalls=recalls_of(segment.checked),
        fallbacks=fallbacks_of(segment.checked),
        exact_rows=exact_rows_of(segment.checked),
        graph_bytes=segment.graph_bytes,
    )


def recalls_of(checked: Mapping[str, Checked]) -> dict[str, float]:
    """For `SegmentStats.recalls`, of what was checked by vector field."""
    return {field: one.recall for field, one in checked.items() if one.recall is not None}


def fallbacks_of(checked: Mapping[str, Checked]) -> dict[str, str]:
    """For `SegmentStats.fallbacks`, of what was checked by vector field."""
    return {field: one.fallback.value for field, one in checked.items() if one.fallback is not Fallback.NONE}


def exact_rows_of(checked: Mapping[str, Checked]) -> dict[str, int]:
    """For `SegmentStats.exact_rows`, of what was checked by vector field."""
    return {field: one.exact_rows for field, one in checked.items() if one.exact_rows}
