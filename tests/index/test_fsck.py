"""A check of one index: each thing that can be wrong with it is found and told by its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.faulty_store import Effect, Fault, FaultyStore
from support.indexes import PREFIX, index_in, resources_in
from support.lsm import KEY, SCHEMA, Harness, row_of

from lutra.index.build import shape_of
from lutra.index.fsck import IndexCheck, IndexFault, Remedy
from lutra.index.manifest import Manifest, SegmentEntry, schema_identity
from lutra.index.progress import Progress
from lutra.index.storage import IndexStorage
from lutra.kernels.checksum import crc32c_blocks
from lutra.model.rows import Row
from lutra.objects.local import LocalStore
from lutra.segments.build import build_segment
from lutra.segments.footer import SectionKind
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import CHECKSUM_BYTES, SectionName, SegmentKind
from lutra.vectors.segment_file import SegmentFile

ROWS = 400


def key(number: int) -> Any:
    return (("user", "u"), ("id", number))


def rows() -> list[Row]:
    return [row_of(key(n), (n % 5, "x", [n % 20, n / 20])) for n in range(ROWS)]


def graph_index(folder: Path) -> tuple[LocalStore, str]:
    """An index of one segment with a graph of ``rows``; the segment's object."""
    store = LocalStore(folder / "objects")
    index = index_in(resources_in(folder, store=store), SCHEMA, KEY)
    index.apply(rows())
    plans = {"v": BuildPlan(SegmentKind.GRAPH, 4, degree=8, beam=20)}
    meta = build_segment(folder / "built", [index.view().parts[0]], SCHEMA, plans=plans)
    storage = IndexStorage(store, PREFIX)
    name = storage.new_segment()
    store.put_file(storage.full(name), folder / "built")
    manifest = Manifest("w", schema_identity(SCHEMA, KEY), Progress(1, True))
    storage.take_over(replace(manifest, segments=(SegmentEntry(shape_of(name, meta)),)))
    index.close()
    return store, storage.full(name)


def faults(store: Any, table: list[Row]) -> list[IndexFault]:
    with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects()
        check.check_rows(table, set(), None)
        return check.faults


def cut_off(path: Path, row: int) -> None:
    """Lets no row lead to ``row`` any more, in the graph that searches walk; all checksums are right again."""
    from lutra.kernels.blocks import BlockCache
    from lutra.segments.segment_object import SegmentObject

    store, cache = LocalStore(path.parent), BlockCache(1 << 20, shards=1)
    obj = SegmentObject(store, path.name, cache)
    section = obj.read_meta().section(SectionKind.VECTORS, "v")
    assert section is not None
    file = SegmentFile.open(obj.part(section))
    layout, place = file.layout(SectionName.GRAPH), file.sections[SectionName.GRAPH]
    assert row not in file.entries.tolist()
    data = np.frombuffer(bytearray(path.read_bytes()), np.uint8)
    begin = section.offset + place.offset
    blocks = data[begin : begin + layout.blocks(file.rows) * layout.block_bytes].reshape(-1, layout.block_bytes)
    items = blocks[:, : layout.items_per_block * layout.item_bytes].reshape(-1, layout.item_bytes)[: file.rows]
    neighbours = items.reshape(len(items), -1).view("<u4")
    neighbours[neighbours == row] = (row + 1) % file.rows
    for block, of in zip(blocks, range(len(blocks)), strict=True):
        first = of * layout.items_per_block
        some = neighbours[first : first + layout.items_per_block]
        block[: some.nbytes] = np.ascontiguousarray(some).view(np.uint8).reshape(-1)
    checksums = crc32c_blocks(np.ascontiguousarray(blocks).reshape(-1), layout.block_bytes, layout.block_bytes - 4)
    blocks[:, -CHECKSUM_BYTES:] = checksums.astype("<u4").view(np.uint8).reshape(-1, CHECKSUM_BYTES)
    obj.close()
    cache.close()
    path.write_bytes(data.tobytes())


def test_a_whole_one(tmp_path: Path) -> None:
    store, _ = graph_index(tmp_path)
    done: list[tuple[int, int]] = []
    with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects(lambda *at: done.append(at))
        check.check_rows(rows(), set(), None)
        assert check.faults == []
        assert check.segments == 1
    assert done == sorted(done)
    assert done[-1][0] == done[-1][1] > 0


def test_a_row_that_the_graph_does_not_lead_to(tmp_path: Path) -> None:
    store, name = graph_index(tmp_path)
    path = store.local_path(name)
    assert path is not None
    cut_off(path, 137)
    (fault,) = faults(store, rows())
    assert fault == IndexFault(name, "the graph of [v] does not lead to 1 of its rows", Remedy.REBUILD)


def without(table: list[Row]) -> list[Row]:
    return [row for row in table if row.key != key(7)]


def other(table: list[Row]) -> list[Row]:
    return [row_of(key(7), (3, "y", [1, 1])) if row.key == key(7) else row for row in table]


def more(table: list[Row]) -> list[Row]:
    return [*table, row_of(key(ROWS), (3, "y", None))]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (without, "is in the index, but not in the table"),
        (more, "is in the table, but not in the index"),
        (other, "is otherwise in indexes/1-x-1/segments/"),
    ],
)
def test_a_row_that_is_not_the_table_s(tmp_path: Path, changed: Callable[[list[Row]], list[Row]], text: str) -> None:
    store, _ = graph_index(tmp_path)
    (fault,) = faults(store, changed(rows()))
    assert fault.text.startswith(text)
    assert fault.place in {"row {'user': 'u', 'id': 7}", f"row {{'user': 'u', 'id': {ROWS}}}"}


def test_many_wrong_rows_are_counted(tmp_path: Path) -> None:
    store, _ = graph_index(tmp_path)
    found = faults(store, [])
    assert len(found) == 101
    assert found[-1].text == f"{ROWS - 100} more rows are wrong"


def test_manifests(tmp_path: Path) -> None:
    store, _ = graph_index(tmp_path)
    storage = IndexStorage(store, PREFIX)
    storage.take_over(Manifest("w", "s"))
    older, newest = store.list(PREFIX + "manifest")
    whole = store.get(older), store.get(newest)
    store.put(older, whole[0][:-1] + b"?")
    (fault,) = faults(store, rows())
    assert (fault.place, fault.remedy) == (older, Remedy.START)
    store.put(older, whole[0])
    store.put(newest, whole[1][:-1] + b"?")
    (fault,) = faults(store, rows())
    assert (fault.place, fault.remedy) == (newest, Remedy.REBUILD)
    for name in (older, newest):
        store.delete(name)
    (fault,) = faults(store, rows())
    assert "no manifest" in fault.text
    assert faults(LocalStore(tmp_path / "none"), rows()) == []


def test_lost_and_damaged_deletions(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    for number in range(20):
        harness.put(key(number), (number, "x", [number, 1.0]))
    harness.index.flush()
    for number in (3, 4):
        harness.delete(key(number))
    harness.index.flush()
    assert harness.faults() == []
    store = harness.resources.store
    (name,) = store.list(PREFIX + "deletions")
    data = store.get(name)
    store.put(name, data[:-1] + bytes((data[-1] ^ 1,)))
    assert [(fault.place, fault.remedy) for fault in harness.faults()] == [(name, Remedy.REBUILD)]
    store.delete(name)
    (fault,) = harness.faults()
    assert fault.place == name
    assert "no such object" in fault.text
    harness.close()


def test_a_store_that_cannot_be_read_is_not_damage(tmp_path: Path) -> None:
    store, name = graph_index(tmp_path)
    faulty = FaultyStore(store, [Fault(1, Effect.BEFORE)], counted=frozenset({"size"}))
    (fault,) = faults(faulty, rows())
    assert (fault.place, fault.remedy) == (name, Remedy.RETRY)


def test_another_length_than_the_manifest_says(tmp_path: Path) -> None:
    store, name = graph_index(tmp_path)
    store.put(name, store.get(name)[:-4096])
    found = faults(store, rows())
    assert {fault.place for fault in found} == {name}
    assert "but the manifest says" in found[0].text
