"""What filters read, damaged while values by document and all checksums are right: found, and named by its field."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.damaged_segments import Numbers, OpenedStream, with_footer
from support.indexes import PREFIX, index_in, resources_in

from lutra.feed.progress import Progress
from lutra.index.builds.build import shape_of
from lutra.index.check.fsck import IndexCheck, IndexFault, Remedy
from lutra.index.lsm.manifest import Manifest, SegmentEntry, schema_identity
from lutra.index.lsm.storage import IndexStorage
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.segments.build import build_segment

ROWS = 1_500
KEY = (KeyColumn("id", ColumnType.STRING),)
VALUES: dict[str, tuple[FieldType, Callable[[int], Any]]] = {
    "long": (FieldType.LONG, lambda n: n * 7_919 % 601 - 300),
    "double": (FieldType.DOUBLE, lambda n: n * 31 % 701 / 8),
    "boolean": (FieldType.BOOLEAN, lambda n: n % 3 == 0),
    "date": (FieldType.DATE, lambda n: 1_790_000_000_000_000_000 + n % 600),
    "keyword": (FieldType.KEYWORD, lambda n: f"word-{n * 17 % 613:04d}"),
}
"""By name; more distinct ones than a block of a dictionary has, where there are so many."""
SCALARS = [
    FieldSchema(f"{name}{'s' * is_array}", kind, is_array=is_array, date_formats=("epoch_nanos",) * (name == "date"))
    for name, (kind, _) in VALUES.items()
    for is_array in (False, True)
]
SCHEMA = IndexSchema((*SCALARS, FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2))))
FIELDS = pytest.mark.parametrize("field", [field.name for field in SCALARS])


def rows() -> list[Row]:
    """Some lack all but a key, some arrays have equal elements, some have a value that is older than the others."""
    made = []
    for n in range(ROWS):
        cells: list[Any] = []
        if n % 9:
            for name, (_, value) in VALUES.items():
                elements = [value(n + i // 2) for i in range(n % 4)]
                cells += [
                    (name, value(n), n + 1 - (name == "double" and n % 5 == 0)),
                    (f"{name}s", json.dumps(elements), n + 1),
                ]
            cells.append(("v", np.array([n, n % 7], "<f4").tobytes(), n + 1))
        made.append(Row((("id", f"row {n:05d}"),), cells, None if cells else n + 1))
    return made


class Index:
    """An index of one segment, whose bytes can be changed."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder / "objects")
        index = index_in(resources_in(folder, store=self.store), SCHEMA, KEY)
        index.apply(rows())
        meta = build_segment(folder / "built", [index.view().parts[0]], SCHEMA)
        index.close()
        storage = IndexStorage(self.store, PREFIX)
        name = storage.new_segment()
        self.segment = storage.full(name)
        self.store.put_file(self.segment, folder / "built")
        manifest = Manifest("w", schema_identity(SCHEMA, KEY), Progress(1, True))
        storage.take_over(replace(manifest, segments=(SegmentEntry(shape_of(name, meta)),)), lambda _: None)
        self.whole = self.store.get(self.segment)

    def opened(self, section: str) -> OpenedStream:
        return OpenedStream(self.whole, section)

    def faults_of(self, whole: bytes) -> list[IndexFault]:
        """Of all of it, rows too, where the segment is ``whole``."""
        self.store.put(self.segment, whole)
        try:
            with IndexCheck(IndexStorage(self.store, PREFIX), SCHEMA, KEY) as check:
                check.check_objects()
                check.check_rows(rows(), set())
                return check.faults
        finally:
            self.store.put(self.segment, self.whole)

    def only_fault(self, stream: OpenedStream) -> str:
        """Its text; it is the only one, so no checksum tells, and no row differs."""
        whole = stream.whole()
        assert len(whole) == len(self.whole)
        assert whole != self.whole
        (fault,) = self.faults_of(whole)
        assert (fault.place, fault.remedy) == (self.segment, Remedy.REBUILD)
        return fault.text


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index(tmp_path_factory.mktemp("index"))


def swap(first: int, second: int) -> Callable[[Numbers], None]:
    def change(numbers: Numbers) -> None:
        numbers[[first, second]] = numbers[[second, first]]

    return change


def exchange(first: int, second: int) -> Callable[[Numbers], None]:
    """Each one where the other is."""

    def change(numbers: Numbers) -> None:
        was_first, was_second = numbers == first, numbers == second
        numbers[was_first], numbers[was_second] = second, first

    return change


def test_an_index_without_faults(index: Index) -> None:
    assert index.faults_of(index.whole) == []


@FIELDS
def test_documents_of_other_values(index: Index, field: str) -> None:
    stream = index.opened(f"column of {field}")
    stream.renumber(stream.meta["column"]["postings"]["docs"], swap(0, -1))
    text = index.only_fault(stream)
    assert text.startswith(f"column [{field}]: its postings: 2 are wrong, first document ")


@FIELDS
def test_values_whose_documents_begin_elsewhere(index: Index, field: str) -> None:
    stream = index.opened(f"column of {field}")

    def later(starts: Numbers) -> None:
        starts[1] += 1

    stream.renumber(stream.meta["column"]["starts"], later)
    assert index.only_fault(stream).startswith(f"column [{field}]: its postings: those of ")


@FIELDS
def test_bitmaps_of_other_documents(index: Index, field: str) -> None:
    stream = index.opened(f"column of {field}")
    postings = stream.meta["column"]["postings"]
    assert postings["bitmaps"] == 1
    stream.data[postings["at"]] ^= 2
    assert index.only_fault(stream) == f"column [{field}]: its postings: bitmap 0 is not of its 1024 postings"


@FIELDS
def test_a_dictionary_that_is_not_in_order(index: Index, field: str) -> None:
    """As of a writer that did not sort: each document's value is what it was, and postings agree with that."""
    stream = index.opened(f"column of {field}")
    meta = stream.meta["column"]
    if "values" in meta["dictionary"]:
        stream.renumber(meta["dictionary"]["values"], swap(0, 1))
    else:
        first, second = b"0000", b"0001"
        begin = meta["dictionary"]["places"][0]
        prefix_bytes, width = stream.data[2], stream.data[4]
        assert begin > 6 + prefix_bytes + 2 * width
        at = 6 + prefix_bytes
        assert bytes(stream.data[6:at] + stream.data[at : at + width]).endswith(first)
        assert bytes(stream.data[6:at] + stream.data[at + width : at + 2 * width]).endswith(second)
        both = stream.data[at : at + 2 * width]
        stream.data[at : at + 2 * width] = both[width:] + both[:width]
    stream.renumber(meta["ordinals"], exchange(0, 1))
    starts = stream.numbers(meta["starts"])
    end, rest = int(starts[1]), int(starts[2])

    def exchanged(docs: Numbers) -> None:
        docs[:rest] = np.concatenate((docs[end:rest], docs[:end]))

    def moved(starts: Numbers) -> None:
        starts[1] = rest - end

    stream.renumber(meta["postings"]["docs"], exchanged)
    stream.renumber(meta["starts"], moved)
    (text, *others) = [fault.text for fault in index.faults_of(stream.whole())]
    assert text.startswith(f"column [{field}]: its dictionary: ")
    assert "not ascending" in text
    assert all(other.startswith(f"column [{field}]: its dictionary: ") for other in others), "no row differs"


@pytest.mark.parametrize("field", [field.name for field in SCALARS if field.type is not FieldType.BOOLEAN])
def test_a_dictionary_s_index(index: Index, field: str) -> None:
    stream = index.opened(f"column of {field}")
    dictionary = stream.meta["column"]["dictionary"]
    if "values" in dictionary:

        def other(firsts: Numbers) -> None:
            assert len(firsts) > 1
            firsts[-1] -= 1

        stream.renumber(dictionary["firsts"], other)
        assert index.only_fault(stream).endswith("its dictionary: its index is not of the first values of its blocks")
    else:
        at, length = dictionary["separators"]
        stream.data[at + length - 1] += 1
        assert index.only_fault(stream).endswith("is not where its index leads to")


@FIELDS
def test_documents_that_have_a_value_counted_wrong(index: Index, field: str) -> None:
    stream = index.opened(f"column of {field}")

    def more(before: Numbers) -> None:
        before[0] += 1

    stream.renumber(stream.meta["column"]["presence"]["before"], more)
    assert index.only_fault(stream) == f"column [{field}]: its documents: those with values are counted wrong"


@pytest.mark.parametrize("fill", [0, 0xFF, None])
def test_sections_that_make_no_sense(index: Index, fill: int | None) -> None:
    sections = ["keys", "newest", "oldest", "documents of v", *(f"column of {field.name}" for field in SCALARS)]
    for section in sections:
        stream = index.opened(section)
        random = np.random.default_rng(5).bytes(len(stream.data))
        stream.data[:] = random if fill is None else bytes([fill]) * len(stream.data)
        found = index.faults_of(stream.whole())
        assert {fault.remedy for fault in found} == {Remedy.REBUILD}, section
        kind, _, field = section.partition(" of ")
        named = {
            "keys": "keys: ",
            "newest": "its rows changed last",
            "oldest": "the oldest timestamps",
            "documents": "vectors of v",
        }
        assert named.get(kind, f"column [{field}]: ") in found[0].text, section


def test_keys_that_are_not_found(index: Index) -> None:
    stream = index.opened("keys")
    at, length = stream.meta["bloom"]
    stream.data[at : at + length] = bytes(length)
    assert index.only_fault(stream) == f"keys: the filter takes {ROWS} keys for absent that are there"
    stream = index.opened("keys")
    at, length = stream.meta["strings"]["separators"]
    stream.data[at + length - 1] += 1
    assert index.only_fault(stream).endswith("is not where its index leads to")


def test_a_footer_that_says_otherwise_how_old_rows_are(index: Index) -> None:
    """By that whole segments are left out of what may have expired: row 0 is of 1 ms."""
    said, changed = b'"newest_ms":[1,', b'"newest_ms":[2,'
    (fault,) = index.faults_of(with_footer(index.whole, (said, changed)))
    assert "its footer says" in fault.text
    assert fault.remedy is Remedy.REBUILD


@pytest.mark.parametrize(
    "change",
    [
        lambda stream: stream.renumber(stream.meta["docs"], swap(3, 4)),
        lambda stream: stream.renumber(stream.meta["numbers"], lambda times: times.__setitem__(3, times[3] + 1)),
        lambda stream: stream.renumber(stream.meta["numbers"], lambda times: times.__setitem__(0, times[0] + 1)),
    ],
)
def test_oldest_times_that_cannot_be(index: Index, change: Callable[[OpenedStream], object]) -> None:
    stream = index.opened("oldest")
    change(stream)
    found = index.faults_of(stream.whole())
    assert "the oldest timestamps of its rows make no sense" in found[0].text


def test_an_oldest_time_that_could_be(index: Index) -> None:
    stream = index.opened("oldest")
    stream.renumber(stream.meta["numbers"], lambda times: times.__setitem__(3, times[3] - 1))
    (fault,) = index.faults_of(stream.whole())
    assert "the time of its oldest value" in fault.text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda docs: docs.__setitem__(0, docs[1]), "its vectors do not belong to a document each"),
        (lambda docs: docs.__setitem__(-1, ROWS), f"a vector belongs to none of {ROWS} documents"),
    ],
)
def test_documents_of_vectors(index: Index, change: Callable[[Numbers], object], text: str) -> None:
    stream = index.opened("documents of v")
    stream.renumber(stream.meta["numbers"], change)
    told = index.only_fault(stream)
    assert "vectors of v" in told
    assert text in told


def test_fewer_documents_than_vectors(index: Index) -> None:
    numbers = index.opened("documents of v").meta["numbers"]
    shown, fewer = (json.dumps(n, separators=(",", ":")).encode() for n in (numbers, [0, numbers[1] - 1, *numbers[2:]]))
    (fault,) = index.faults_of(with_footer(index.whole, (b'{"numbers":' + shown, b'{"numbers":' + fewer)))
    assert "vectors of v" in fault.text


def test_vectors_of_other_documents(index: Index) -> None:
    """What a filter and a row's values read of vectors is one list, so rows tell."""
    stream = index.opened("documents of v")
    stream.renumber(stream.meta["numbers"], swap(3, 4))
    found = index.faults_of(stream.whole())
    assert len(found) == 2
    assert all(fault.text.endswith(" than in the table: [v]") for fault in found)
