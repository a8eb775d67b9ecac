"""Searches under masks: never fewer than k while k qualify, and recall at every pass rate and correlation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.search_recall import recall

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 6_000, 32, 10
PASS_RATES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)


def dataset(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((10, DIMENSION))
    vectors = rng.standard_normal((rows, 10)) @ mixing + 0.3 * rng.standard_normal((rows, DIMENSION))
    return vectors.astype(np.float32)


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 24)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segment") / "graph"
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=64)
    write_segment(path, VECTORS, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
    return path


@pytest.fixture(scope="module", params=[None, ROWS * 40 + 300_000, 1_000], ids=["resident", "codes", "paged"])
def segment(path: Path, request: pytest.FixtureRequest) -> Segment:
    with Segment.open(path, memory_budget_bytes=request.param) as segment:
        yield segment


def mask_of(kind: str, pass_rate: float, query: np.ndarray, seed: int) -> np.ndarray:
    """bool [rows]: rows that pass at random; those that lie the query's way; those that lie the other way."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        order = rng.permutation(ROWS)
    else:
        along = (VECTORS - VECTORS.mean(0)) @ (query - VECTORS.mean(0))
        order = np.argsort(-along if kind == "correlated" else along)
    mask = np.zeros(ROWS, bool)
    mask[order[: max(1, round(pass_rate * ROWS))]] = True
    return mask


@pytest.mark.parametrize("kind", ["random", "correlated", "anti-correlated"])
def test_recall_at_every_pass_rate(segment: Segment, kind: str) -> None:
    for pass_rate in PASS_RATES:
        shares = []
        for i, query in enumerate(QUERIES):
            mask = mask_of(kind, pass_rate, query, i)
            truth, _ = topk(query[None], VECTORS, K, Metric.EUCLIDEAN, mask)
            found = segment.search(query[None], K, mask=mask)
            assert found.ids.shape == truth.shape
            assert mask[found.ids].all()
            shares.append(recall(found.ids, truth))
        assert np.mean(shares) >= 0.94, (kind, pass_rate)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(qualifying=st.integers(0, 40), k=st.integers(1, 30), seed=st.integers(0, 1_000))
def test_never_fewer_than_k_while_k_qualify(segment: Segment, qualifying: int, k: int, seed: int) -> None:
    mask = np.zeros(ROWS, bool)
    mask[np.random.default_rng(seed).choice(ROWS, qualifying, replace=False)] = True
    found = segment.search(QUERIES[:2], k, mask=mask)
    assert found.ids.shape == (2, min(k, qualifying))
    assert mask[found.ids].all()
    truth, _ = topk(QUERIES[:2], VECTORS, k, Metric.EUCLIDEAN, mask)
    assert recall(found.ids, truth) >= 0.8


def test_each_strategy_under_a_mask_keeps_to_it(path: Path) -> None:
    mask = mask_of("random", 0.3, QUERIES[0], 3)
    truth, _ = topk(QUERIES, VECTORS, K, Metric.EUCLIDEAN, mask)
    with Segment.open(path) as segment:
        for strategy in set(Strategy) - {Strategy.LIST_SCAN}:
            beam = 0 if strategy in (Strategy.BRUTE_FORCE, Strategy.CODE_SCAN) else 300
            plan = Plan(strategy, beam, 200, 12, 2.0)
            ids, _, counters = segment.searcher.search(QUERIES, K, plan, mask=RowMask(mask))
            assert recall(ids, truth) >= 0.97, strategy
            assert set(counters.used.tolist()) == {strategy}


def test_a_walk_that_finds_no_way_becomes_a_scan(path: Path) -> None:
    """All that qualifies lies away from the query: the walk gives up, and the scan finds what there is."""
    query = QUERIES[:1]
    mask = mask_of("anti-correlated", 0.1, query[0], 0)
    truth, _ = topk(query, VECTORS, K, Metric.EUCLIDEAN, mask)
    with Segment.open(path) as segment:
        plan = Plan(Strategy.WALK, 64, 200, 12, 2.5, effort_max=100)
        ids, _, counters = segment.searcher.search(query, K, plan, mask=RowMask(mask))
    assert counters.planned.tolist() == [Strategy.WALK]
    assert counters.used.tolist() == [Strategy.CODE_SCAN]
    assert recall(ids, truth) >= 0.9


def test_few_that_qualify_are_read_and_nothing_else(path: Path) -> None:
    mask = np.zeros(ROWS, bool)
    mask[[5, 4_000, 77]] = True
    with Segment.open(path) as segment:
        counters = segment.search(QUERIES[:1], K, mask=mask).counters
    assert counters.used.tolist() == [Strategy.BRUTE_FORCE]
    assert counters.distances.tolist() == [3]
    assert counters.reads.tolist() == [3]


def test_rows_that_codes_cannot_tell_apart_are_looked_for_deeper(path: Path) -> None:
    """The farthest half counts: thousands of rows as near as the nearest of them, within what codes err."""
    shares, excess = [], []
    with Segment.open(path) as segment:
        for query in QUERIES:
            distances = ((VECTORS - query) ** 2).sum(axis=1)
            mask = distances >= np.median(distances)
            truth, nearest = topk(query[None], VECTORS, K, Metric.EUCLIDEAN, mask)
            found = segment.search(query[None], K, mask=mask)
            shares.append(recall(found.ids, truth))
            excess.append(found.distances[0, -1] / nearest[0, -1] - 1)
    assert np.mean(shares) >= 0.8
    assert np.mean(excess) <= 1e-3


def test_who_says_how_many_candidates_gets_no_more(path: Path) -> None:
    distances = ((VECTORS - QUERIES[0]) ** 2).sum(axis=1)
    mask = distances >= np.median(distances)
    with Segment.open(path) as segment:
        few = segment.search(QUERIES[:1], K, mask=mask, num_candidates=2 * K).counters
        all_in_doubt = segment.search(QUERIES[:1], K, mask=mask).counters
    assert few.exact[0] <= 2 * K < all_in_doubt.exact[0]
