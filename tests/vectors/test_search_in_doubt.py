"""Codes that tell little: all rows are compared at once, and not after a scan that would have been in vain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import SearchCounters, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import rerank_plan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.strategies import FILTERED_SIGMAS_MIN
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 4_000, 64, 10
Vectors = NDArray[np.float32]


def binary(rows: int, seed: int) -> Vectors:
    return (np.random.default_rng(seed).random((rows, DIMENSION)) < 0.5).astype(np.float32)


def codes(path: Path, vectors: Vectors) -> Segment:
    write_segment(path, vectors, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.CODES, 4), calibrate=check).close()
    return Segment.open(path)


def test_rows_that_are_all_alike_are_compared_without_a_scan(tmp_path: Path) -> None:
    """Of eight kinds of rows, each as near to each other one: more rows than are wanted are as near as the nearest."""
    vectors = np.eye(8, dtype=np.float32)[np.random.default_rng(0).integers(0, 8, ROWS)]
    with codes(tmp_path / "s", vectors) as segment:
        found = segment.search(vectors[:20], ROWS // 4)
    assert (found.counters.used == Strategy.BRUTE_FORCE).all()
    assert (found.counters.distances == ROWS).all(), "a scan would have been as many estimates"


def test_ordinary_codes_are_scanned(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)
    with codes(tmp_path / "s", vectors) as segment:
        found = segment.search(vectors[:20], K)
        half = segment.search(vectors[:20], K, mask=np.arange(ROWS) % 2 == 0)
    for counters in (found.counters, half.counters):
        assert (counters.used == Strategy.CODE_SCAN).all()
        assert counters.exact.mean() < ROWS / 20


def test_under_a_filter_that_leaves_out_what_is_near_a_few_codes_tell_that_none_does(tmp_path: Path) -> None:
    vectors, queries = binary(ROWS, 0), binary(40, 1)
    at_once = 0
    with codes(tmp_path / "s", vectors) as segment:
        for query in queries:
            far = ((vectors - query) ** 2).sum(axis=1)
            rows = np.flatnonzero(far > np.median(far))
            mask = RowMask(far > np.median(far))
            found = segment.search(query[None], K, mask=mask)
            _, exact = topk(query[None], np.ascontiguousarray(vectors[rows]), K, Metric.EUCLIDEAN)
            np.testing.assert_array_equal(found.distances, exact)
            assert read_no_more_than_all(found.counters, len(rows))
            at_once += int(found.counters.distances[0] == len(rows))
    assert at_once >= len(queries) / 4, "of the others more were asked for first"


def read_no_more_than_all(counters: SearchCounters, rows: int) -> bool:
    """What was scanned is told from what was compared by being so many more."""
    return bool(counters.exact[0] <= rows and counters.distances[0] <= 2 * rows)


def test_bounds_that_were_measured_next_to_rows_are_wider_under_a_filter(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((2_000, DIMENSION)).astype(np.float32)
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=16, beam=32)
    write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
    with Segment.open(tmp_path / "s") as segment:
        _, everyone = segment._planned(1, None, 0.5, None, np.inf)
        _, half = segment._planned(1, RowMask(np.arange(2_000) < 1_000), 0.5, None, np.inf)
    assert everyone.bound_sigmas < FILTERED_SIGMAS_MIN <= half.bound_sigmas


def test_scans_that_end_farther_away_than_was_measured_allow_for_more(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)
    queries = np.random.default_rng(1).standard_normal((100, DIMENSION)).astype(np.float32)
    narrow = replace(rerank_plan(Strategy.CODE_SCAN, 1, 0, 0.2), first=1, deepens=True)
    _, exact = topk(queries, vectors, 1, Metric.EUCLIDEAN)
    with codes(tmp_path / "s", vectors) as segment:
        _, near, counted = segment.searcher.search(queries, 1, narrow)
        _, far, counted_far = segment.searcher.search(queries, 1, replace(narrow, measured_within=1.0))
    assert (near == exact).mean() < (far == exact).mean()
    assert (far == exact).mean() >= 0.98
    assert counted.exact.mean() < counted_far.exact.mean() < ROWS / 20
