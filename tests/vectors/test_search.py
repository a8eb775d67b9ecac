"""Answers of a segment against brute force: every kind, metric, budget and strategy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.search_recall import recall

from lutra.kernels.blocks import BlockCache
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

ROWS, DIMENSION = 3_000, 48


def dataset(seed: int, rows: int = ROWS, dimension: int = DIMENSION) -> np.ndarray:
    """Vectors of 12 latent dimensions and some noise: neighbours mean something."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((12, dimension))
    vectors = rng.standard_normal((rows, 12)) @ mixing + 0.3 * rng.standard_normal((rows, dimension)) + 0.5
    return vectors.astype(np.float32)


VECTORS, QUERIES = dataset(0), dataset(1, 40)


@pytest.fixture(scope="module", params=list(Metric), ids=lambda metric: metric.name.lower())
def metric(request: pytest.FixtureRequest) -> Metric:
    return request.param


@pytest.fixture(scope="module")
def graph_path(tmp_path_factory: pytest.TempPathFactory, metric: Metric) -> Path:
    path = tmp_path_factory.mktemp("segment") / "graph"
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=32, beam=64)
    write_segment(path, VECTORS, metric, plan=plan, calibrate=calibrate).close()
    return path


def budgets() -> Iterator[tuple[str, int | None]]:
    yield "all in memory", None
    yield "short codes and graph in memory", ROWS * (16 + 128) + 1_000
    yield "codes in memory", ROWS * 40 + 280_000
    yield "short codes in memory", ROWS * 16 + 270_000
    yield "nothing in memory", 1_000


def test_kinds_without_a_graph_answer_exactly_or_nearly(tmp_path: Path, metric: Metric) -> None:
    truth, exact = topk(QUERIES, VECTORS, 10, metric)
    for kind in (SegmentKind.FLAT, SegmentKind.CODES):
        write_segment(tmp_path / kind.value, VECTORS, metric, plan=BuildPlan(kind, 4), calibrate=calibrate).close()
        with Segment.open(tmp_path / kind.value) as segment:
            found = segment.search(QUERIES, 10, recall_target=0.98)
        assert recall(found.ids, truth) >= (1.0 if kind is SegmentKind.FLAT else 0.98)
        same = found.ids == truth
        np.testing.assert_array_equal(found.distances[same], exact[same])


@pytest.mark.parametrize("budget", [b for _, b in budgets()], ids=[name for name, _ in budgets()])
def test_recall_is_what_was_asked_for(graph_path: Path, metric: Metric, budget: int | None) -> None:
    truth, _ = topk(QUERIES, VECTORS, 10, metric)
    with Segment.open(graph_path, memory_budget_bytes=budget) as segment:
        for target in (0.9, 0.99):
            found = segment.search(QUERIES, 10, recall_target=target)
            assert recall(found.ids, truth) >= target - 0.02
            assert (np.diff(found.distances, axis=1) >= 0).all()


@pytest.mark.parametrize("budget", [b for _, b in budgets()], ids=[name for name, _ in budgets()])
def test_distances_are_those_of_a_scan_to_the_bit(graph_path: Path, metric: Metric, budget: int | None) -> None:
    _, exact = topk(QUERIES, VECTORS, ROWS, metric)
    order, _ = topk(QUERIES, VECTORS, ROWS, metric)
    by_row = np.empty_like(exact)
    np.put_along_axis(by_row, order, exact, axis=1)
    with Segment.open(graph_path, memory_budget_bytes=budget) as segment:
        found = segment.search(QUERIES, 20)
        np.testing.assert_array_equal(found.distances, np.take_along_axis(by_row, found.ids, axis=1))


def test_residency_follows_the_budget(graph_path: Path) -> None:
    expected = [("4", True), ("1", True), ("4", False), ("1", False), ("none", False)]
    for (_, budget), (codes, graph) in zip(budgets(), expected, strict=True):
        strategy = Strategy.WALK if graph else Strategy.NODE_WALK
        with Segment.open(graph_path, memory_budget_bytes=budget) as segment:
            assert (segment.residency.name, segment.residency.graph) == (codes, graph)
            counters = segment.search(QUERIES, 1, recall_target=0.5).counters
            assert set(counters.used.tolist()) <= {strategy, Strategy.CODE_SCAN, Strategy.BRUTE_FORCE}
            if budget is not None:
                assert segment.resident_bytes <= budget


def test_a_shared_cache_serves_what_it_holds(graph_path: Path, metric: Metric) -> None:
    cache = BlockCache(8 * 1024 * 1024)
    with Segment.open(graph_path, cache=cache) as segment:
        first = segment.search(QUERIES, 10)
        reads = cache.counters().owners[str(graph_path)].reads
        again = segment.search(QUERIES, 10)
        assert cache.counters().owners[str(graph_path)].reads < 1.5 * reads
    np.testing.assert_array_equal(first.ids, again.ids)
    cache.close()


@pytest.mark.parametrize("k", [1, 2, 17, 150, ROWS + 5])
def test_any_k(graph_path: Path, metric: Metric, k: int) -> None:
    queries = QUERIES if k < ROWS else QUERIES[:4]
    truth, _ = topk(queries, VECTORS, k, metric)
    for _, budget in budgets():
        with Segment.open(graph_path, memory_budget_bytes=budget) as segment:
            found = segment.search(queries, k)
            assert found.ids.shape == truth.shape
            assert all(len(set(row)) == len(row) for row in found.ids.tolist())
            assert recall(found.ids, truth) >= 0.9


def test_num_candidates_overrides_the_target(graph_path: Path, metric: Metric) -> None:
    truth, _ = topk(QUERIES, VECTORS, 10, metric)
    with Segment.open(graph_path) as segment:
        few = segment.search(QUERIES, 10, num_candidates=10)
        many = segment.search(QUERIES, 10, num_candidates=800)
    assert many.counters.distances.mean() > few.counters.distances.mean()
    assert recall(many.ids, truth) >= max(0.98, recall(few.ids, truth))


def test_more_recall_takes_more_work(graph_path: Path) -> None:
    with Segment.open(graph_path, memory_budget_bytes=10**9) as segment:
        efforts = [segment.search(QUERIES, 10, recall_target=r).counters for r in (0.5, 0.9, 0.99, 1.0)]
    work = [counters.distances.mean() + 50 * counters.reads.mean() for counters in efforts]
    assert work == sorted(work)


def test_searches_of_many_threads_at_once_agree(graph_path: Path) -> None:
    with Segment.open(graph_path) as segment:
        expected = segment.search(QUERIES, 10, threads=1)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i: segment.search(QUERIES, 10, threads=1 + i % 3), range(32)))
    for one in found:
        np.testing.assert_array_equal(one.ids, expected.ids)
        np.testing.assert_array_equal(one.distances, expected.distances)
        np.testing.assert_array_equal(one.counters.reads, expected.counters.reads)


def test_a_segment_without_rows_answers_with_none(tmp_path: Path) -> None:
    with write_segment(tmp_path / "empty", np.empty((0, 8), np.float32), Metric.EUCLIDEAN):
        pass
    with Segment.open(tmp_path / "empty") as segment:
        found = segment.search(np.zeros((3, 8), np.float32), 5)
        assert found.ids.shape == (3, 0)
        assert segment.search(np.zeros((0, 8), np.float32), 5).ids.shape == (0, 0)


def test_a_segment_of_equal_rows_gives_k_of_them(tmp_path: Path) -> None:
    vectors = np.ones((2_000, 16), np.float32)
    write_segment(tmp_path / "equal", vectors, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.GRAPH, 2)).close()
    with Segment.open(tmp_path / "equal") as segment:
        found = segment.search(vectors[:2], 30)
    assert found.ids.shape == (2, 30)
    assert len(set(found.ids[0].tolist())) == 30
    assert (found.distances == 0).all()


def test_questions_that_make_no_sense_are_refused(graph_path: Path) -> None:
    queries = QUERIES[:1]
    bad = queries.copy()
    bad[0, 3] = np.nan
    with Segment.open(graph_path) as segment:
        with pytest.raises(ParameterInvalid, match="Queries are"):
            segment.search(queries[:, :5].copy(), 1)
        with pytest.raises(ParameterInvalid, match="finite"):
            segment.search(bad, 1)
        with pytest.raises(ParameterInvalid, match="k is"):
            segment.search(queries, 0)
        with pytest.raises(ParameterInvalid, match="mask"):
            segment.search(queries, 1, mask=np.ones(5, bool))
        with pytest.raises(ParameterInvalid, match="recall"):
            segment.search(queries, 1, recall_target=1.5)
        with pytest.raises(ParameterInvalid, match="candidate"):
            segment.search(queries, 1, num_candidates=0)


@pytest.mark.parametrize("budget", [b for _, b in budgets()], ids=[name for name, _ in budgets()])
def test_what_is_farther_than_wanted_is_left_out(graph_path: Path, metric: Metric, budget: int | None) -> None:
    """Of the nearest three nearly all are found, whatever is left out of those that are farther."""
    kept, exact = 0, [0, 0]
    with Segment.open(graph_path, memory_budget_bytes=budget) as segment:
        for query in QUERIES:
            whole = segment.search(query[None], 10)
            near = segment.search(query[None], 10, within=float(whole.distances[0, 2]))
            there = near.ids[0] >= 0
            assert np.isfinite(near.distances[0][there]).all()
            assert np.isinf(near.distances[0][~there]).all()
            assert (np.diff(near.distances[0][there]) >= 0).all()
            kept += len(np.intersect1d(near.ids[0], whole.ids[0, :3]))
            exact = [exact[0] + whole.counters.exact[0], exact[1] + near.counters.exact[0]]
    assert kept >= 0.98 * 3 * len(QUERIES)
    if segment.residency.codes is not None and segment.residency.codes.bits == 1:
        assert exact[1] <= exact[0], "codes of one bit leave so many in doubt that searches may go without them"
    elif segment.residency.codes is not None:
        assert exact[1] < 0.8 * exact[0]


def test_what_is_nearer_than_is_known_is_found_where_that_is_next_to_nothing(tmp_path: Path) -> None:
    """Rows ten to a point, a thousandth of the spread wide: near a distance of 0 the bound of codes is cut off."""
    rng = np.random.default_rng(2)
    points = np.repeat(rng.standard_normal((300, DIMENSION)), 10, axis=0)
    vectors = (points + 1e-3 * rng.standard_normal(points.shape)).astype(np.float32)
    queries = vectors[::30] + np.float32(1e-3) * rng.standard_normal((100, DIMENSION)).astype(np.float32)
    _, exact = topk(queries, vectors, 10, Metric.EUCLIDEAN)
    plan = BuildPlan(SegmentKind.CODES, 4)
    with write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan), Segment.open(tmp_path / "s") as segment:
        lost = 0
        for query, distances in zip(queries, exact, strict=True):
            found = segment.search(query[None], 2, within=float(distances[1]))
            lost += int((found.ids < 0).sum())
    assert lost <= 4, "of 200: as many as a bound of 2.5 standard deviations leaves out, and more"
