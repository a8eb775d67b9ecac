"""Answers of segments whose codes lie along a basis: every metric, budget, mask and k, against brute force."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.search_recall import recall

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

ROWS, DIMENSION = 2_000, 160
PLAN = BuildPlan(SegmentKind.GRAPH, 2, code_bytes=40, fine_bytes=104, degree=48, beam=64)
GRAPH_BYTES = 4 * 48
BASIS_BYTES = 2 * 160 * 192
"""Of the codes, and again of the finer ones."""


def dataset(seed: int, rows: int, dimension: int = DIMENSION) -> np.ndarray:
    """Vectors of 20 latent dimensions and some noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((20, dimension))
    vectors = rng.standard_normal((rows, 20)) @ mixing + 0.5 * rng.standard_normal((rows, dimension)) + 0.5
    return vectors.astype(np.float32)


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 40)


METRICS = [pytest.param(one, marks=[pytest.mark.slow] if one is Metric.COSINE else []) for one in Metric]


@pytest.fixture(scope="module", params=METRICS, ids=lambda metric: metric.name.lower())
def metric(request: pytest.FixtureRequest) -> Metric:
    return request.param


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, metric: Metric) -> Path:
    path = tmp_path_factory.mktemp("segment") / "graph"
    with write_segment(path, VECTORS, metric, plan=PLAN, calibrate=calibrate) as segment:
        assert segment.codes is not None
        assert segment.fine is not None
        assert segment.codes.record_bytes <= 40 < segment.fine.record_bytes <= 104
        assert list(segment.calibration) == ["basis", "fine"]
    return path


def budgets() -> Iterator[tuple[str, int | None]]:
    yield "all in memory", None
    yield "fine codes, codes and graph", ROWS * (40 + 104 + GRAPH_BYTES) + 2 * BASIS_BYTES
    yield "codes and graph", ROWS * (40 + GRAPH_BYTES) + BASIS_BYTES
    yield "codes alone", ROWS * 40 + BASIS_BYTES + 265_000
    yield "nothing", 1_000


BUDGETS = pytest.mark.parametrize("budget", [b for _, b in budgets()], ids=[name for name, _ in budgets()])


def test_residency_follows_the_budget(path: Path) -> None:
    expected = [("fine", True), ("fine", True), ("basis", True), ("basis", False), ("none", False)]
    for (_, budget), (codes, graph) in zip(budgets(), expected, strict=True):
        strategy = Strategy.WALK if graph else Strategy.NODE_WALK
        with Segment.open(path, memory_budget_bytes=budget) as segment:
            assert (segment.residency.name, segment.residency.graph) == (codes, graph)
            used = segment.search(QUERIES, 1, recall_target=0.5).counters.used
            assert set(used.tolist()) <= {strategy, Strategy.CODE_SCAN, Strategy.BRUTE_FORCE}
            file = segment.file
            assert file.codes is not None
            assert file.fine is not None
            expected_bytes = ROWS * GRAPH_BYTES * graph
            if codes != "none":
                expected_bytes += ROWS * file.codes.record_bytes + 2 * 160 * file.codes.directions
            if codes == "fine":
                expected_bytes += ROWS * file.fine.record_bytes + 2 * 160 * file.fine.directions
            assert segment.resident_bytes == expected_bytes
            if budget is not None:
                assert segment.resident_bytes <= budget


def test_every_budget_is_kept_to(path: Path) -> None:
    with Segment.open(path) as segment:
        whole = segment.resident_bytes
    for budget in range(0, whole + 100_000, whole // 13):
        with Segment.open(path, memory_budget_bytes=budget) as segment:
            assert segment.resident_bytes <= budget


@BUDGETS
def test_recall_is_what_was_asked_for(path: Path, metric: Metric, budget: int | None) -> None:
    truth, _ = topk(QUERIES, VECTORS, 10, metric)
    order, exact = topk(QUERIES, VECTORS, ROWS, metric)
    by_row = np.empty_like(exact)
    np.put_along_axis(by_row, order, exact, axis=1)
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        for target in (0.9, 0.99):
            found = segment.search(QUERIES, 10, recall_target=target)
            assert recall(found.ids, truth) >= target - 0.02
            np.testing.assert_array_equal(found.distances, np.take_along_axis(by_row, found.ids, axis=1))
            assert (np.diff(found.distances, axis=1) >= 0).all()


@pytest.mark.parametrize("k", [1, 17, 150, ROWS + 5])
def test_any_k(path: Path, metric: Metric, k: int) -> None:
    queries = QUERIES if k < 20 else QUERIES[:4]
    truth, _ = topk(queries, VECTORS, k, metric)
    for _, budget in budgets():
        with Segment.open(path, memory_budget_bytes=budget) as segment:
            found = segment.search(queries, k)
            assert found.ids.shape == truth.shape
            assert all(len(set(row)) == len(row) for row in found.ids.tolist())
            assert recall(found.ids, truth) >= 0.9


@BUDGETS
def test_masks(path: Path, metric: Metric, budget: int | None) -> None:
    kinds = ["random", "correlated"]
    if metric is Metric.EUCLIDEAN:  # by the others such a mask ends where the nearest begin: hundreds are as near
        kinds.append("anti-correlated")
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        for kind, pass_rate in itertools.product(kinds, (0.5, 0.1, 0.02, 0.003)):
            shares = []
            for i, query in enumerate(QUERIES[:10]):
                order = np.random.default_rng(i).permutation(ROWS)
                if kind != "random":
                    along = (VECTORS - VECTORS.mean(0)) @ (query - VECTORS.mean(0))
                    order = np.argsort(-along if kind == "correlated" else along)
                mask = np.zeros(ROWS, bool)
                mask[order[: max(1, round(pass_rate * ROWS))]] = True
                truth, _ = topk(query[None], VECTORS, 10, metric, mask)
                found = segment.search(query[None], 10, mask=mask)
                assert found.ids.shape == truth.shape
                assert mask[found.ids].all()
                shares.append(recall(found.ids, truth))
            assert np.mean(shares) >= 0.93, (kind, pass_rate)


def test_each_strategy_finds_and_keeps_to_a_mask(path: Path, metric: Metric) -> None:
    mask = np.random.default_rng(0).random(ROWS) < 0.3
    truth, _ = topk(QUERIES, VECTORS, 10, metric, mask)
    for budget in (None, ROWS * (40 + GRAPH_BYTES) + BASIS_BYTES):
        with Segment.open(path, memory_budget_bytes=budget) as segment:
            for strategy in set(Strategy) - {Strategy.LIST_SCAN}:
                beam = 0 if strategy in (Strategy.BRUTE_FORCE, Strategy.CODE_SCAN) else 300
                plan = Plan(strategy, beam, 200, 12, 2.0)
                ids, _, counters = segment.searcher.search(QUERIES, 10, plan, mask=RowMask(mask))
                assert recall(ids, truth) >= 0.97, strategy
                assert set(counters.used.tolist()) == {strategy}


def test_fine_codes_save_reads(path: Path, metric: Metric) -> None:
    truth, _ = topk(QUERIES, VECTORS, 10, metric)
    plan = Plan(Strategy.WALK, 200, 200, 10, 2.0)
    reads = []
    for budget in (None, ROWS * (40 + GRAPH_BYTES) + BASIS_BYTES):
        with Segment.open(path, memory_budget_bytes=budget) as segment:
            ids, _, counters = segment.searcher.search(QUERIES, 10, plan)
            assert recall(ids, truth) >= 0.97
            reads.append(counters.exact.mean())
    assert reads[0] < 0.9 * reads[1]


def test_a_walk_that_becomes_a_scan_is_put_in_order_by_fine_codes_too(path: Path, metric: Metric) -> None:
    mask = np.zeros(ROWS, bool)
    mask[np.random.default_rng(0).permutation(ROWS)[:300]] = True
    truth, _ = topk(QUERIES, VECTORS, 10, metric, mask)
    with Segment.open(path) as segment:
        plan = Plan(Strategy.WALK, 64, 100, 12, 2.5, effort_max=20)
        ids, _, counters = segment.searcher.search(QUERIES, 10, plan, mask=RowMask(mask))
    assert set(counters.used.tolist()) == {Strategy.CODE_SCAN}
    assert recall(ids, truth) >= 0.97


def test_a_graph_without_fine_codes(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, fine_bytes=0)
    truth, _ = topk(QUERIES, VECTORS, 10, Metric.EUCLIDEAN)
    with write_segment(tmp_path / "s", VECTORS, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate) as file:
        assert file.fine is None
        assert list(file.calibration) == ["basis"]
    for budget in (None, ROWS * 40 + BASIS_BYTES + 270_000):
        with Segment.open(tmp_path / "s", memory_budget_bytes=budget) as segment:
            assert segment.residency.name == "basis"
            assert recall(segment.search(QUERIES, 10).ids, truth) >= 0.93


def test_codes_along_a_basis_without_a_graph(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, kind=SegmentKind.CODES)
    truth, _ = topk(QUERIES, VECTORS, 10, Metric.EUCLIDEAN)
    write_segment(tmp_path / "s", VECTORS, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
    for budget in (None, ROWS * (40 + 104) + 2 * BASIS_BYTES, ROWS * 40 + BASIS_BYTES, 1_000):
        with Segment.open(tmp_path / "s", memory_budget_bytes=budget) as segment:
            assert recall(segment.search(QUERIES, 10, recall_target=0.98).ids, truth) >= 0.97


def test_a_few_rows_beside_the_basis_disturb_no_other_search(tmp_path: Path) -> None:
    """Their estimates by the little they have along it would be the least of all, for every other query."""
    rng = np.random.default_rng(3)
    with write_segment(tmp_path / "clean", VECTORS, Metric.EUCLIDEAN, plan=PLAN) as clean:
        basis = clean.load_basis().astype(np.float64) / 32_767
        centroid = clean.centroid.astype(np.float64)
    odd = rng.standard_normal((60, DIMENSION))
    odd -= (odd @ basis[:64].T) @ basis[:64]
    vectors = VECTORS.copy()
    vectors[rng.permutation(ROWS)[:60]] = 3 * odd + centroid
    truth, _ = topk(QUERIES, vectors, 10, Metric.EUCLIDEAN)
    plan = dataclasses.replace(PLAN, code_bytes=24, fine_bytes=40)
    write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
    with Segment.open(tmp_path / "s") as segment:
        assert recall(segment.search(QUERIES, 10).ids, truth) >= 0.93


def test_equal_rows_give_k_of_them(tmp_path: Path, metric: Metric) -> None:
    vectors = np.ones((2_000, 16), np.float32)
    plan = BuildPlan(SegmentKind.GRAPH, 2, code_bytes=16, fine_bytes=40)
    write_segment(tmp_path / "equal", vectors, metric, plan=plan, calibrate=calibrate).close()
    with Segment.open(tmp_path / "equal") as segment:
        found = segment.search(vectors[:2], 30)
    assert found.ids.shape == (2, 30)
    assert len(set(found.ids[0].tolist())) == 30


def easy(rows: int, rng: np.random.Generator) -> np.ndarray:
    return dataset(int(rng.integers(100)), rows, 96)


def clustered(rows: int, rng: np.random.Generator) -> np.ndarray:
    centres = np.random.default_rng(5).standard_normal((1_000, 96))
    return (centres[rng.integers(0, 1_000, rows)] + 0.05 * rng.standard_normal((rows, 96))).astype(np.float32)


def uniform(rows: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((rows, 24), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("data", [easy, clustered, uniform])
def test_recall_of_the_default_plan_is_that_of_codes_without_a_basis(tmp_path: Path, data: object) -> None:
    """Whatever the sample says is chosen: as much recall as by plain codes, asked for the same."""
    rng = np.random.default_rng(0)
    vectors, queries = data(9_000, rng), data(200, rng)  # type: ignore[operator]
    truth, _ = topk(queries, vectors, 10, Metric.EUCLIDEAN)
    found = {}
    for name, code_bytes in (("plain", 0), ("basis", None)):
        plan = BuildPlan(SegmentKind.GRAPH, 4, code_bytes=code_bytes)
        write_segment(tmp_path / name, vectors, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
        with Segment.open(tmp_path / name) as segment:
            assert (segment.file.directions > 0) == (name == "basis")
            found[name] = recall(segment.search(queries, 10, recall_target=0.95).ids, truth)
    assert found["basis"] >= 0.93
    assert found["basis"] >= found["plain"] - 0.02
