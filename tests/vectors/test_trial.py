"""What the trials of a segment foretell, against what searches for other vectors then find and take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.search_recall import recall

from lutra.kernels.blocks import BlockCache
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Plan, Searcher, Strategy
from lutra.model.indexes import Metric
from lutra.vectors import trial
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Calibration, Compared, rerank_plan
from lutra.vectors.checks import CHECK_SLACK
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.layout import SegmentKind
from lutra.vectors.residency import code_residencies
from lutra.vectors.segment import RECALL_TARGET_DEFAULT, Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS, DIMENSION = 4_000, 64


def dataset(seed: int, rows: int) -> np.ndarray:
    """Vectors of 24 latent dimensions and some noise: the narrowest walks miss a few of ten neighbours."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((24, DIMENSION))
    vectors = rng.standard_normal((rows, 24)) @ mixing + 0.5 * rng.standard_normal((rows, DIMENSION))
    return vectors.astype(np.float32)


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 300)
PLAN = BuildPlan(SegmentKind.GRAPH, 4, code_bytes=40, fine_bytes=72, degree=24, beam=64)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SegmentFile]:
    path = tmp_path_factory.mktemp("segment") / "graph"
    with write_segment(path, VECTORS, Metric.EUCLIDEAN, plan=PLAN, calibrate=calibrate) as file:
        yield file


def test_points_foretell_recall_distances_and_reads(file: SegmentFile) -> None:
    assert sorted(file.calibration) == ["basis", "fine"]
    cache = BlockCache(16 << 20)
    for residency in code_residencies(file, True):
        searcher = Segment.load(file, residency, cache=cache).searcher
        for k, points in file.calibration[residency.name]["curves"].items():
            truth, _ = topk(QUERIES, VECTORS, int(k), Metric.EUCLIDEAN)
            for foretold, beam, sigmas, distances, reads in points:
                found, _, counters = searcher.search(
                    QUERIES, int(k), rerank_plan(Strategy.WALK, int(k), int(beam), sigmas)
                )
                assert recall(found, truth) == pytest.approx(foretold, abs=0.035)
                assert counters.means()["distances"] == pytest.approx(distances, rel=0.08)
                assert counters.means()["reads"] == pytest.approx(reads, rel=0.08)
        searcher.nodes.close()
    cache.close()


def test_curves_rise_and_reach_what_may_be_asked_for(file: SegmentFile) -> None:
    for curves in file.calibration.values():
        assert set(curves["curves"]) == {"1", "10", "100"}
        for points in curves["curves"].values():
            recalls = [point[0] for point in points]
            assert recalls == sorted(recalls)
            assert 0.99 < recalls[-1] <= 1


def test_what_is_planned_is_checked_and_how_far_neighbours_are_is_kept(file: SegmentFile) -> None:
    for measured in file.calibration.values():
        assert measured["fallback"] == "none"
        assert measured["recall"] >= RECALL_TARGET_DEFAULT - CHECK_SLACK
        calibration = Calibration.from_json(measured)
        assert calibration.to_json() == measured
        _, distances = topk(VECTORS, VECTORS, 101, Metric.EUCLIDEAN)
        for k in (1, 10, 100):
            farthest = float(distances[:, k].max())
            # Of some of the rows; a little more is allowed.
            assert 0.5 * farthest <= calibration.measured_within(k) <= 1.06 * farthest
        assert calibration.measured_within(101) == math.inf
        assert calibration.measured_within(1) < calibration.measured_within(10)


@pytest.mark.parametrize(
    "found", [[0.5, 1.0], [0.5, 0.9], [0.5, 0.5]], ids=["a scan", "too little", "still too little"]
)
def test_a_plan_that_finds_too_little_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[float]
) -> None:
    plans: list[Plan] = []

    def check(searcher: Searcher, sample: trial.Sample, plan: Plan, threads: int) -> tuple[float, Compared]:
        plans.append(plan)
        return found[(len(plans) - 1) % 2], Compared(20.0, 20.0)

    monkeypatch.setattr(trial, "check", check)
    with write_segment(tmp_path / "s", VECTORS, Metric.EUCLIDEAN, plan=PLAN, calibrate=calibrate) as file:
        measured = next(iter(file.calibration.values()))
    is_scan = found[1] == 1.0
    assert (measured["fallback"], measured["recall"]) == (("scan", 1.0) if is_scan else ("exact", 1.0))
    assert plans[1].strategy is Strategy.CODE_SCAN
    assert plans[1].bound_sigmas > plans[0].bound_sigmas
    truth, _ = topk(QUERIES, VECTORS, 10, Metric.EUCLIDEAN)
    with Segment.open(tmp_path / "s") as segment:
        answer = segment.search(QUERIES, 10)
        asked_for = segment.search(QUERIES, 10, num_candidates=100)
    used = Strategy.CODE_SCAN if is_scan else Strategy.BRUTE_FORCE
    assert set(answer.counters.used.tolist()) == {used}
    assert recall(answer.ids, truth) == (pytest.approx(1.0, abs=0.005) if is_scan else 1.0)
    assert Strategy.BRUTE_FORCE not in asked_for.counters.used.tolist(), "whoever says how many candidates gets those"


@pytest.mark.parametrize("metric", list(Metric), ids=lambda metric: metric.name.lower())
def test_a_walk_that_ends_farther_away_than_was_measured_is_followed_by_a_scan(tmp_path: Path, metric: Metric) -> None:
    away = QUERIES - np.float32(20) if metric is Metric.COSINE else np.float32(20) + QUERIES / 10
    truth, _ = topk(away, VECTORS, 10, metric)
    with write_segment(tmp_path / "s", VECTORS, metric, plan=PLAN, calibrate=calibrate) as file:
        calibration = Calibration.from_json(next(iter(file.calibration.values())))
    with Segment.open(tmp_path / "s") as segment:
        walk = replace(rerank_plan(Strategy.WALK, 10, 64, 1.3), measured_within=calibration.measured_within(10))
        _, _, near = segment.searcher.search(VECTORS[:100], 10, walk)
        found, _, far = segment.searcher.search(away, 10, walk)
    assert (near.used == Strategy.WALK).mean() > 0.95
    assert set(far.planned.tolist()) == {Strategy.WALK}
    if metric is not Metric.DOT_PRODUCT:  # where nothing is farther than what is in the way
        assert set(far.used.tolist()) == {Strategy.CODE_SCAN}
        assert recall(found, truth) >= 0.95


def test_what_is_measured_does_not_depend_on_the_threads(file: SegmentFile) -> None:
    once, again = calibrate(file, threads=1), calibrate(file, threads=3)
    assert once.calibration == again.calibration == file.calibration
    assert np.array_equal(once.exact, again.exact)


def test_queries_answered_in_full_are_not_asked_again(file: SegmentFile) -> None:
    residency = code_residencies(file, True)[0]
    searcher = Segment.load(file, residency).searcher
    sample = trial.draw(searcher, file)
    asked: list[tuple[int, int]] = []

    class Counting(trial.Asking):
        def __call__(self, chosen, k, beam, sigmas):  # type: ignore[no-untyped-def]
            asked.append((k, len(chosen)))
            return super().__call__(chosen, k, beam, sigmas)

    walks = trial.try_walks(Counting(searcher, sample, SegmentCosts(ROWS, 40, True)))[0]
    searcher.nodes.close()
    *numbers, _ = [number for k, number in asked if k == 10]
    assert numbers[0] == 256
    for number, found in zip(numbers[1:], walks.hits, strict=False):
        panel = np.arange(256) < trial.PANEL
        assert number == np.count_nonzero(panel | ~found.all(axis=1)) < 256
    assert all(
        (later | ~found.all(axis=1)[:, None]).all() for found, later in zip(walks.hits, walks.hits[1:], strict=False)
    )


def test_truth_by_codes_is_that_by_vectors(file: SegmentFile, monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = Segment.load(file, code_residencies(file, True)[0]).searcher
    exact = trial.draw(searcher, file)
    monkeypatch.setattr(trial, "EXACT_BYTES_MAX", 0)
    by_codes = trial.draw(searcher, file)
    searcher.nodes.close()
    np.testing.assert_array_equal(exact.rows, by_codes.rows)
    for one, other in zip(exact.truths, by_codes.truths, strict=True):
        assert recall(other, one) >= 0.999
        assert not (one == exact.rows[: len(one), None]).any()


@pytest.mark.parametrize("power", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("k", [1, 3])
def test_what_is_missed_of_the_first_ranks_is_told_from_all(power: float, k: int) -> None:
    missed = 0.05 * np.arange(1, 11) ** power

    def walks(queries: int, threshold: np.ndarray) -> trial.Walks:
        hits = np.random.default_rng(0).random((queries, 10)) >= threshold
        return trial.Walks((32,), (hits,), (1.0,), 0, np.empty((0, 10), np.int64))

    foretold = 1 - walks(4_000, missed).recalls(k)[0]
    assert missed[:k].mean() * 0.95 < foretold < missed[:k].mean() * 1.25
    assert 1 - walks(4_000, missed).recalls(10)[0] == pytest.approx(missed.mean(), rel=0.03)
    assert walks(4, np.zeros(10)).recalls(k) == [1.0]


def test_where_the_first_is_missed_more_often_than_others_that_is_counted() -> None:
    beams, missed = (32, 64), np.full((2, 10), 0.05)

    def walks(of_first: float) -> trial.Walks:
        missed[:, 0] = of_first
        hits = tuple(np.random.default_rng(0).random((4_000, 10)) >= one for one in missed)
        return trial.Walks(beams, hits, (1.0, 2.0), 0, np.empty((0, 10), np.int64))

    assert all(1 - recall == pytest.approx(0.2, abs=0.03) for recall in walks(0.2).recalls(1))
    assert all(1 - recall == pytest.approx(0.065, abs=0.01) for recall in walks(0.2).recalls(10))
    assert all(1 - recall == pytest.approx(0.05, abs=0.01) for recall in walks(0.05).recalls(1))


@pytest.mark.parametrize("beam", [6, 24, 48])
def test_walks_to_one_row_meet_it_where_searches_find_it(tmp_path: Path, beam: int) -> None:
    """Whatever they try first: in a graph of few edges, of which walks miss some rows."""
    plan = BuildPlan(SegmentKind.GRAPH, 4, code_bytes=0, degree=5, beam=8)
    numbers = np.arange(ROWS, dtype=np.uint32)
    with write_segment(tmp_path / "s", VECTORS, Metric.EUCLIDEAN, plan=plan), Segment.open(tmp_path / "s") as segment:
        met = segment.searcher.meet(VECTORS, numbers, beam)
        walk = replace(rerank_plan(Strategy.WALK, 1, beam, 3.0), candidates=1)
        found, _, _ = segment.searcher.search(VECTORS, 1, walk)
    np.testing.assert_array_equal(met, found[:, 0] == numbers)
    assert 0 < np.count_nonzero(met) < ROWS


@pytest.mark.parametrize("rows", [2, 3, 12, 130])
@pytest.mark.parametrize("kind", [SegmentKind.CODES, SegmentKind.GRAPH])
def test_segments_of_a_few_rows_are_measured_as_far_as_there_are_neighbours(
    tmp_path: Path, rows: int, kind: SegmentKind
) -> None:
    plan = BuildPlan(kind, 4, code_bytes=0)
    with write_segment(tmp_path / "s", VECTORS[:rows], Metric.EUCLIDEAN, plan=plan, calibrate=calibrate) as file:
        expected = {str(k) for k in (1, 10, 100) if k < rows}
        assert all(set(one["curves"]) == expected for one in file.calibration.values())
        assert sorted(file.calibration) == ["1", "2", "4"]
