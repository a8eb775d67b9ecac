"""What a build's check of its vectors' searches found is told by the segment, and by what is told of segments."""

from __future__ import annotations

import pytest
from support.parts import part_of, schema_of
from support.segment_rows import plain_rows
from support.stored_segments import Shelf

from lutra.index.lsm.stats import fallbacks_of, recalls_of
from lutra.segments.footer import SegmentMeta
from lutra.vectors import trial
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Fallback
from lutra.vectors.layout import SegmentKind

SCHEMA = schema_of(16)


def built(shelf: Shelf, kind: SegmentKind) -> SegmentMeta:
    """As it is read again."""
    plans = {"v": BuildPlan(kind, 4, degree=8, beam=20), "w": BuildPlan(SegmentKind.FLAT, 4)}
    name, written = shelf.build([part_of(SCHEMA, plain_rows(400, 16))], SCHEMA, plans)
    segment = shelf.open(name, SCHEMA)
    assert segment.meta.vectors == written.vectors
    segment.close()
    return written


@pytest.mark.parametrize("kind", [SegmentKind.CODES, SegmentKind.GRAPH])
def test_it_tells_the_recall_that_was_checked(shelf: Shelf, kind: SegmentKind) -> None:
    meta = built(shelf, kind)
    assert {v.field: v.fallback for v in meta.vectors} == {"v": Fallback.NONE, "w": Fallback.NONE}
    assert recalls_of(meta).keys() == {"v"}
    assert 0.92 <= recalls_of(meta)["v"] <= 1
    assert fallbacks_of(meta) == {}


def test_it_tells_that_all_rows_are_compared(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "check", lambda searcher, sample, plan, threads: 0.5)
    meta = built(shelf, SegmentKind.CODES)
    assert (recalls_of(meta), fallbacks_of(meta)) == ({"v": 1.0}, {"v": "exact"})
