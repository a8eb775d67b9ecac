"""What is written to a segment reads back; opening takes one small read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.segments import MemoryObject, lattice, measured, nearest

from lutra.kernels.blocks import BlockCache
from lutra.kernels.codes import Quantizer, scan_candidates
from lutra.model.errors import StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.layout import NO_ROW, TAIL_BYTES, SectionName, SegmentKind
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 60),
    dimension=st.sampled_from([1, 3, 64, 250, 1023, 1024]),
    kind=st.sampled_from(SegmentKind),
    metric=st.sampled_from(Metric),
    bits=st.sampled_from([1, 2, 4, 8]),
    seed=st.integers(0, 2**64 - 1),
)
def test_everything_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    dimension: int,
    kind: SegmentKind,
    metric: Metric,
    bits: int,
    seed: int,
) -> None:
    vectors = lattice(rows, dimension)
    path = tmp_path_factory.mktemp("segment") / "s"
    with write_segment(path, vectors, metric, plan=BuildPlan(kind, bits, degree=5), seed=seed) as segment:
        assert (segment.rows, segment.dimension, segment.metric, segment.kind) == (rows, dimension, metric, kind)
        assert segment.size_bytes == path.stat().st_size
        assert segment.verify() == []
        assert np.array_equal(np.concatenate([np.empty((0, dimension)), *segment.vector_blocks()]), vectors)
        picked = np.arange(rows)[::-1].repeat(2)
        assert np.array_equal(segment.read_vectors(picked), vectors[picked])
        if kind is SegmentKind.FLAT:
            assert (segment.codes, segment.fine, segment.centroid.size) == (None, None, 0)
            assert segment.load_codes().size == 0
        else:
            codec = Quantizer(dimension, bits, metric, segment.centroid, seed)
            assert segment.codes == CodeFormat(dimension, bits)
            assert segment.codes.record_bytes == codec.record_bytes
            assert np.array_equal(segment.load_codes(), codec.encode(vectors))
        graph = segment.load_graph()
        if kind is SegmentKind.GRAPH:
            assert graph.shape == (rows, 5)
            assert reachable(graph, segment.entries) == set(range(rows))
        else:
            assert (segment.degree, graph.size, segment.entries.size) == (0, 0, 0)


def reachable(graph: np.ndarray, entries: np.ndarray) -> set[int]:
    seen: set[int] = set()
    waiting = entries.tolist()
    while waiting:
        row = waiting.pop()
        if row not in seen:
            seen.add(row)
            waiting += [n for n in graph[row].tolist() if n != NO_ROW]
    return seen


@pytest.mark.parametrize("dimension", [16, 1000, 1536])
def test_nodes_carry_vector_and_neighbours_where_the_layout_says(tmp_path: Path, dimension: int) -> None:
    vectors = lattice(40, dimension)
    plan = BuildPlan(SegmentKind.GRAPH, 2, degree=6)
    with (
        write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan) as segment,
        contextlib.closing(BlockCache(4 << 20)) as cache,
    ):
        layout, section = segment.layout(SectionName.NODES), segment.sections[SectionName.NODES]
        source = cache.open_file(
            segment.name, layout.block_bytes, offset=section.offset, length=section.size_bytes, checksums=True
        )
        graph = segment.load_graph()
        for row in range(40):
            block, offset = segment.node_block(row)
            node = source.read([block])[0][offset : offset + layout.item_bytes]
            assert np.array_equal(np.frombuffer(node, "<f4", dimension), vectors[row])
            assert np.array_equal(np.frombuffer(node, "<u4", 6, 4 * dimension), graph[row])


def test_codes_and_graph_read_through_the_cache_too(tmp_path: Path) -> None:
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=12)
    with (
        write_segment(tmp_path / "s", lattice(500, 40), Metric.EUCLIDEAN, plan=plan) as segment,
        contextlib.closing(BlockCache(4 << 20)) as cache,
    ):
        for name, loaded in [(SectionName.CODES, segment.load_codes()), (SectionName.GRAPH, segment.load_graph())]:
            layout, section = segment.layout(name), segment.sections[name]
            assert layout.blocks(500) > 1
            source = cache.open_file(
                segment.name, layout.block_bytes, offset=section.offset, length=section.size_bytes, checksums=True
            )
            for row in (0, 1, 250, 499):
                block, offset = layout.place(row)
                assert source.read([block])[0][offset : offset + layout.item_bytes] == loaded[row].tobytes()


@pytest.mark.parametrize("metric", Metric)
def test_codes_and_vectors_give_the_exact_answer(tmp_path: Path, metric: Metric) -> None:
    vectors = lattice(400, 64)
    with write_segment(tmp_path / "s", vectors, metric, plan=BuildPlan(SegmentKind.CODES, 4)) as segment:
        codec = Quantizer(64, segment.codes.bits, metric, segment.centroid, segment.seed)
        codes = segment.load_codes()
        for query in lattice(10, 64, seed=2):
            candidates, _, _ = scan_candidates(codec.query(query, 4.0), codes, 5, threads=1)
            best = nearest(segment.read_vectors(candidates), query, 5, metric)
            assert sorted(candidates[best].tolist()) == sorted(nearest(vectors, query, 5, metric))


@pytest.mark.parametrize(
    ("kind", "rows", "dimension"),
    [
        (SegmentKind.FLAT, 0, 4),
        (SegmentKind.FLAT, 2000, 64),
        (SegmentKind.GRAPH, 300, 4096),
        (SegmentKind.GRAPH, 5000, 8),
    ],
)
def test_opening_is_one_small_read(tmp_path: Path, kind: SegmentKind, rows: int, dimension: int) -> None:
    path = tmp_path / "s"
    plan = BuildPlan(kind, 2, degree=8, beam=16)
    write_segment(path, lattice(rows, dimension), Metric.DOT_PRODUCT, plan=plan).close()
    memory = MemoryObject(path.read_bytes())
    with SegmentFile.open(memory) as segment:
        assert segment.rows == rows
    size = path.stat().st_size
    assert memory.reads == [(max(0, size - TAIL_BYTES), min(size, TAIL_BYTES))]
    assert memory.closed


def test_a_footer_larger_than_the_first_read_takes_one_more(tmp_path: Path) -> None:
    path = tmp_path / "s"
    curve = {"widths": list(range(20_000))}
    plan = BuildPlan(SegmentKind.GRAPH, 2, degree=8)
    write_segment(path, lattice(2_000, 16), Metric.EUCLIDEAN, plan=plan, calibrate=lambda *_: measured(curve)).close()
    memory = MemoryObject(path.read_bytes())
    with SegmentFile.open(memory) as segment:
        assert segment.calibration == curve
        assert segment.entries.size > 0
    assert len(memory.reads) == 2


def test_progress_of_a_check_ends_at_all_bytes(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    plan = BuildPlan(SegmentKind.CODES, 2)
    with write_segment(tmp_path / "s", lattice(3_000, 900), Metric.EUCLIDEAN, plan=plan) as segment:
        assert segment.verify(lambda done, total: seen.append((done, total))) == []
        total = sum(section.stored_bytes for section in segment.sections.values())
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 3
    assert seen[-1] == (total, total)
    assert {most for _, most in seen} == {total}


def test_rows_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with write_segment(tmp_path / "s", lattice(3, 2), Metric.EUCLIDEAN) as segment:
        for rows in ([3], [-1], [0, 1, 2, 3]):
            with pytest.raises(ValueError, match="rows are 0 to 2"):
                segment.read_vectors(np.array(rows))
        assert segment.read_vectors(np.array([], np.int64)).shape == (0, 2)


def test_a_file_that_is_not_there_or_no_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match=r"missing: cannot be opened: No such file"):
        SegmentFile.open(tmp_path / "missing")
    with pytest.raises(StorageFailure, match="cannot be"):
        SegmentFile.open(tmp_path)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no file system in memory")
def test_a_file_system_in_memory_serves_too() -> None:
    vectors = lattice(300, 100)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        plan = BuildPlan(SegmentKind.GRAPH, 4, degree=8)
        with write_segment(Path(folder) / "s", iter([vectors]), Metric.EUCLIDEAN, plan=plan) as segment:
            assert segment.verify() == []
            assert np.array_equal(segment.read_vectors(np.arange(300)), vectors)


def test_threads_read_one_segment_together(tmp_path: Path) -> None:
    vectors = lattice(2_000, 50)
    with (
        write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.CODES, 4)) as segment,
        ThreadPoolExecutor(4) as pool,
    ):
        picks = [np.arange(i, 2_000, 37) for i in range(37)]
        for pick, found in zip(picks, pool.map(segment.read_vectors, picks), strict=True):
            assert np.array_equal(found, vectors[pick])


def test_a_segment_that_is_forgotten_gives_its_file_back(tmp_path: Path) -> None:
    write_segment(tmp_path / "s", lattice(3, 2), Metric.EUCLIDEAN).close()
    before = len(os.listdir("/proc/self/fd"))
    segment = SegmentFile.open(tmp_path / "s")
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del segment
    assert len(os.listdir("/proc/self/fd")) == before
