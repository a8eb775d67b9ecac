"""Segments whose rows are in lists: what is written, what searches find by it, and what damage to it does."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.search_recall import recall

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Strategy
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.merge import MergeInput, merge_segments
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.segment_plan import calibration_of, costs_of, effort_of
from lutra.vectors.strategies import foreseen
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 6_000, 32, 10
PLAN = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48, has_lists=True)
CODES_ALONE = ROWS * 40 + 300_000
"""Of memory: too little for a graph."""


def dataset(seed: int, rows: int, copies: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((10, DIMENSION))
    vectors = rng.standard_normal((rows, 10)) @ mixing + 0.3 * rng.standard_normal((rows, DIMENSION))
    return np.repeat(vectors[: rows // copies], copies, axis=0).astype(np.float32)


def write(path: Path, vectors: np.ndarray, metric: Metric = Metric.EUCLIDEAN, threads: int = 2) -> np.ndarray:
    """Returns the row of ``vectors`` that each of the segment's is."""
    orders: list[np.ndarray] = []
    measure = functools.partial(calibrate, threads=threads)
    write_segment(path, vectors, metric, plan=PLAN, threads=threads, calibrate=measure, on_order=orders.append).close()
    return orders[0]


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 40)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("segment") / "lists"
    return path, write(path, VECTORS)


def found_by(segment: Segment, strategy: Strategy, mask: np.ndarray | None = None, target: float = 0.95) -> np.ndarray:
    rows = None if mask is None else RowMask(mask)
    k, plan = segment.plan_of(strategy, K, rows, target)
    ids, _, counters = segment.searcher.search(QUERIES, k, plan, mask=rows)
    assert (counters.planned == strategy).all()
    return ids


def test_all_sections_are_in_the_order_that_is_told(written: tuple[Path, np.ndarray]) -> None:
    path, order = written
    with SegmentFile.open(path) as file:
        assert np.array_equal(file.read_vectors(np.arange(ROWS)), VECTORS[order])
        assert file.verify() == []
        graph = file.load_graph()
        plain = SegmentFile.open(_without_lists(path.parent))
        with plain:
            numbers = np.empty(ROWS, np.int64)
            numbers[order] = np.arange(ROWS)
            of_row = plain.load_graph()
            for row in (0, 17, ROWS - 1):
                expected = [numbers[one] for one in of_row[order[row]] if one < ROWS]
                assert graph[row][graph[row] < ROWS].tolist() == expected, "the same graph, renumbered"
            assert np.array_equal(file.load_codes(), plain.load_codes()[order])


def _without_lists(folder: Path) -> Path:
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48)
    write_segment(folder / "plain", VECTORS, Metric.EUCLIDEAN, plan=plan).close()
    return folder / "plain"


def test_the_same_bytes_on_any_number_of_threads(written: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, order = written
    assert np.array_equal(write(tmp_path / "again", VECTORS, threads=1), order)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("budget", [None, CODES_ALONE], ids=["resident", "codes"])
@pytest.mark.parametrize("target", [0.9, 0.95, 0.99])
def test_lists_reach_what_is_asked_for(written: tuple[Path, np.ndarray], budget: int | None, target: float) -> None:
    path, order = written
    truth, _ = topk(QUERIES, VECTORS[order], K, Metric.EUCLIDEAN)
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        assert segment.residency.graph is (budget is None)
        assert recall(found_by(segment, Strategy.LIST_SCAN, target=target), truth) >= target - 0.01
        found = segment.search(QUERIES, K, recall_target=target)
        assert recall(found.ids, truth) >= target - 0.01


def test_lists_are_looked_at_in_part(written: tuple[Path, np.ndarray]) -> None:
    path, _ = written
    with Segment.open(path, memory_budget_bytes=CODES_ALONE) as segment:
        k, plan = segment.plan_of(Strategy.LIST_SCAN, K, None)
        _, _, counters = segment.searcher.search(QUERIES, k, plan)
        assert 0 < plan.covers < ROWS / 2
        assert 0 < plan.reach < 1
        assert counters.distances.mean() < ROWS / 2
        # Of rows as queries one in a hundred ends nearer than lists were measured with, and is followed by a scan.
        assert (counters.used == Strategy.LIST_SCAN).mean() >= 0.85
        assert counters.hops.mean() < segment.file.lists.count / 2
        assert segment.resident_bytes < ROWS * 40 + 64 * 1024


@pytest.mark.parametrize("kind", ["random", "correlated", "anti-correlated"])
@pytest.mark.parametrize("pass_rate", [0.3, 0.05, 0.01, 0.001])
def test_under_filters(written: tuple[Path, np.ndarray], kind: str, pass_rate: float) -> None:
    """Never fewer than k while k qualify, none that does not, and the recall of a search without a filter."""
    path, order = written
    ordered = VECTORS[order]
    along = (ordered - ordered.mean(0)) @ (QUERIES[0] - ordered.mean(0))
    by = {"random": np.random.default_rng(4).random(ROWS), "correlated": -along, "anti-correlated": along}[kind]
    mask = np.zeros(ROWS, bool)
    mask[np.argsort(by)[: round(pass_rate * ROWS)]] = True
    truth, _ = topk(QUERIES, ordered, K, Metric.EUCLIDEAN, mask)
    with Segment.open(path, memory_budget_bytes=CODES_ALONE) as segment:
        ids = found_by(segment, Strategy.LIST_SCAN, mask)
        assert ids.shape == truth.shape
        assert mask[ids].all()
        assert all(len(set(row)) == len(row) for row in ids.tolist())
        assert recall(ids, truth) >= 0.94


@pytest.mark.parametrize("pass_rate", [0.5, 0.1, 0.03])
def test_what_lists_take_under_a_filter_is_foreseen(written: tuple[Path, np.ndarray], pass_rate: float) -> None:
    """The fewer rows count the more lists are looked at: a plan that does not know chooses lists where a walk, or all
    codes, take less."""
    path, _ = written
    mask = RowMask(np.random.default_rng(6).random(ROWS) < pass_rate)
    with Segment.open(path) as segment:
        way = costs_of(segment.file, segment.residency), segment.residency
        effort = effort_of(calibration_of(segment.file, segment.residency), way[0], K, 0.95, mask.count)
        k, plan = segment.plan_of(Strategy.LIST_SCAN, K, mask)
        _, _, counters = segment.searcher.search(QUERIES, k, plan, mask=mask)
        thought = foreseen(*way, K, effort, Strategy.LIST_SCAN, qualifying=mask.count).distances
        assert thought / 1.5 < counters.distances.mean() < 1.5 * thought


def test_every_row_finds_itself(written: tuple[Path, np.ndarray]) -> None:
    path, order = written
    with Segment.open(path, memory_budget_bytes=CODES_ALONE) as segment:
        _, plan = segment.plan_of(Strategy.LIST_SCAN, 1, None)
        ids, _, _ = segment.searcher.search(np.ascontiguousarray(VECTORS[order]), 1, plan)
        assert ids[:, 0].tolist() == list(range(ROWS))


def test_what_others_know_to_be_nearer_leaves_fewer_lists_to_look_at(written: tuple[Path, np.ndarray]) -> None:
    path, order = written
    _, distances = topk(QUERIES, VECTORS[order], K, Metric.EUCLIDEAN)
    with Segment.open(path, memory_budget_bytes=CODES_ALONE) as segment:
        k, plan = segment.plan_of(Strategy.LIST_SCAN, K, None, 0.99)
        nearer = 0
        for query, third in zip(QUERIES, distances[:, 2].tolist(), strict=True):
            ids, found, few = segment.searcher.search(query[None], k, replace(plan, within=third))
            _, _, all_of_it = segment.searcher.search(query[None], k, plan)
            assert few.hops[0] <= all_of_it.hops[0]
            assert np.isinf(found[0][ids[0] < 0]).all()
            nearer += int((found[0] <= third).sum())
        assert nearer >= 0.97 * 3 * len(QUERIES)
        _, _, some = segment.searcher.search(QUERIES, k, replace(plan, within=float(distances[:, 2].min())))
        _, _, all_of_them = segment.searcher.search(QUERIES, k, plan)
        assert some.hops.mean() < 0.8 * all_of_them.hops.mean()


def test_rows_that_equal_others_are_in_lists_as_well(tmp_path: Path) -> None:
    vectors = dataset(3, 3_000, copies=500)
    order = write(tmp_path / "s", vectors)
    with Segment.open(tmp_path / "s", memory_budget_bytes=CODES_ALONE) as segment:
        found = segment.search(np.ascontiguousarray(vectors[::500]), K)
        assert np.array_equal(vectors[order[found.ids]], np.repeat(vectors[::500, None], K, axis=1))


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT_PRODUCT])
def test_other_metrics(tmp_path: Path, metric: Metric) -> None:
    order = write(tmp_path / "s", VECTORS, metric)
    truth, _ = topk(QUERIES, VECTORS[order], K, metric)
    with Segment.open(tmp_path / "s", memory_budget_bytes=CODES_ALONE) as segment:
        assert recall(segment.search(QUERIES, K).ids, truth) >= 0.94
        if Strategy.LIST_SCAN.name.lower() in segment.predicted(K).us:
            assert recall(found_by(segment, Strategy.LIST_SCAN), truth) >= 0.94


def test_a_far_query_falls_back_to_all_codes(written: tuple[Path, np.ndarray]) -> None:
    path, order = written
    far = np.ascontiguousarray(QUERIES[:4] + 100)
    with Segment.open(path, memory_budget_bytes=CODES_ALONE) as segment:
        k, plan = segment.plan_of(Strategy.LIST_SCAN, K, None)
        ids, _, counters = segment.searcher.search(far, k, plan)
        assert not (counters.used == Strategy.LIST_SCAN).any(), "nothing was measured so far away"
        truth, _ = topk(far, VECTORS[order], K, Metric.EUCLIDEAN)
        assert recall(ids, truth) >= 0.9


def test_a_merge_clusters_anew(written: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, order = written
    live = np.ones(ROWS, bool)
    live[::3] = False
    more = dataset(9, 1_500)
    write_segment(tmp_path / "more", more, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.CODES, 4)).close()
    orders: list[np.ndarray] = []
    with SegmentFile.open(path) as first, SegmentFile.open(tmp_path / "more") as second:
        inputs = [MergeInput(first, live), MergeInput(second)]
        merge_segments(tmp_path / "merged", inputs, plan=PLAN, calibrate=calibrate, on_order=orders.append).close()
    kept = np.concatenate([VECTORS[order][live], more])[orders[0]]
    truth, _ = topk(QUERIES, kept, K, Metric.EUCLIDEAN)
    with Segment.open(tmp_path / "merged", memory_budget_bytes=CODES_ALONE) as segment:
        assert np.array_equal(segment.file.read_vectors(np.arange(len(kept))), kept)
        assert recall(found_by(segment, Strategy.LIST_SCAN), truth) >= 0.94


def test_damage_is_told_by_section(written: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = written
    with SegmentFile.open(path) as file:
        at = file.sections[SectionName.LISTS].offset
    data = bytearray(path.read_bytes())
    data[at + 5] ^= 1
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(Corruption, match="section 'lists', block 0"):
        Segment.open(tmp_path / "s")
    with SegmentFile.open(tmp_path / "s") as file:
        assert [fault.section for fault in file.verify()] == [SectionName.LISTS]


def test_a_segment_without_codes_has_no_lists() -> None:
    with pytest.raises(ValueError, match="no lists"):
        BuildPlan(SegmentKind.FLAT, 4, has_lists=True)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e18])
def test_rows_that_all_lie_at_their_centroids(tmp_path: Path, metric: Metric, scale: float) -> None:
    """No angle there tells which lists to look at; of lengths that float32 tells nothing of, all are looked at."""
    few = np.repeat(np.random.default_rng(3).standard_normal((4, DIMENSION)), 100, axis=0)
    vectors = (few * scale).astype(np.float32)
    path = tmp_path / "segment"
    order = write(path, vectors, metric)
    queries = np.ascontiguousarray(vectors[::100])
    _, distances = topk(queries, vectors[order], K, metric)
    with Segment.open(path) as segment:
        np.testing.assert_array_equal(segment.search(queries, K).distances, distances)


def test_rows_so_short_that_as_queries_they_say_nothing_of_others(tmp_path: Path) -> None:
    """All lists were looked at for those, and hardly any would be for a query of the usual length."""
    vectors = (VECTORS[:3_000] * 1e-20).astype(np.float32)
    order = write(tmp_path / "segment", vectors, Metric.DOT_PRODUCT)
    mask = np.arange(len(vectors)) % 10 == 0
    with Segment.open(tmp_path / "segment") as segment:
        for among in (None, mask):
            truth, _ = topk(QUERIES, vectors[order], K, Metric.DOT_PRODUCT, among)
            assert recall(segment.search(QUERIES, K, mask=among).ids, truth) >= 0.95
