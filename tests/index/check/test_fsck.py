"""A check of one index: each thing that can be wrong with it is found and told by its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.faulty_store import Effect, Fault, FaultyStore
from support.indexes import PREFIX, index_in, resources_in
from support.lsm import KEY, SCHEMA, Harness, row_of

from lutra.feed.progress import Progress
from lutra.fields.sections import SectionKind
from lutra.index.builds.build import shape_of
from lutra.index.check.fsck import IndexCheck, IndexFault, Remedy
from lutra.index.lsm.manifest import Manifest, SegmentEntry, schema_identity
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.blocks import BlockCache
from lutra.kernels.checksum import crc32c_blocks
from lutra.model.rows import Row
from lutra.objects.local import LocalStore
from lutra.scalars.pages import PAYLOAD_BYTES
from lutra.segments.build import build_segment
from lutra.segments.segment_object import SegmentObject
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import CHECKSUM_BYTES, PAGE_BYTES, SectionName, SegmentKind
from lutra.vectors.segment_file import SegmentFile

ROWS = 400


def key(number: int) -> Any:
    return (("user", "u"), ("id", number))


def rows() -> list[Row]:
    return [row_of(key(n), (n % 5, "x", [n % 20, n / 20])) for n in range(ROWS)]


def graph_index(
    folder: Path, changed: Callable[[list[Row]], list[Row]] = list, table_ttl_s: int = -1
) -> tuple[LocalStore, str]:
    """An index of one segment with a graph of ``rows``, as they are ``changed``; the segment's object."""
    store = LocalStore(folder / "objects")
    index = index_in(resources_in(folder, store=store), SCHEMA, KEY)
    index.apply(changed(rows()))
    plans = {"v": BuildPlan(SegmentKind.GRAPH, 4, degree=8, beam=20)}
    meta = build_segment(folder / "built", [index.view().parts[0]], SCHEMA, plans=plans)
    storage = IndexStorage(store, PREFIX)
    name = storage.new_segment()
    store.put_file(storage.full(name), folder / "built")
    manifest = Manifest("w", schema_identity(SCHEMA, KEY), Progress(1, True), table_ttl_s)
    storage.take_over(replace(manifest, segments=(SegmentEntry(shape_of(name, meta)),)), lambda _: None)
    index.close()
    return store, storage.full(name)


def faults(store: Any, table: list[Row], **options: Any) -> list[IndexFault]:
    with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects()
        check.check_rows(table, set(), **options)
        return check.faults


def sections(path: Path) -> dict[str, tuple[int, int]]:
    """Where each section of a segment begins and ends, by name, those of vector fields and footers too."""
    store, cache = LocalStore(path.parent), BlockCache(1 << 20, shards=1)
    with closing(cache), closing(SegmentObject(store, path.name, cache)) as obj:
        meta = obj.read_meta()
        places = {"footer": (meta.offset, meta.size_bytes)}
        for section in meta.sections:
            if section.kind is not SectionKind.VECTORS:
                places[section.name] = (section.offset, section.end)
                continue
            with SegmentFile.open(obj.part(section)) as file:
                for name, within in file.sections.items():
                    places[f"{section.name}/{name}"] = (section.offset + within.offset, section.offset + within.end)
                    places[f"{section.name}/footer"] = (section.offset + within.end, section.end)
    return places


def cut_off(path: Path, row: int) -> None:
    """Lets no row lead to ``row`` any more, in the graph that searches walk; all checksums are right again."""
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
        check.check_rows(rows(), set())
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


def test_a_flipped_byte_is_told_by_its_section(tmp_path: Path) -> None:
    store, name = graph_index(tmp_path)
    path = store.local_path(name)
    assert path is not None
    whole, places = path.read_bytes(), sections(path)
    assert {"keys", "newest", "column of n", "column of tags", "documents of v", "footer"} <= places.keys()
    assert {f"vectors of v/{part}" for part in ("nodes", "codes", "graph", "navigation", "footer")} <= places.keys()
    for section, (begin, end) in places.items():
        for offset in (begin, (begin + end) // 2, end - 1):
            damaged = bytearray(whole)
            damaged[offset] ^= 8
            path.write_bytes(damaged)
            (fault,) = faults(store, rows())
            assert (fault.place, fault.remedy) == (name, Remedy.REBUILD)
            assert fault.text.startswith(f"section '{section}', block "), (section, fault.text)
            first, last = re.findall(r"bytes (\d+) to (\d+)", fault.text)[0]
            assert int(first) <= offset < int(last)
            assert PREFIX not in fault.text, "the place is told once"
    path.write_bytes(whole)
    assert faults(store, rows()) == []


def test_what_makes_no_sense_though_checksums_are_right(tmp_path: Path) -> None:
    store, name = graph_index(tmp_path)
    path = store.local_path(name)
    assert path is not None
    begin, end = sections(path)["column of n"]
    data = np.frombuffer(bytearray(path.read_bytes()), np.uint8)
    pages = data[begin:end].reshape(-1, PAGE_BYTES)
    pages[:, :PAYLOAD_BYTES] = 0xFF
    checksums = crc32c_blocks(np.ascontiguousarray(pages).reshape(-1), PAGE_BYTES, PAYLOAD_BYTES)
    pages[:, PAYLOAD_BYTES:] = checksums.astype("<u4").view(np.uint8).reshape(-1, CHECKSUM_BYTES)
    path.write_bytes(data.tobytes())
    found = faults(store, rows())
    assert found
    assert {fault.remedy for fault in found} == {Remedy.REBUILD}


def without(table: list[Row]) -> list[Row]:
    return [row for row in table if row.key != key(7)]


def other(n: Any = 2, tag: str | None = "x", v: Any = (7, 0.35)) -> Callable[[list[Row]], list[Row]]:
    """A table whose row 7, which is all that, has something else."""
    return lambda table: [row_of(key(7), (n, tag, v)) if row.key == key(7) else row for row in table]


def later(table: list[Row]) -> list[Row]:
    again = [(name, value, 2) for name, value, _ in table[7].cells]
    return [*table[:7], Row(key(7), again), *table[8:]]


def more(table: list[Row]) -> list[Row]:
    return [*table, row_of(key(ROWS), (3, "y", None))]


IN_SEGMENT = r"is otherwise in indexes/1-x-1/segments/\w{32} than in the table: "


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (without, "is in the index, but not in the table"),
        (more, "is in the table, but not in the index"),
        (other(n=3), IN_SEGMENT + r"\[n\]"),
        (other(n=None), IN_SEGMENT + r"\[n\]"),
        (other(tag="y"), IN_SEGMENT + r"\[tags\]"),
        (other(tag=None), IN_SEGMENT + r"\[tags\]"),
        (other(v=(7, 0.36)), IN_SEGMENT + r"\[v\]"),
        (other(v=None), IN_SEGMENT + r"\[v\]"),
        (other(n=3, tag="y", v=(1, 1)), IN_SEGMENT + r"\[n\], \[tags\], \[v\]"),
        (later, IN_SEGMENT + "the time of its last change"),
    ],
)
def test_a_row_that_is_not_the_table_s(tmp_path: Path, changed: Callable[[list[Row]], list[Row]], text: str) -> None:
    store, _ = graph_index(tmp_path)
    (fault,) = faults(store, changed(rows()))
    assert re.fullmatch(text, fault.text)
    assert fault.place in {"row {'user': 'u', 'id': 7}", f"row {{'user': 'u', 'id': {ROWS}}}"}


@pytest.mark.parametrize("changed", [without, more])
def test_what_has_expired_may_be_gone(tmp_path: Path, changed: Callable[[list[Row]], list[Row]]) -> None:
    """All rows are of 1 ms. Neither a search nor a read shows them any more, whoever has them yet."""
    store, _ = graph_index(tmp_path)
    assert faults(store, changed(rows()), table_ttl_s=1, now_ms=1_002) == []
    assert len(faults(store, changed(rows()), table_ttl_s=1, now_ms=1_001)) == 1


@pytest.mark.parametrize("changed", [other(n=3), other(n=None), other(tag=None), other(v=None), later])
def test_what_has_expired_is_compared_all_the_same(tmp_path: Path, changed: Callable[[list[Row]], list[Row]]) -> None:
    store, _ = graph_index(tmp_path)
    for now_ms in (1_001, 1_002, 9_000):
        (fault,) = faults(store, changed(rows()), table_ttl_s=1, now_ms=now_ms)
        assert fault.place == "row {'user': 'u', 'id': 7}"


def aged(n_ms: int = 1) -> Callable[[list[Row]], list[Row]]:
    """A table whose row 7 was indexed with ``n`` of 1 ms and the rest of 5."""
    times = {"n": n_ms, "tags": 5, "v": 5}
    return lambda table: [
        Row(row.key, [(name, value, times[name]) for name, value, _ in row.cells]) if row.key == key(7) else row
        for row in table
    ]


def test_a_document_that_is_older_than_its_newest_cell(tmp_path: Path) -> None:
    """It was made of the cells that there were then, and is compared with these, now that one has expired too."""
    store, _ = graph_index(tmp_path, aged())
    for now_ms in (1_001, 1_002):
        with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
            check.check_objects()
            check.check_rows(aged()(rows()), set(), table_ttl_s=1, now_ms=now_ms)
            assert (check.faults, check.outdated) == ([], now_ms == 1_002)
    (fault,) = faults(store, aged(2)(rows()))
    assert "the time of its oldest value" in fault.text
    (fault,) = faults(store, rows())
    assert "the time of its last change" in fault.text


def test_a_row_of_which_a_cell_had_expired_before_it_was_indexed(tmp_path: Path) -> None:
    """The table stores that cell yet; the document was made without."""

    def without_n(table: list[Row]) -> list[Row]:
        return [Row(row.key, row.cells[1:]) if row.key == key(7) else row for row in aged()(table)]

    store, _ = graph_index(tmp_path, without_n)
    assert faults(store, aged()(rows()), table_ttl_s=1, now_ms=1_002) == []
    (fault,) = faults(store, aged(6)(rows()), table_ttl_s=1, now_ms=1_002)
    assert "[n]" in fault.text


def test_what_waits_for_a_longer_time_to_live(tmp_path: Path) -> None:
    """Rows that had been dropped are in the table again: they are missing until the index is filled anew."""
    store, _ = graph_index(tmp_path, table_ttl_s=1)
    for ttl_s in (2, -1):
        with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
            check.check_objects()
            check.check_rows(more(rows()), set(), table_ttl_s=ttl_s, now_ms=1_002)
            assert (check.faults, check.waits_for_filling) == ([], True)
    assert len(faults(store, more(rows()), table_ttl_s=-1, now_ms=1_001)) == 1


def test_many_wrong_rows_are_counted(tmp_path: Path) -> None:
    store, _ = graph_index(tmp_path)
    found = faults(store, [])
    assert len(found) == 101
    assert found[-1].text == f"{ROWS - 100} more rows are wrong"
    found = faults(store, [row_of(key(n), (9, "x", None)) for n in range(ROWS)])
    assert found[0].text.endswith(": [n], [v]")
    assert found[-1].text == f"{ROWS - 100} more rows are wrong"


def test_what_nothing_names(tmp_path: Path) -> None:
    store, name = graph_index(tmp_path)
    left = [PREFIX + "deletions/" + "0" * 32, PREFIX + "segments/" + "0" * 32]
    for one in left:
        store.put(one, b"cut short")
    with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects()
        assert (check.faults, check.left_behind) == ([], left)
        assert (check.segments, check.segment_bytes) == (1, store.size(name))


def _another(byte: bytes) -> bytes:
    return bytes([byte[0] ^ 1])


def test_manifests(tmp_path: Path) -> None:
    store, _ = graph_index(tmp_path)
    storage = IndexStorage(store, PREFIX)
    storage.take_over(Manifest("w", "s"), lambda _: None)
    older, newest = store.list(PREFIX + "manifest")
    whole = store.get(older), store.get(newest)
    store.put(older, whole[0][:-1] + _another(whole[0][-1:]))
    (fault,) = faults(store, rows())
    assert (fault.place, fault.remedy) == (older, Remedy.START)
    store.put(older, whole[0])
    store.put(newest, whole[1][:-1] + _another(whole[1][-1:]))
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
