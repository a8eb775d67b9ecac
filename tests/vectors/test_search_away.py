"""Searches whose answers lie far from the query, or that codes cannot tell apart: they notice, and go another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.segments import measured

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, Strategy
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors import trial
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Calibration, rerank_plan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.writer import write_segment

PLAN = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=64)
ROWS, DIMENSION = 5_000, 32
Vectors = NDArray[np.float32]


def draw(rows: int, seed: int) -> Vectors:
    """Rows of tails so heavy that some lie far from all others."""
    return np.random.default_rng(seed).standard_t(2.0, (rows, DIMENSION)).astype(np.float32)


def squared(vectors: Vectors, query: Vectors) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = ((vectors.astype(np.float64) - query) ** 2).sum(axis=1)
    return distances


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Segment:
    path = tmp_path_factory.mktemp("away") / "s"
    write_segment(path, draw(ROWS, 0), Metric.EUCLIDEAN, plan=PLAN, calibrate=calibrate).close()
    return Segment.open(path)


def test_a_walk_whose_filter_leaves_out_the_surroundings_is_followed_by_a_scan(segment: Segment) -> None:
    vectors = draw(ROWS, 0)
    walk = rerank_plan(Strategy.WALK, 10, 48, 0.7)
    hits = {False: 0, True: 0}
    for query in draw(40, 1):
        distances = squared(vectors, query)
        far = RowMask(distances > np.median(distances))
        truth = np.sort(distances[distances > np.median(distances)])[9]
        for scans in hits:
            plan = replace(walk, deepens=scans, scans_when_away=scans)
            _, found, counters = segment.searcher.search(query[None], 10, plan, mask=far)
            hits[scans] += int((found[0] <= truth * (1 + 1e-6)).sum())
            assert not scans or counters.used[0] != Strategy.WALK
        by_chance = RowMask(np.random.default_rng(2).random(ROWS) < 0.5)
        _, _, counters = segment.searcher.search(query[None], 10, plan, mask=by_chance)
        assert counters.used[0] == Strategy.WALK
    assert hits[True] >= 0.95 * 400 > hits[False]


def test_rows_that_walks_to_them_miss_are_where_walks_begin(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_t(1.5, (ROWS, 2 * DIMENSION)).astype(np.float32)
    write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=PLAN, calibrate=calibrate).close()
    with Segment.open(tmp_path / "s") as segment:
        calibration = Calibration.from_json(segment.file.calibration[segment.residency.name])
        answer = segment.search(vectors, 1)
    assert 0 < len(calibration.apart) <= trial.APART_MAX
    assert (answer.counters.used == Strategy.WALK).mean() > 0.5
    assert (answer.distances == 0).all()
    apart = list(calibration.apart)
    assert np.array_equal(answer.ids[apart, 0], apart)


def test_a_place_to_start_that_is_no_row_is_found(tmp_path: Path) -> None:
    forged = {bits: {"apart": [ROWS]} for bits in ("1", "2", "4")}
    plan = replace(PLAN, code_bytes=0)
    write_segment(
        tmp_path / "s", draw(ROWS, 0), Metric.EUCLIDEAN, plan=plan, calibrate=lambda *_: measured(forged)
    ).close()
    with pytest.raises(Corruption, match="a place to start that is no row"):
        Segment.open(tmp_path / "s").close()


def test_all_rows_are_read_at_once_where_codes_leave_most_of_them_in_doubt(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((2, DIMENSION), dtype=np.float32)
    vectors = centres[np.arange(ROWS) % 2] + np.float32(1e-3) * rng.standard_normal((ROWS, DIMENSION), dtype=np.float32)
    queries = centres[np.arange(20) % 2] + np.float32(1e-3) * rng.standard_normal((20, DIMENSION), dtype=np.float32)
    write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=replace(PLAN, code_bytes=0)).close()
    with Segment.open(tmp_path / "s") as segment:
        plan = replace(rerank_plan(Strategy.CODE_SCAN, 10, 0, 1.3), deepens=True)
        found, _, counters = segment.searcher.search(queries, 10, plan)
    assert np.array_equal(found, topk(queries, vectors, 10, Metric.EUCLIDEAN)[0])
    assert set(counters.used.tolist()) == {Strategy.BRUTE_FORCE}
    assert counters.distances.max() <= 2 * ROWS  # the codes of each once, and each vector once


def test_rows_that_codes_do_not_tell_apart_are_read_once(tmp_path: Path) -> None:
    """Rows of few kinds, each many times: under a filter fewer of a query's kind count than are wanted, and all others
    are as far away. The check has seen that codes leave many in doubt; a scan sees it after the first dozen."""
    rng = np.random.default_rng(5)
    vectors = np.zeros((ROWS, DIMENSION), np.float32)
    vectors[np.arange(ROWS), rng.integers(0, DIMENSION, ROWS)] = 1
    queries = vectors[:DIMENSION]
    plan = BuildPlan(SegmentKind.CODES, 4)
    write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan, calibrate=check).close()
    with Segment.open(tmp_path / "s") as segment:
        for share in (0.1, 0.01):
            mask = RowMask(rng.random(ROWS) < share)
            compare = Plan(Strategy.BRUTE_FORCE, 0, 20, 20)
            _, truth, all_of = segment.searcher.search(queries, 20, compare, mask=mask)
            chosen = segment.search(queries, 20, mask=mask)
            assert np.array_equal(chosen.distances, truth)
            assert set(chosen.counters.planned.tolist()) == {Strategy.BRUTE_FORCE}
            scan = replace(rerank_plan(Strategy.CODE_SCAN, 20, 0, 1.6), deepens=True)
            _, distances, counters = segment.searcher.search(queries, 20, scan, mask=mask)
            assert np.array_equal(distances, truth)
            assert counters.exact.mean() <= mask.count + 2 * scan.first
            assert counters.bytes.mean() <= 1.1 * all_of.bytes.mean() + 2 * scan.first * 4096


def test_effort_is_not_measured_with_rows_that_equal_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((ROWS, DIMENSION), dtype=np.float32)
    vectors[ROWS // 2 :] = vectors[rng.integers(0, 50, ROWS - ROWS // 2)]
    with write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=PLAN) as file:
        searcher = Segment.load(file, Segment.open(tmp_path / "s").residency).searcher
        sample = trial.draw(searcher, file)
    assert trial.CHECKED <= len(sample.rows) < trial.QUERIES_MAX
    assert (sample.bounds > 0).all()
    assert (sample.rows < ROWS // 2).all()
    assert np.array_equal(sample.vectors, vectors[sample.rows])
    nearest = [np.sort(squared(vectors, vector))[1] for vector in sample.vectors[:64]]
    assert min(nearest) > 0
