"""Damage to a segment is told, by section and block, and never answered from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.segments import MemoryObject, lattice

from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import PAGE_BYTES, SectionName, SegmentKind
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment


def written(folder: Path, kind: SegmentKind, rows: int = 24, dimension: int = 10) -> bytearray:
    path = folder / "segment"
    write_segment(path, lattice(rows, dimension), Metric.COSINE, plan=BuildPlan(kind, 2, degree=4)).close()
    return bytearray(path.read_bytes())


def read_everything(data: bytes | bytearray) -> None:
    with SegmentFile.open(MemoryObject(data)) as segment:
        segment.load_codes()
        segment.load_graph()
        for _ in segment.vector_blocks():
            pass
        segment.read_vectors(np.arange(segment.rows))


def section_of(data: bytearray, place: int) -> SectionName:
    with SegmentFile.open(MemoryObject(data)) as segment:
        for name, section in segment.sections.items():
            if section.offset <= place < section.end:
                return name
    return SectionName.FOOTER


def check_flips(data: bytearray, places: range) -> None:
    """A flipped bit at any of ``places`` is found by reading, and by a check that names the section."""
    read_everything(data)
    names = {place: section_of(data, place) for place in range(0, len(data), PAGE_BYTES)}
    for place in places:
        bit = 1 << (place * 5 % 8)
        data[place] ^= bit
        name = names[place // PAGE_BYTES * PAGE_BYTES]
        try:
            with pytest.raises(Corruption) as error:
                read_everything(data)
            if name is SectionName.FOOTER:
                assert re.search("footer|does not end as|no whole vector segment", str(error.value))
            else:
                assert f"section '{name}'" in str(error.value)
                if name is not SectionName.NAVIGATION:
                    with SegmentFile.open(MemoryObject(data)) as segment:
                        faults = segment.verify()
                    assert [fault.section for fault in faults] == [name]
                    assert faults[0].offset <= place < faults[0].offset + faults[0].size_bytes
        finally:
            data[place] ^= bit


@pytest.mark.parametrize("kind", SegmentKind)
def test_a_flipped_bit_is_found(tmp_path: Path, kind: SegmentKind) -> None:
    data = written(tmp_path, kind)
    check_flips(data, range(0, len(data), 41))
    check_flips(data, range(len(data) - 40, len(data)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SegmentKind)
def test_a_flipped_bit_in_any_byte_is_found(tmp_path: Path, kind: SegmentKind) -> None:
    data = written(tmp_path, kind)
    check_flips(data, range(len(data)))


def test_each_damaged_block_is_named(tmp_path: Path) -> None:
    data = written(tmp_path, SegmentKind.GRAPH, rows=3_000, dimension=30)
    with SegmentFile.open(MemoryObject(data)) as segment:
        layouts = {name: segment.layout(name) for name in (SectionName.NODES, SectionName.CODES, SectionName.GRAPH)}
        sections = dict(segment.sections)
    damaged: list[tuple[SectionName, int]] = []
    for name, layout in layouts.items():
        last = layout.blocks(3_000) - 1
        assert last > 2
        for block in (0, 2, last):
            data[sections[name].offset + block * layout.block_bytes + 100] ^= 4
            damaged.append((name, block))
    with SegmentFile.open(MemoryObject(data)) as segment:
        faults = segment.verify()
        assert [(fault.section, fault.block) for fault in faults] == damaged
        for fault in faults:
            assert fault.offset == sections[fault.section].offset + fault.block * fault.size_bytes
        with pytest.raises(Corruption, match=r"section 'nodes', block 0 \(bytes 0 to 4096\) fails its checksum"):
            segment.read_vectors(np.array([0]))
        assert segment.read_vectors(np.array([layouts[SectionName.NODES].items_per_block])).shape == (1, 30)
        with pytest.raises(Corruption, match="section 'codes', block 0 "):
            segment.load_codes()
        with pytest.raises(Corruption, match="section 'graph', block 0 "):
            segment.load_graph()


@pytest.mark.parametrize("kind", SegmentKind)
def test_a_file_cut_short_is_a_clear_error(tmp_path: Path, kind: SegmentKind) -> None:
    data = written(tmp_path, kind)
    path = tmp_path / "cut"
    for size in [0, 1, 11, PAGE_BYTES - 1, PAGE_BYTES, *range(PAGE_BYTES + 5, len(data), 997), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(Corruption, match="cut: does not end as a vector segment does"):
            SegmentFile.open(path)


def test_a_file_that_went_on_growing_or_lost_its_head_is_a_clear_error(tmp_path: Path) -> None:
    data = written(tmp_path, SegmentKind.CODES)
    for changed, text in [
        (data + b"\0", "does not end as"),
        (bytes(PAGE_BYTES) + data, "not where they have to be"),
        (data[PAGE_BYTES:], "not where they have to be"),
        (data[100:], "not where they have to be"),
        (data[-PAGE_BYTES:], "not where they have to be"),
    ]:
        with pytest.raises(Corruption, match=text):
            SegmentFile.open(MemoryObject(changed))


def test_a_file_cut_short_while_it_is_open_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    plan = BuildPlan(SegmentKind.CODES, 2)
    with write_segment(path, lattice(500, 200), Metric.EUCLIDEAN, plan=plan) as segment:
        keep = 5 * PAGE_BYTES + 100
        with path.open("r+b") as file:
            file.truncate(keep)
        assert segment.read_vectors(np.array([0])).shape == (1, 200)
        with pytest.raises(StorageFailure, match="segment: ends at byte"):
            segment.read_vectors(np.array([499]))
        with pytest.raises(StorageFailure, match="segment: ends at byte"):
            segment.load_codes()
        with pytest.raises(StorageFailure, match="segment: ends at byte"):
            segment.verify()


def test_neighbours_that_are_no_rows_are_refused_even_with_a_good_checksum(tmp_path: Path) -> None:
    data = written(tmp_path, SegmentKind.GRAPH)
    with SegmentFile.open(MemoryObject(data)) as segment:
        offset = segment.sections[SectionName.GRAPH].offset
    data[offset : offset + 4] = (24).to_bytes(4, "little")
    data[offset + PAGE_BYTES - 4 : offset + PAGE_BYTES] = crc32c(
        bytes(data[offset : offset + PAGE_BYTES - 4])
    ).to_bytes(4, "little")
    with (
        SegmentFile.open(MemoryObject(data)) as segment,
        pytest.raises(Corruption, match="neighbour that is no row"),
    ):
        segment.load_graph()


def test_what_failed_to_open_is_closed(tmp_path: Path) -> None:
    memory = MemoryObject(b"nothing of the kind")
    with pytest.raises(Corruption):
        SegmentFile.open(memory)
    assert memory.closed
    shutil.copy(__file__, tmp_path / "x")
    with pytest.raises(Corruption, match="something else"):
        SegmentFile.open(tmp_path / "x")
