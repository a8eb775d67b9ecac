"""Segments far away are searched before codes and graph are in memory: what is read, when, and what is found by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.search_recall import recall
from support.segments import MemoryObject

from lutra.kernels.blocks import BlockCache
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 6_000, 32, 10
PLAN = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48, has_lists=True)


def dataset(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((10, DIMENSION))
    mixed = rng.standard_normal((rows, 10)) @ mixing + 0.3 * rng.standard_normal((rows, DIMENSION))
    return mixed.astype(np.float32)


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 40)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, np.ndarray]:
    """The segment, and its vectors in the order of its rows."""
    path: Path = tmp_path_factory.mktemp("coming") / "segment"
    orders: list[np.ndarray] = []
    write_segment(
        path, VECTORS, Metric.EUCLIDEAN, plan=PLAN, threads=2, calibrate=calibrate, on_order=orders.append
    ).close()
    return path.read_bytes(), VECTORS[orders[0]]


def opened(data: bytes | bytearray, *, is_remote: bool = True) -> tuple[Segment, MemoryObject]:
    obj = MemoryObject(data)
    obj.is_remote = is_remote
    return Segment.open(SegmentFile.open(obj), cache=BlockCache(8 << 20), may_come=True), obj


def read_of(obj: MemoryObject, segment: Segment, name: SectionName) -> int:
    """Bytes that were read of a section, alone or with others."""
    section = segment.file.sections[name]
    return sum(max(0, min(at + size, section.end) - max(at, section.offset)) for at, size in obj.reads)


def true_rows(vectors: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    distances = ((QUERIES[:, None] - vectors[None]) ** 2).sum(axis=2)
    if counts is not None:
        distances[:, ~counts] = np.inf
    return np.argsort(distances, axis=1)[:, :K]


def test_opening_reads_neither_codes_nor_graph(written: tuple[bytes, np.ndarray]) -> None:
    segment, obj = opened(written[0])
    with segment:
        assert segment.residency.is_coming
        # The last 64 KB are read for the footer, whatever lies in them.
        sizes = {name: segment.file.sections[name].size_bytes for name in (SectionName.CODES, SectionName.GRAPH)}
        assert obj.batches == 0
        assert sum(size for _, size in obj.reads) < sum(sizes.values()) / 2
    near, _ = opened(written[0], is_remote=False)
    with near:
        assert not near.residency.is_coming


def test_a_search_reads_the_lists_it_needs_in_one_batch(written: tuple[bytes, np.ndarray]) -> None:
    data, vectors = written
    segment, obj = opened(data)
    with segment:
        found = [segment.search(QUERIES[:1], K).ids[0]]
        assert obj.batches == 1
        assert 0 < read_of(obj, segment, SectionName.CODES) < segment.file.sections[SectionName.CODES].size_bytes
        assert read_of(obj, segment, SectionName.GRAPH) <= 64 * 1024
        segment.search(QUERIES[:1], K)
        assert obj.batches == 1  # what came is there
        for number in range(1, len(QUERIES)):
            found.append(segment.search(QUERIES[number : number + 1], K).ids[0])
            assert obj.batches <= 1 + number
        assert recall(np.stack(found), true_rows(vectors)) >= 0.95


@pytest.mark.parametrize("share", [0.5, 0.05, 0.001])
def test_under_a_mask_no_fewer_are_found(written: tuple[bytes, np.ndarray], share: float) -> None:
    data, vectors = written
    counts = np.random.default_rng(3).random(ROWS) < share
    mask, wanted = RowMask(counts), min(K, int(counts.sum()))
    segment, _ = opened(data)
    with segment:
        found = np.full((len(QUERIES), K), -1)
        for number, query in enumerate(QUERIES):
            ids = segment.search(query[None], K, mask=mask).ids[0]
            assert len(ids) == wanted
            assert counts[ids].all()
            found[number, : len(ids)] = ids
        assert recall(found[:, :wanted], true_rows(vectors, counts)[:, :wanted]) >= 0.95


def test_with_all_in_memory_it_answers_as_if_it_always_had_been(written: tuple[bytes, np.ndarray]) -> None:
    segment, obj = opened(written[0])
    whole, _ = opened(written[0], is_remote=False)
    with whole:
        coming = segment.search(QUERIES, K).ids
        grown = segment.at(whole.residency)
        with grown:
            before = obj.batches
            expected, got = whole.search(QUERIES, K).ids, grown.search(QUERIES, K).ids
            assert obj.batches == before
            # Of what is far away more is compared at once: no fewer are found by it.
            assert recall(got, true_rows(written[1])) >= recall(expected, true_rows(written[1]))
            assert recall(coming, true_rows(written[1])) >= 0.95


def test_damaged_codes_are_told_each_time(written: tuple[bytes, np.ndarray]) -> None:
    data = bytearray(written[0])
    with SegmentFile.open(MemoryObject(data)) as file:
        codes, size = file.sections[SectionName.CODES], file.layout(SectionName.CODES).block_bytes
    for at in range(codes.offset, codes.offset + codes.size_bytes, size):
        data[at] ^= 1
    segment, _ = opened(data)
    with segment:
        for _ in range(2):
            with pytest.raises(Corruption, match="section 'codes'"):
                segment.search(QUERIES[:1], K)
        assert segment.thorough(QUERIES[0], K, None, 1 << 30) is None  # most codes are not there to tell
