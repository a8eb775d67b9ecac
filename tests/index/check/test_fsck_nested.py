"""Documents within rows are checked as rows are: every byte of theirs, what finds them, and each against the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.damaged_segments import Numbers, OpenedStream
from support.indexes import PREFIX, index_in, resources_in
from support.nested_model import KEY, SCHEMA, row_of

from lutra.feed.progress import Progress
from lutra.index.builds.build import shape_of
from lutra.index.check.fsck import IndexCheck, IndexFault
from lutra.index.lsm.manifest import Manifest, SegmentEntry, schema_identity
from lutra.index.lsm.storage import IndexStorage
from lutra.objects.local import LocalStore
from lutra.segments.build import build_segment

ROWS = 40
CHANGED = 7


def cells_of(number: int) -> dict[str, Any]:
    parts = [{"x": number / 2, "k": f"k{n}", "deepest": [{"ok": n == 1}]} for n in range(number % 3)]
    items = [
        {"price": 10 * number + n, "tags": ["a", f"t{n}"], "words": f"w{number}", "v": [number, n], "parts": parts}
        for n in range(number % 4)
    ]
    flat = {"n": number, "in": {"x": 1.5}, "docs": [{"k": "one"}, {"k": "two"}]}
    return {"n": number, "items": json.dumps(items), "j": json.dumps(flat)}


class Index:
    """An index of one segment, whose bytes can be changed."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder / "objects")
        index = index_in(resources_in(folder, store=self.store), SCHEMA, KEY)
        index.apply([row_of(number, cells_of(number)) for number in range(ROWS)])
        meta = build_segment(folder / "built", [index.view().parts[0]], SCHEMA)
        index.close()
        storage = IndexStorage(self.store, PREFIX)
        name = storage.new_segment()
        self.segment = storage.full(name)
        self.store.put_file(self.segment, folder / "built")
        manifest = Manifest("w", schema_identity(SCHEMA, KEY), Progress(1, True))
        storage.take_over(replace(manifest, segments=(SegmentEntry(shape_of(name, meta)),)), lambda _: None)
        self.whole = self.store.get(self.segment)
        self.sections = meta.sections

    def faults(self, whole: bytes | None = None, changed: dict[int, dict[str, Any]] | None = None) -> list[IndexFault]:
        """Of all of it, where the segment is ``whole`` and the table has other cells of rows that ``changed``."""
        self.store.put(self.segment, self.whole if whole is None else whole)
        table = [row_of(number, (changed or {}).get(number, cells_of(number))) for number in range(ROWS)]
        try:
            with IndexCheck(IndexStorage(self.store, PREFIX), SCHEMA, KEY) as check:
                check.check_objects()
                check.check_rows(table, set())
                return check.faults
        finally:
            self.store.put(self.segment, self.whole)

    def texts_where(self, section: str, change: Callable[[Numbers], object], *keys: str) -> list[str]:
        """Of the faults where numbers of a section are others and every checksum is right again."""
        stream = OpenedStream(self.whole, section)
        meta = stream.meta
        for key in keys:
            meta = meta[key]
        stream.renumber(meta, change)
        return [str(fault) for fault in self.faults(stream.whole())]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index(tmp_path_factory.mktemp("nested"))


def test_a_whole_one(index: Index) -> None:
    assert index.faults() == []


def test_a_flipped_byte_in_any_section_is_named(index: Index) -> None:
    nested = [section for section in index.sections if section.space or section.kind.value == "children"]
    assert len(nested) > 12
    for section in nested:
        place = section.offset + 5
        whole = index.whole[:place] + bytes([index.whole[place] ^ 4]) + index.whole[place + 1 :]
        (fault,) = index.faults(whole)
        assert fault.place == index.segment
        assert section.name in fault.text


def changed(change: Callable[[list[Any], dict[str, Any]], object]) -> dict[int, dict[str, Any]]:
    cells = cells_of(CHANGED)
    items, flat = json.loads(cells["items"]), json.loads(cells["j"])
    change(items, flat)
    return {CHANGED: {**cells, "items": json.dumps(items), "j": json.dumps(flat)}}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (lambda items, flat: items[1].update(price=-1), "[items]"),
        (lambda items, flat: items[0].update(tags=["a"]), "[items]"),
        (lambda items, flat: items[0].update(words="other"), "[items]"),
        (lambda items, flat: items[2].update(v=[0, 0]), "[items]"),
        (lambda items, flat: items.reverse(), "[items]"),
        (lambda items, flat: items.append({}), "[items]"),
        (lambda items, flat: items.clear(), "[items]"),
        (lambda items, flat: items[1]["parts"][0].pop("x"), "[items]"),
        (lambda items, flat: items[1]["parts"][0]["deepest"].append({"ok": True}), "[items]"),
        (lambda items, flat: flat.update(n=5), "[j.n]"),
        (lambda items, flat: flat["in"].update(x=2), "[j.in.x]"),
        (lambda items, flat: flat["docs"].reverse(), "[j.docs]"),
    ],
)
def test_a_row_whose_documents_are_not_the_table_s(
    index: Index, change: Callable[[list[Any], dict[str, Any]], object], fields: str
) -> None:
    (fault,) = index.faults(changed=changed(change))
    assert fault.place == f"row {{'id': {CHANGED}}}"
    assert fault.text.endswith(f"than in the table: {fields}")


def test_documents_that_are_said_to_be_more(index: Index) -> None:
    def one_more(numbers: Numbers) -> None:
        numbers[5] += 1

    text, *_ = index.texts_where("children of items", one_more, "counts")
    items = sum(number % 4 for number in range(ROWS))
    assert f"documents of [items]: {items + 1} are said to be held, of {items}" in text
    text, *_ = index.texts_where("children of items.parts", one_more, "counts")
    assert "documents of [items.parts]: " in text


def test_documents_that_are_given_to_other_rows(index: Index) -> None:
    def swap(numbers: Numbers) -> None:
        numbers[[2, 3]] = numbers[[3, 2]]

    texts = index.texts_where("children of items", swap, "counts")
    assert [text.split(":")[0] for text in texts[:2]] == ["row {'id'", "row {'id'"]
    assert all(text.endswith("[items]") for text in texts)


def test_what_finds_documents_is_compared_with_their_values(index: Index) -> None:
    def swap(numbers: Numbers) -> None:
        numbers[[0, -1]] = numbers[[-1, 0]]

    (text,) = index.texts_where("column of items.price", swap, "column", "postings", "docs")
    assert "column [items.price]: its postings: 2 are wrong" in text
