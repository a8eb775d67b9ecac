"""Segments whose rows have fast codes: what is written, what searches find by them, beside other codes and alone."""

from __future__ import annotations

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
from lutra.vectors import fast_format
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.residency import Residency, fast_bytes
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 6_000, 64, 10
PLAN = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48, has_lists=True)
ALONE = ROWS * 24 + 300_000
"""Of memory: for no codes but fast ones."""
CODES = ROWS * 90 + 300_000
"""For codes and fast ones, and no graph."""


def dataset(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((14, DIMENSION))
    return (rng.standard_normal((rows, 14)) @ mixing + 0.3 * rng.standard_normal((rows, DIMENSION))).astype(np.float32)


def write(path: Path, vectors: np.ndarray, metric: Metric = Metric.EUCLIDEAN) -> np.ndarray:
    """Returns the vectors in the order of the segment's rows."""
    orders: list[np.ndarray] = []
    write_segment(path, vectors, metric, plan=PLAN, calibrate=calibrate, on_order=orders.append).close()
    return vectors[orders[0]]


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 60)
Written = tuple[Path, np.ndarray, Metric]


@pytest.fixture(scope="module", params=[Metric.EUCLIDEAN, Metric.COSINE])
def written(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Written:
    path = tmp_path_factory.mktemp("segment") / "fast"
    return path, write(path, VECTORS, request.param), request.param


def test_they_are_written_and_checked(written: Written) -> None:
    path, _, _ = written
    with SegmentFile.open(path) as file:
        assert file.fast is not None
        assert file.verify() == []
        assert file.sections[SectionName.FAST].size_bytes >= ROWS * 18
        assert path.read_bytes()[-16] == 6, "the format's version"


@pytest.mark.parametrize(
    ("budget", "target"), [(CODES, 0.9), (CODES, 0.95), (CODES, 0.99), (ALONE, 0.9), (ALONE, 0.99)]
)
def test_recall_is_reached_with_few_rows_looked_at(written: Written, budget: int, target: float) -> None:
    path, ordered, metric = written
    truth, _ = topk(QUERIES, ordered, K, metric)
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        residency = segment.residency
        assert residency.fast
        assert not residency.graph
        assert (residency.codes is None) is (budget == ALONE)
        assert segment.resident_bytes <= budget
        found = segment.search(QUERIES, K, recall_target=target)
        assert (found.counters.used == Strategy.LIST_SCAN).mean() >= 0.95, "but for queries farther than any measured"
        assert recall(found.ids, truth) >= target - 0.01
        assert found.counters.exact.mean() < (30 if residency.codes else 150)


def test_they_leave_few_rows_to_longer_codes(written: Written) -> None:
    """The same answers, but for a few, of a twentieth of the codes."""
    path, _, _ = written
    with Segment.open(path, memory_budget_bytes=CODES) as segment:
        k, plan = segment.plan_of(Strategy.LIST_SCAN, K, None)
        everything = replace(plan, covers=ROWS, slack=0.0)
        ids, _, plain = segment.searcher.search(QUERIES, k, everything)
        fast_ids, _, fast = segment.searcher.search(QUERIES, k, replace(everything, slack=plan.slack))
        assert np.median(plain.distances - plain.exact) == segment.file.lists.count + ROWS
        looked_at = fast.distances - fast.exact - segment.file.lists.count - ROWS
        assert 0 < np.median(looked_at) < ROWS / 20
        assert recall(fast_ids, ids) >= 0.995


@pytest.mark.parametrize("budget", [CODES, ALONE])
@pytest.mark.parametrize("kind", ["random", "near", "far"])
@pytest.mark.parametrize("share", [0.5, 0.02])
def test_under_filters(written: Written, budget: int, kind: str, share: float) -> None:
    path, ordered, metric = written
    rng = np.random.default_rng(4)
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        hits = []
        for query in QUERIES[:12]:
            far = topk(query[None], ordered, ROWS, metric)[0][0]
            ranks = {"random": rng.permutation(ROWS), "near": far, "far": far[::-1]}[kind]
            mask = np.zeros(ROWS, np.bool_)
            mask[ranks[: int(share * ROWS)]] = True
            truth, _ = topk(query[None], ordered, K, metric, mask)
            k, plan = segment.plan_of(Strategy.LIST_SCAN, K, RowMask(mask))
            ids, _, _ = segment.searcher.search(query[None], k, plan, mask=RowMask(mask))
            assert (ids >= 0).all(), "never fewer than k"
            assert mask[ids].all()
            hits.append(recall(ids, truth))
        # With no other codes than these, thousands of rows that are all about as far away are not told apart.
        least = 0.94 if budget == CODES else 0.5 if kind == "far" else 0.9
        assert np.mean(hits) >= least


@pytest.mark.parametrize("budget", [CODES, ALONE])
def test_rows_find_themselves(written: Written, budget: int) -> None:
    path, ordered, _ = written
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        found = segment.search(np.ascontiguousarray(ordered[::37]), 1)
        assert (found.ids[:, 0] == np.arange(0, ROWS, 37)).mean() >= 0.99


def test_queries_unlike_all_rows_look_at_all_lists(written: Written) -> None:
    path, ordered, metric = written
    queries = 4 * QUERIES[:10] + 40
    truth, _ = topk(queries, ordered, K, metric)
    with Segment.open(path, memory_budget_bytes=ALONE) as segment:
        found = segment.search(queries, K)
        assert recall(found.ids, truth) >= (0.9 if metric is Metric.EUCLIDEAN else 0.8)


@pytest.mark.parametrize("name", [SectionName.FAST, SectionName.FAST_BOOK])
def test_a_wrong_byte_is_named(written: Written, tmp_path: Path, name: SectionName) -> None:
    path, _, _ = written
    data = bytearray(path.read_bytes())
    with SegmentFile.open(path) as file:
        data[file.sections[name].offset + 100] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(Corruption, match=f"section '{name.value}'"):
        Segment.open(tmp_path / "damaged")
    with SegmentFile.open(tmp_path / "damaged") as file:
        assert [fault.section for fault in file.verify()] == [name]


def test_they_take_what_is_said(written: Written) -> None:
    path, _, _ = written
    with SegmentFile.open(path) as file:
        with_fast, without = (
            Segment.load(SegmentFile.open(path), Residency(file.codes, False, fast=fast)) for fast in (True, False)
        )
        assert with_fast.resident_bytes - without.resident_bytes == fast_bytes(file)
        assert 18 * ROWS < fast_bytes(file) < 18 * ROWS + 64 * 1024
        with_fast.close()
        without.close()


def test_not_where_they_tell_too_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows that all are about as far from each other as from any query."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5_000, 192)).astype(np.float32)
    write(tmp_path / "noise", vectors)
    with Segment.open(tmp_path / "noise") as segment:
        assert segment.file.fast is not None
        assert not segment.residency.fast


@pytest.mark.parametrize("metric", [Metric.DOT_PRODUCT])
def test_not_by_inner_product(tmp_path: Path, metric: Metric) -> None:
    write(tmp_path / "products", VECTORS[:5_000], metric)
    with SegmentFile.open(tmp_path / "products") as file:
        assert file.fast is None
        assert (tmp_path / "products").read_bytes()[-16] == 5


def test_a_footer_that_makes_no_sense_is_refused() -> None:
    of = {"groups": 32, "row_step": 1.0, "squared_error": 0.5}
    assert fast_format.FastFormat.from_json(of).to_json() == of
    for wrong in ({"groups": 7}, {"groups": 0}, {"row_step": 0.0}, {"squared_error": -1.0}, {"row_step": float("inf")}):
        with pytest.raises(ValueError, match="fast codes"):
            fast_format.FastFormat.from_json(of | wrong)
