"""Codes and graph read by several threads: the same bytes as by one, each checked, and nothing under way afterwards."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.segments import MemoryObject, lattice

from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import CHECKSUM_BYTES, SectionName, SegmentKind
from lutra.vectors.segment import Segment
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS = 20_000
THREADS = 4


class SweptObject(MemoryObject):
    """An object in memory that is swept in many small pieces, and knows how many are asked for at once."""

    sweep_bytes = 64 * 1024

    def __init__(self, data: bytes | bytearray) -> None:
        super().__init__(data)
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()

    def read(self, offset: int, size_bytes: int) -> NDArray[np.uint8]:
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            time.sleep(0.001)
            return super().read(offset, size_bytes)
        finally:
            with self._lock:
                self.under_way -= 1


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("sweeps") / "segment"
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=16, beam=16)
    with write_segment(path, lattice(ROWS, 32), Metric.EUCLIDEAN, plan=plan) as segment:
        assert segment.verify() == []
    return path.read_bytes()


def test_the_same_bytes_by_one_thread_and_by_several(written: bytes) -> None:
    obj = SweptObject(written)
    with SegmentFile.open(obj) as file, ThreadPoolExecutor(THREADS) as sweepers:
        codes, graph = file.load_codes(), file.load_graph()
        assert obj.most_under_way == 1
        alone = len(obj.reads)
        assert np.array_equal(file.load_codes(sweepers), codes)
        assert np.array_equal(file.load_graph(sweepers), graph)
        assert sorted(obj.reads[alone:]) == sorted(obj.reads[1:alone])
        assert 1 < obj.most_under_way <= THREADS
        assert np.array_equal(file.load_fine(sweepers), file.load_fine())


@pytest.mark.parametrize("name", [SectionName.CODES, SectionName.GRAPH])
def test_damage_is_told_and_nothing_is_read_after_it(written: bytes, name: SectionName) -> None:
    damaged = bytearray(written)
    with SegmentFile.open(MemoryObject(written)) as file:
        section = file.sections[name]
        damaged[section.offset + section.size_bytes // 2] ^= 1
    obj = SweptObject(damaged)
    with ThreadPoolExecutor(THREADS) as sweepers:
        with pytest.raises(Corruption, match=f"section '{name}', block"):
            Segment.open(SegmentFile.open(obj), sweepers=sweepers)
        assert obj.closed
        assert obj.under_way == 0
        reads = len(obj.reads)
        time.sleep(0.02)
        assert len(obj.reads) == reads


def test_a_neighbour_that_is_no_row_is_told_whoever_reads_it(written: bytes) -> None:
    damaged = bytearray(written)
    with SegmentFile.open(MemoryObject(written)) as file:
        section, layout = file.sections[SectionName.GRAPH], file.layout(SectionName.GRAPH)
    last = section.offset + (layout.blocks(ROWS) - 1) * layout.block_bytes
    damaged[last : last + 4] = ROWS.to_bytes(4, "little")
    covered = layout.block_bytes - CHECKSUM_BYTES
    damaged[last + covered : last + covered + 4] = crc32c(bytes(damaged[last : last + covered])).to_bytes(4, "little")
    with SegmentFile.open(SweptObject(damaged)) as file, ThreadPoolExecutor(THREADS) as sweepers:
        for threads in (None, sweepers):
            with pytest.raises(Corruption, match="no row of the segment"):
                file.load_graph(threads)


def test_a_read_that_fails_is_told(written: bytes) -> None:
    obj = SweptObject(written)
    with SegmentFile.open(obj) as file, ThreadPoolExecutor(THREADS) as sweepers:
        section = file.sections[SectionName.GRAPH]
        obj.data = written[: section.offset + section.size_bytes // 2]
        with pytest.raises(StorageFailure, match="ends before byte"):
            file.load_graph(sweepers)
        assert obj.under_way == 0
