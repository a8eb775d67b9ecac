"""A check of an index over points: each thing that can be wrong with them is found and told by its place."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.geo_model import random_documents
from support.geo_rows import KEY, SCHEMA, row_of
from support.indexes import PREFIX, index_in, resources_in

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
from lutra.scalars.pages import PAGE_BYTES, PAYLOAD_BYTES
from lutra.segments.build import build_segment
from lutra.segments.segment_object import SegmentObject

ROWS = 300


def rows() -> list[Row]:
    documents = random_documents(np.random.default_rng(3), ROWS)
    return [row_of(n, {"at": own[:1], "stops": own} if own else {}) for n, own in enumerate(documents)]


def stored(folder: Path) -> tuple[LocalStore, str, Path]:
    """An index of one segment, its object, and the file that this is."""
    store = LocalStore(folder / "objects")
    index = index_in(resources_in(folder, store=store), SCHEMA, KEY)
    index.apply(rows())
    meta = build_segment(folder / "built", [index.view().parts[0]], SCHEMA)
    storage = IndexStorage(store, PREFIX)
    name = storage.new_segment()
    store.put_file(storage.full(name), folder / "built")
    manifest = Manifest("w", schema_identity(SCHEMA, KEY), Progress(1, True), -1)
    storage.take_over(replace(manifest, segments=(SegmentEntry(shape_of(name, meta)),)), lambda _: None)
    index.close()
    path = store.local_path(storage.full(name))
    assert path is not None
    return store, storage.full(name), path


def faults(store: LocalStore, table: list[Row]) -> list[IndexFault]:
    with IndexCheck(IndexStorage(store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects()
        check.check_rows(table, set())
        return check.faults


def sections(path: Path) -> dict[str, tuple[int, int]]:
    cache = BlockCache(1 << 20, shards=1)
    with closing(cache), closing(SegmentObject(LocalStore(path.parent), path.name, cache)) as obj:
        meta = obj.read_meta()
        return {one.name: (one.offset, one.end) for one in meta.sections if one.kind is SectionKind.GEO}


def changed(table: list[Row], number: int, at: str) -> list[Row]:
    row = table[number]
    cells = [(name, at if name == "at" else value, time) for name, value, time in row.cells]
    return [*table[:number], Row(row.key, cells), *table[number + 1 :]]


def test_a_whole_one(tmp_path: Path) -> None:
    store, _, _ = stored(tmp_path)
    assert faults(store, rows()) == []


def test_a_row_that_has_moved(tmp_path: Path) -> None:
    store, _, _ = stored(tmp_path)
    number = next(n for n, row in enumerate(rows()) if any(name == "at" for name, _, _ in row.cells))
    for at in ("1.5,2.5", "nowhere"):
        (fault,) = faults(store, changed(rows(), number, at))
        assert fault.text.endswith("than in the table: [at]")


def test_a_flipped_byte_is_told_by_its_section(tmp_path: Path) -> None:
    store, name, path = stored(tmp_path)
    whole = path.read_bytes()
    assert sorted(sections(path)) == ["geo of at", "geo of stops"]
    for section, (begin, end) in sections(path).items():
        for offset in (begin, (begin + end) // 2, end - 1):
            damaged = bytearray(whole)
            damaged[offset] ^= 8
            path.write_bytes(damaged)
            (fault,) = faults(store, rows())
            assert (fault.place, fault.remedy) == (name, Remedy.REBUILD)
            assert fault.text.startswith(f"section '{section}', block "), fault.text
            first, last = re.findall(r"bytes (\d+) to (\d+)", fault.text)[0]
            assert int(first) <= offset < int(last)


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
def test_what_makes_no_sense_though_checksums_are_right(tmp_path: Path, byte: int) -> None:
    store, _, path = stored(tmp_path)
    begin, end = sections(path)["geo of stops"]
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for page in range(begin // PAGE_BYTES, end // PAGE_BYTES):
        data = whole.copy()
        pages = data.reshape(-1, PAGE_BYTES) if len(data) % PAGE_BYTES == 0 else None
        assert pages is not None
        pages[page, :PAYLOAD_BYTES] = byte
        checksum = crc32c_blocks(np.ascontiguousarray(pages[page]), PAGE_BYTES, PAYLOAD_BYTES)
        pages[page, PAYLOAD_BYTES:] = checksum.astype("<u4").view(np.uint8)
        path.write_bytes(data.tobytes())
        found = faults(store, rows())
        assert found
        assert {fault.remedy for fault in found} == {Remedy.REBUILD}
