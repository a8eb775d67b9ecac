"""Damage to a segment is told by section, block and bytes, and never answered from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.damaged_segments import with_footer
from support.faulty_store import CONTENT, Effect, FaultyStore
from support.parts import part_of, schema_of
from support.segment_rows import plain_rows
from support.stored_segments import Shelf

from lutra.fields.kinds import kind_of
from lutra.model.errors import Corruption, StorageFailure
from lutra.objects.store import ObjectStore
from lutra.segments.footer import FORMAT_VERSION
from lutra.segments.verification import verify_segment
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import PAGE_BYTES, SegmentKind

SCHEMA = schema_of(16)
PLANS = {"v": BuildPlan(SegmentKind.GRAPH, 2, degree=6, beam=20), "w": BuildPlan(SegmentKind.CODES, 4)}


def read_everything(shelf: Shelf, name: str, store: ObjectStore | None = None) -> list[object]:
    """What is there."""
    with shelf.open(name, SCHEMA, store=store) as segment:
        docs = np.arange(segment.size)
        keys = segment.keys.taken(docs)
        answers: list[object] = [keys, segment.keys.find(keys).tolist(), segment.newest_ms().tolist()]
        for column in (field for field in segment.fields.values() if kind_of(field.field).is_filterable):
            answers += [column.exists().mask().bools().tolist(), column.between(None, None).mask().bools().tolist()]
            for doc in docs.tolist():
                value = column.value(doc)
                answers.append(value)
                if value is not None and not isinstance(value, list):
                    answers.append(column.equals(value).mask().bools().tolist())
            answers.append(column.elements().values.tolist())
        for vectors in (field for field in segment.fields.values() if kind_of(field.field).is_nearest):
            near = vectors.topk(np.ones(vectors.options.dimension, np.float32), 5, recall_target=1.0)
            answers += [near[0].tolist(), near[1].tolist(), *[block.tolist() for block in vectors.row_blocks()]]
        return answers


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, str]:
    shelf = Shelf(tmp_path_factory.mktemp("segments"))
    return shelf, shelf.build([part_of(SCHEMA, plain_rows(120, 16))], SCHEMA, PLANS)[0]


def section_of(shelf: Shelf, name: str, place: int) -> tuple[str, int]:
    """The section of a byte, by its name and where it begins."""
    with shelf.open(name, SCHEMA) as segment:
        for section in segment.meta.sections:
            if section.offset <= place < section.end:
                return section.name, section.offset
        return "footer", segment.meta.offset


def test_a_flipped_byte_anywhere_is_found_and_named(built: tuple[Shelf, str]) -> None:
    shelf, name = built
    whole = shelf.store.get(name)
    damaged = "segments/damaged"
    pages = range(0, len(whole), PAGE_BYTES)
    names = set()
    for number, page in enumerate(pages):
        section, begin = section_of(shelf, name, page)
        names.add(section)
        for offset in (0, 17 + number, PAGE_BYTES - 1):
            place = page + offset
            shelf.store.put(damaged, whole[:place] + bytes([whole[place] ^ 1 << number % 8]) + whole[place + 1 :])
            faults = verify_segment(shelf.store, damaged)
            assert len(faults) == 1, (place, faults)
            assert faults[0].section.split("/")[0] == section
            if "/" not in faults[0].section and section != "footer":
                assert (faults[0].block, faults[0].offset) == ((place - begin) // PAGE_BYTES, page)
            assert faults[0].offset <= place < faults[0].offset + faults[0].size_bytes
            assert str(faults[0]).startswith(f"section '{faults[0].section}', block {faults[0].block} (bytes ")
    assert names >= {"keys", "newest", "footer", "documents of v", "vectors of v", "column of n", "column of tags"}


def test_a_damaged_page_is_never_answered_from(built: tuple[Shelf, str]) -> None:
    """Every byte that reading all of it needs: the last of a page is its checksum's."""
    shelf, name = built
    read_everything(shelf, name)
    whole = shelf.store.get(name)
    damaged = "segments/damaged"
    for page in range(0, len(whole), PAGE_BYTES):
        section, _ = section_of(shelf, name, page)
        shelf.store.put(damaged, whole[: page + PAGE_BYTES - 1] + b"\x99" + whole[page + PAGE_BYTES :])
        with pytest.raises(Corruption) as error:
            read_everything(shelf, damaged)
        told = str(error.value)
        assert section in told or f"at offset {page})" in told or (section == "footer" and "does not end as" in told)
        assert damaged in str(error.value)


def test_an_object_cut_short_is_refused(built: tuple[Shelf, str]) -> None:
    shelf, name = built
    whole = shelf.store.get(name)
    for size_bytes in (0, 1, PAGE_BYTES - 1, PAGE_BYTES, len(whole) // 2, len(whole) - 1):
        shelf.store.put("segments/short", whole[:size_bytes])
        with pytest.raises(Corruption, match=r"segments/short: .*(does not end as|length fails)"):
            shelf.open("segments/short", SCHEMA)
        assert [fault.section for fault in verify_segment(shelf.store, "segments/short")] == ["footer"]


def test_a_newer_format_is_an_error_of_its_own(built: tuple[Shelf, str]) -> None:
    shelf, name = built
    shelf.store.put("segments/newer", with_footer(shelf.store.get(name), version=FORMAT_VERSION + 1))
    with pytest.raises(StorageFailure, match="of format version 4; this Lutra reads up to 3"):
        shelf.open("segments/newer", SCHEMA)
    with pytest.raises(StorageFailure, match="of format version 4"):
        verify_segment(shelf.store, "segments/newer")


@pytest.mark.parametrize(
    "change",
    [
        (b'["",120,null]', b'["",-1,null]'),
        (b'["",120,null]', b'["","x",null]'),
        (b'["",120,null]', b'["",119,null]'),
        (b'["",120,null]', b'["a",120,null]'),
        (b'["",120,null]', b'["",120,0]'),
        (b'["",120,null]', b'["",120,null],["a",3,2]'),
        (b'["",120,null]', b'["",120,null],["a",-1,0]'),
        (b'"spaces"', b'"space"'),
        (b'["keys","",0,4096', b'["keys","",4096,4096'),
        (b'["keys","",0,4096', b'["locks","",0,4096'),
        (b'["newest",""', b'["keys",""'),
        (b'},0],["newest"', b'},1],["newest"'),
        (b'"kind":"graph"', b'"kind":"grape"'),
        (b'"rows":96', b'"rows":960'),
    ],
)
def test_a_footer_that_makes_no_sense_is_refused(built: tuple[Shelf, str], change: tuple[bytes, bytes]) -> None:
    shelf, name = built
    whole = shelf.store.get(name)
    assert change[0] in whole
    shelf.store.put("segments/odd", with_footer(whole, change))
    with pytest.raises(Corruption, match="segments/odd"):
        read_everything(shelf, "segments/odd")


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.SHORT, Effect.TRUNCATED])
def test_a_remote_store_that_fails_at_any_read_is_told(built: tuple[Shelf, str], effect: Effect) -> None:
    shelf, name = built
    counting = FaultyStore(shelf.store, counted=CONTENT)
    read_everything(shelf, name, counting)
    assert counting.operations > 10
    for after in range(counting.operations):
        store = FaultyStore(shelf.store, counted=CONTENT)
        store.fail_next(effect, after=after)
        with pytest.raises(StorageFailure):
            read_everything(shelf, name, store)
        store.heal()
        read_everything(shelf, name, store)


def test_a_remote_store_that_gives_other_bytes_is_told_or_does_no_harm(built: tuple[Shelf, str]) -> None:
    shelf, name = built
    counting = FaultyStore(shelf.store, counted=CONTENT)
    expected = read_everything(shelf, name, counting)
    unharmed = 0
    for after in range(counting.operations):
        store = FaultyStore(shelf.store, counted=CONTENT)
        store.fail_next(Effect.FLIPPED, after=after)
        try:
            assert read_everything(shelf, name, store) == expected
            unharmed += 1
        except Corruption:
            continue
    assert unharmed <= 1  # in the first read, of the object's end, not every byte is needed


def test_a_local_file_that_got_shorter_is_told(shelf: Shelf, tmp_path: Path) -> None:
    name, _ = shelf.build([part_of(SCHEMA, plain_rows(120, 16))], SCHEMA, PLANS)
    with shelf.open(name, SCHEMA) as segment:
        shelf.path(name).write_bytes(b"")
        with pytest.raises(StorageFailure, match=name):
            segment.verify()
        with pytest.raises(StorageFailure, match=name):
            segment.newest_ms()
