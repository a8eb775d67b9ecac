"""Segments with links in memory: nothing is read, the recall that was asked for, masks as without them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.search_recall import recall

from bench.ann import data
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.links import link_bytes
from lutra.vectors.merge import MergeInput, merge_segments
from lutra.vectors.residency import Residency, choose_residency
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 9_000, 48, 10
PLENTY = 1 << 30
VECTORS = data.rows(data.hard(DIMENSION), ROWS)
# All directions there are, for cosines.
MIDDLE = VECTORS.mean(axis=0)
VECTORS = VECTORS - MIDDLE
QUERIES = data.queries(data.hard(DIMENSION), ROWS, 200) - MIDDLE


@pytest.fixture(scope="module", params=list(Metric), ids=lambda metric: metric.name.lower())
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("links") / request.param.name
    write_segment(path, VECTORS, request.param, plan=BuildPlan(SegmentKind.GRAPH, 4), calibrate=calibrate).close()
    return path


@pytest.fixture
def linked(path: Path) -> Iterator[Segment]:
    with Segment.open(path, memory_budget_bytes=PLENTY) as segment:
        yield segment


def all_vectors(segment: Segment) -> NDArray[np.float32]:
    return segment.read(np.arange(ROWS))


def test_a_search_finds_what_was_asked_for_and_reads_nothing(linked: Segment) -> None:
    assert linked.residency.links
    truth, distances = topk(QUERIES, all_vectors(linked), K, linked.file.metric)
    for target in (0.9, 0.97):
        found = linked.search(QUERIES, K, recall_target=target)
        recall = np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found.ids, truth, strict=True)])
        assert recall >= target - 0.01
        counters = found.counters
        assert (counters.used == Strategy.WALK).mean() > 0.95  # what strays may be scanned for
        assert counters.reads.sum() == 0
        assert (counters.hops > 0).all()
    everything = linked.search(QUERIES, K, num_candidates=1_000)
    np.testing.assert_array_equal(everything.distances[:, 0], distances[:, 0])  # to the bit, as a scan has them


def test_every_row_finds_itself(linked: Segment) -> None:
    if linked.file.metric is Metric.DOT_PRODUCT:
        pytest.skip("others may be nearer than a row to itself")
    found = linked.search(all_vectors(linked), 1)
    own = found.ids[:, 0] == np.arange(ROWS)
    assert own.mean() >= 0.998


def test_a_mask_is_searched_as_without_links(path: Path, linked: Segment) -> None:
    rng = np.random.default_rng(3)
    with Segment.open(path) as other:
        same = other.at(Residency(linked.residency.codes, True))
        for share in (0.5, 0.02):
            mask = rng.random(ROWS) < share
            found, expected = linked.search(QUERIES, K, mask=mask), same.search(QUERIES, K, mask=mask)
            np.testing.assert_array_equal(found.ids, expected.ids)
            np.testing.assert_array_equal(found.distances, expected.distances)
            np.testing.assert_array_equal(found.counters.distances, expected.counters.distances)
            assert mask[found.ids].all()
            assert found.counters.reads.sum() == 0  # vectors are at hand


def test_the_budget_says_whether_there_are_links(path: Path, linked: Segment) -> None:
    with SegmentFile.open(path) as file:
        needed = linked.resident_bytes
        assert needed == ROWS * (file.codes.record_bytes + 4 * file.degree) + file.codes.shared_bytes + (
            link_bytes(file) + 4 * file.exact * (1 + DIMENSION)
        )
        assert choose_residency(file, needed, has_cache=True).links
        assert not choose_residency(file, needed - 1, has_cache=True).links
        assert not choose_residency(file, None).links  # nobody said that there is so much
    predicted = linked.predicted(K)
    assert predicted.strategy == "walk"
    assert predicted.reads == 0


def test_a_query_far_from_all_rows_goes_another_way(linked: Segment) -> None:
    if linked.file.metric is not Metric.EUCLIDEAN:
        pytest.skip("directions and products have no far away")
    far = QUERIES[:20] * np.float32(8)
    truth, _ = topk(far, VECTORS, K, Metric.EUCLIDEAN)
    found = linked.search(far, K)
    assert (found.counters.used != Strategy.WALK).all()
    assert np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found.ids, truth, strict=True)]) >= 0.95


def test_vectors_that_float32_does_not_do_for_have_no_links(tmp_path: Path) -> None:
    vectors = (VECTORS[:5_000] * np.float32(1e20)).astype(np.float32)
    path = tmp_path / "long"
    write_segment(path, vectors, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.GRAPH, 4), calibrate=calibrate).close()
    with Segment.open(path, memory_budget_bytes=PLENTY) as segment:
        assert not segment.residency.links
        assert segment.search(vectors[:10], 1).ids[:, 0].tolist() == list(range(10))


def test_a_damaged_vector_is_found_when_links_are_made(path: Path, tmp_path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    with SegmentFile.open(path) as file:
        damaged[file.sections[SectionName.NODES].offset + 10_000] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(Corruption, match="nodes"):
        Segment.open(tmp_path / "damaged", memory_budget_bytes=PLENTY)


def test_vectors_so_short_that_walks_by_links_end_elsewhere(tmp_path: Path) -> None:
    """Where trials read nothing there is no telling how many times as much a wider bound reads."""
    vectors = (np.random.default_rng(0).standard_normal((400, 16)) * 1e-20).astype(np.float32)
    path = tmp_path / "short"
    write_segment(path, vectors, Metric.COSINE, plan=BuildPlan(SegmentKind.GRAPH, 4), calibrate=calibrate).close()
    with Segment.open(path, memory_budget_bytes=PLENTY) as segment:
        found = segment.search(vectors, K)
        truth, _ = topk(vectors, vectors, K, Metric.COSINE)
        assert recall(found.ids, truth) >= 0.95


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("has_lists", [False, True], ids=["in order", "in lists"])
def test_a_graph_of_hardly_any_rows_opens_is_searched_and_merged(tmp_path: Path, rows: int, has_lists: bool) -> None:
    """All may have died while it was built."""
    plan, few = BuildPlan(SegmentKind.GRAPH, 4, has_lists=has_lists), VECTORS[:rows]
    write_segment(tmp_path / "few", few, Metric.EUCLIDEAN, dimension=DIMENSION, plan=plan, calibrate=calibrate).close()
    with SegmentFile.open(tmp_path / "few") as file:
        for residency in (Residency(file.codes, True, links=True), choose_residency(file, PLENTY)):
            with Segment.load(SegmentFile.open(tmp_path / "few"), residency) as segment:
                for mask, count in ((None, rows), (np.ones(rows, np.bool_), rows), (np.zeros(rows, np.bool_), 0)):
                    found = segment.search(QUERIES[:3], K, mask=mask)
                    assert [sorted(ids) for ids in found.ids.tolist()] == [list(range(count))] * 3
                assert segment.at(choose_residency(file, 0)).search(QUERIES[:3], K).ids.shape == (3, rows)
    write_segment(tmp_path / "more", VECTORS[:300], Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
    with SegmentFile.open(tmp_path / "few") as file, SegmentFile.open(tmp_path / "more") as more:
        for number, inputs in enumerate(([file, more], [more, file])):
            path = tmp_path / f"both{number}"
            merge_segments(path, [MergeInput(one) for one in inputs], plan=plan, calibrate=calibrate).close()
            with Segment.open(path, memory_budget_bytes=PLENTY) as segment:
                assert segment.residency.links
                assert segment.search(VECTORS[:300], 1).ids.shape == (300, 1)
                assert segment.search(QUERIES[:3], 400, recall_target=1.0).ids.shape == (3, 300 + rows)
        none = [MergeInput(more, np.zeros(300, np.bool_)), MergeInput(file)]
        with merge_segments(tmp_path / "none", none, plan=plan, calibrate=calibrate) as merged:
            assert merged.rows == rows
    with Segment.open(tmp_path / "none", memory_budget_bytes=PLENTY) as segment:
        assert segment.search(QUERIES[:3], K).ids.shape == (3, rows)
