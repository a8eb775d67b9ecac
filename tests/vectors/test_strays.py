"""Queries that stray from the rows: walks that candidates stand out little for go again, as wide as builds found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Calibration, rerank_plan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.strays import Strays
from lutra.vectors.trial import _farthest
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, QUERIES, K = 3_000, 24, 100, 10


def test_a_beam_finds_what_was_measured() -> None:
    strays = Strays(0.1, ((64, 0.8), (128, 0.9), (256, 0.96)))
    assert Strays.from_json(strays.to_json()) == strays
    assert strays.beam(0.5) == 64
    assert strays.beam(0.9) == 128
    assert 128 < strays.beam(0.93) < 256
    assert strays.beam(0.97) == 0
    assert Strays(0.1, ()).beam(0.5) == 0
    calibration = Calibration({}, {10: 3.0}, nearest={1: 0.5, 10: 1.0}, strays=strays)
    known = Calibration.from_json(calibration.to_json())
    assert known.strays == strays
    assert known.measured_beyond(1) == 0.5
    assert known.measured_beyond(20) == 1.0
    assert Calibration({}).measured_beyond(10) == -math.inf


def test_what_lies_far_beyond_a_gap_is_not_usual() -> None:
    ordinary = np.linspace(1.0, 3.0, 95)
    assert _farthest(ordinary) == 3.0
    assert _farthest(np.concatenate([np.full(5, 60.0), ordinary])) == 3.0
    assert _farthest(np.concatenate([np.full(95, 60.0), ordinary])) == 60.0  # too many of them
    assert _farthest(np.concatenate([np.zeros(95), np.full(5, 60.0)])) == 60.0  # rows that equal each other


def test_walks_go_again_where_little_stands_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((ROWS, DIMENSION), dtype=np.float32)
    queries = rng.standard_normal((QUERIES, DIMENSION), dtype=np.float32)
    truth = topk(queries, rows, K, Metric.EUCLIDEAN)[0]
    path = tmp_path / "segment"
    write_segment(path, rows, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.GRAPH, 4), calibrate=calibrate).close()

    def asked(segment: Segment, contrast: float, wider: int) -> tuple[float, float, set[int]]:
        plan = replace(rerank_plan(Strategy.WALK, K, 16, 2.8), contrast_min=contrast, wider_beam=wider)
        found, _, counters = segment.searcher.search(queries, K, plan)
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
        return hits / truth.size, float(counters.distances.mean()), {int(one) for one in counters.used}

    with Segment.open(path) as segment:
        recall, distances, used = asked(segment, 0.0, 256)
        assert used == {Strategy.WALK}
        assert asked(segment, 1e-9, 256) == (recall, distances, used)
        wider_recall, wider_distances, used = asked(segment, math.inf, 256)
        assert used == {Strategy.WALK}
        assert wider_recall > recall + 0.03
        assert wider_distances > 3 * distances
        scanned_recall, _, used = asked(segment, math.inf, 0)
        assert Strategy.WALK not in used
        assert scanned_recall > 0.99
        assert segment._calibration.strays is not None
        plan = segment.plan_of(Strategy.WALK, K, None, 0.99)[1]
        assert plan.contrast_min == segment._calibration.strays.contrast
        assert plan.measured_beyond > -math.inf
    linked = Segment.open(path, memory_budget_bytes=1 << 40)
    with linked:
        assert linked.residency.links
        recall, distances, _ = asked(linked, 0.0, 256)
        wider_recall, wider_distances, used = asked(linked, math.inf, 256)
        assert used == {Strategy.WALK}
        assert wider_recall > recall
        assert wider_distances > 3 * distances
        assert Strategy.WALK not in asked(linked, math.inf, 0)[2]
