"""A vector segment within a larger object: written there, read there, on a local disk and elsewhere."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support.segments import MemoryObject, lattice, nearest

from lutra.kernels.blocks import BlockCache
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import PAGE_BYTES, SegmentKind
from lutra.vectors.range_reader import LocalFile, PartReader, page_aligned
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import publish, unfinished, write_segment, write_segment_into

BEFORE_BYTES = 3 * PAGE_BYTES
AFTER_BYTES = 1_000


def plan_of(kind: SegmentKind) -> BuildPlan:
    return BuildPlan(kind, 4, degree=8, beam=40)


def write_within(target: Path, kind: SegmentKind, rows: int = 400, dimension: int = 24) -> int:
    """An object with a vector segment after other bytes and before others; returns the segment's size."""
    with unfinished(target) as file:
        other = page_aligned(BEFORE_BYTES)
        other[:] = 7
        file.write(0, other)
        vectors = lattice(rows, dimension)
        size_bytes = write_segment_into(
            file, vectors, Metric.EUCLIDEAN, offset=BEFORE_BYTES, plan=plan_of(kind), calibrate=calibrate
        )
        file.write(BEFORE_BYTES + size_bytes, other[:PAGE_BYTES])
        file.finish(BEFORE_BYTES + size_bytes + AFTER_BYTES)
        publish(file, target)
    return size_bytes


@pytest.mark.parametrize("kind", SegmentKind)
def test_its_bytes_are_those_of_a_segment_of_its_own(tmp_path: Path, kind: SegmentKind) -> None:
    size_bytes = write_within(tmp_path / "object", kind)
    write_segment(
        tmp_path / "alone", lattice(400, 24), Metric.EUCLIDEAN, plan=plan_of(kind), calibrate=calibrate
    ).close()
    data = (tmp_path / "object").read_bytes()
    assert data[:BEFORE_BYTES] == b"\7" * BEFORE_BYTES
    assert data[BEFORE_BYTES : BEFORE_BYTES + size_bytes] == (tmp_path / "alone").read_bytes()
    assert data[BEFORE_BYTES + size_bytes :] == b"\7" * AFTER_BYTES


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[SegmentKind, tuple[Path, int]]:
    """An object of each kind, and the size of its segment."""
    folder = tmp_path_factory.mktemp("objects")
    return {kind: (folder / kind.value, write_within(folder / kind.value, kind)) for kind in SegmentKind}


@pytest.mark.parametrize("budget_bytes", [None, 0, 20_000])
@pytest.mark.parametrize(
    ("kind", "is_local", "shared"), list(itertools.product(SegmentKind, [True, False], [True, False]))
)
def test_it_is_searched_where_it_lies(
    written: dict[SegmentKind, tuple[Path, int]],
    kind: SegmentKind,
    is_local: bool,
    shared: bool,
    budget_bytes: int | None,
) -> None:
    path, size_bytes = written[kind]
    whole = LocalFile(path) if is_local else MemoryObject(path.read_bytes())
    cache = BlockCache(1 << 20) if shared else None
    file = SegmentFile.open(PartReader(whole, BEFORE_BYTES, size_bytes))
    assert file.verify() == []
    with Segment.open(file, cache=cache, memory_budget_bytes=budget_bytes) as segment:
        for query in lattice(20, 24, seed=9):
            found = segment.search(query[None, :], 5, recall_target=1.0).ids[0].tolist()
            assert found == nearest(lattice(400, 24), query, 5, Metric.EUCLIDEAN)
    whole.close()


def test_damage_is_told_where_it_is_in_the_object(tmp_path: Path) -> None:
    size_bytes = write_within(tmp_path / "object", SegmentKind.CODES)
    data = bytearray((tmp_path / "object").read_bytes())
    data[BEFORE_BYTES + 10] ^= 1
    (tmp_path / "object").write_bytes(data)
    whole = LocalFile(tmp_path / "object")
    place = rf"section 'nodes', block 0 \(bytes {BEFORE_BYTES} to "
    with (
        Segment.open(SegmentFile.open(PartReader(whole, BEFORE_BYTES, size_bytes))) as segment,
        pytest.raises(Corruption, match=place),
    ):
        segment.search(lattice(1, 24), 5, mask=np.arange(400) < 5)
    whole.close()


def test_bytes_outside_are_no_part(tmp_path: Path) -> None:
    whole = MemoryObject(bytes(2 * PAGE_BYTES))
    for offset, size_bytes in [(1, 5), (PAGE_BYTES, PAGE_BYTES + 1), (3 * PAGE_BYTES, 0), (0, -1)]:
        with pytest.raises(ValueError, match="are no part"):
            PartReader(whole, offset, size_bytes)
    part = PartReader(whole, PAGE_BYTES, 100)
    assert len(part.read(0, 100)) == 100
    with pytest.raises(StorageFailure, match="ends before 101"):
        part.read(1, 100)
