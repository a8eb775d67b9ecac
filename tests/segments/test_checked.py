"""What a build's check of its vectors' searches found is told by the segment, and by what is told of segments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.parts import part_of, schema_of
from support.segment_rows import plain_rows
from support.segments import measured
from support.stored_segments import Shelf

from lutra.fields import vector
from lutra.index.lsm.stats import exact_rows_of, fallbacks_of, recalls_of
from lutra.segments.footer import SegmentMeta
from lutra.vectors import trial
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Compared, Fallback
from lutra.vectors.layout import SegmentKind

SCHEMA = schema_of(16)
ROWS = 6_000
"""Of a segment in which to scan codes is cheaper than to read all vectors."""


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
    assert recalls_of(meta.checked).keys() == {"v"}
    assert 0.92 <= recalls_of(meta.checked)["v"] <= 1
    assert fallbacks_of(meta.checked) == {}


def test_it_tells_that_all_rows_are_compared(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "check", lambda searcher, sample, plan, threads: (0.5, Compared(20.0, 20.0)))
    meta = built(shelf, SegmentKind.CODES)
    assert (recalls_of(meta.checked), fallbacks_of(meta.checked)) == ({"v": 1.0}, {"v": "exact"})


def test_it_tells_what_was_checked_with_the_codes_that_are_in_memory(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best codes find enough, shorter ones do not: a segment that has memory for these only compares all rows."""
    compared = Compared(20.0, 20.0)
    found = itertools.chain([(0.97, compared)], itertools.repeat((0.5, compared)))
    monkeypatch.setattr(trial, "check", lambda *_: next(found))
    plans = {"v": BuildPlan(SegmentKind.CODES, 4), "w": BuildPlan(SegmentKind.FLAT, 4)}
    name, meta = shelf.build([part_of(SCHEMA, plain_rows(ROWS, 16))], SCHEMA, plans)
    assert meta.checked["v"] == (0.97, Fallback.NONE, 0)
    query = np.ones(16, np.float32)
    with shelf.open(name, SCHEMA) as segment:
        assert segment.meta.checked["v"] == segment.checked["v"] == (0.97, Fallback.NONE, 0)
        counters = segment.fields["v"].topk(query, 5)[2]
        assert (counters.strategy, counters.recall, counters.fallback) == ("code_scan", 0.97, Fallback.NONE)
        codes = segment.fields["v"].file.codes
        assert codes is not None
        shortest_bytes = ROWS * list(codes.widths())[-1].record_bytes
    with shelf.open(name, SCHEMA, memory_budget_bytes=shortest_bytes) as segment:
        assert segment.meta.checked["v"] == (0.97, Fallback.NONE, 0)
        assert segment.checked["v"] == (1.0, Fallback.EXACT, 0)
        counters = segment.fields["v"].topk(query, 5)[2]
        assert (counters.strategy, counters.recall, counters.fallback) == ("brute_force", 1.0, Fallback.EXACT)


def test_it_tells_how_many_rows_are_kept_exact(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector, "check", lambda *_, threads: measured({}, 3, 5))
    plans = {"v": BuildPlan(SegmentKind.CODES, 4), "w": BuildPlan(SegmentKind.FLAT, 4)}
    name, meta = shelf.build([part_of(SCHEMA, plain_rows(400, 16))], SCHEMA, plans)
    assert exact_rows_of(meta.checked) == {"v": 2}
    with shelf.open(name, SCHEMA) as segment:
        assert segment.meta.checked["v"].exact_rows == segment.checked["v"].exact_rows == 2
        assert segment.fields["v"].topk(np.ones(16, np.float32), 5)[2].exact_rows == 2
