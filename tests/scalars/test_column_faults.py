"""A column that says it has no faults answers by its values, however its bytes came to be what they are."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.columns import columns, in_memory
from support.streams import MemoryStream

from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import SortMode
from lutra.scalars.elements import Elements
from lutra.scalars.segment_column import SegmentColumn, write_column
from lutra.scalars.segment_keys import SegmentKeys, write_keys
from lutra.scalars.stored_numbers import StoredNumbers

NONSENSE = (ArithmeticError, AttributeError, LookupError, RuntimeWarning, TypeError, ValueError, struct.error)
"""What reading raises where numbers lead nowhere; numpy warns of infinities as integers."""


def numbers_in(meta: Any) -> list[tuple[Any, Any]]:
    """Where ``meta`` says a number, or yes or no: the list or object that is in, and the place there."""
    places = meta.items() if isinstance(meta, dict) else enumerate(meta)
    found = []
    for place, value in places:
        if isinstance(value, dict | list):
            found += numbers_in(value)
        elif isinstance(value, int) and place != "format":
            found.append((meta, place))
    return found


def by_document(column: SegmentColumn) -> list[list[Any]]:
    """What a merge and the check of rows read."""
    elements = column.elements()
    values = elements.values.tolist()
    if elements.strings is not None:
        values = [elements.strings[i].decode() for i in values]
    docs = range(len(values)) if elements.docs is None else elements.docs.tolist()
    found: list[list[Any]] = [[] for _ in range(column.size)]
    for doc, value in zip(docs, values, strict=True):
        found[doc].append(value)
    return found


def check_answers(column: SegmentColumn) -> None:
    model = by_document(column)
    known = sorted({value for elements in model for value in elements})
    assert column.exists().mask().bools().tolist() == [bool(elements) for elements in model]
    assert column.between(None, None).mask().bools().tolist() == [bool(elements) for elements in model]
    for value in known:
        assert column.equals(value).mask().bools().tolist() == [value in elements for elements in model]
        assert column.one_of([value, known[0]]).mask().bools().tolist() == [
            {value, known[0]} & {*found} != set() for found in model
        ]
        expected = [any(known[len(known) // 2] <= element < value for element in elements) for elements in model]
        assert column.between(known[len(known) // 2], value, True, False).mask().bools().tolist() == expected
        if column.field.type is FieldType.KEYWORD:
            expected = [any(element.startswith(value[:1]) for element in elements) for elements in model]
            assert column.starts_with(value[:1]).mask().bools().tolist() == expected
    for doc, elements in enumerate(model):
        assert column.value(doc) == ((elements if column.field.is_array else elements[0]) if elements else None)
    if known:
        keys = column.sort_keys(SortMode.MIN)
        least = keys.values.tolist() if keys.strings is None else [s.decode() for s in keys.strings.taken(keys.values)]
        present = [True] * column.size if keys.present is None else keys.present.bools().tolist()
        shown = [value if there else None for value, there in zip(least, present, strict=True)]
        assert shown == [min(elements, default=None) for elements in model]


@settings(max_examples=300)
@given(columns(), st.data())
def test_no_damage_that_changes_an_answer_goes_unnoticed(drawn: tuple[FieldSchema, Any], data: st.DataObject) -> None:
    field, model = drawn
    stream = MemoryStream(before=2)
    meta = json.loads(json.dumps(write_column(stream, field, len(model), in_memory(field, model).elements())))
    for _ in range(data.draw(st.integers(1, 2))):
        if len(stream.data) > 2 and data.draw(st.integers(0, 3)):
            stream.data[data.draw(st.integers(2, len(stream.data) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        else:
            holder, at = data.draw(st.sampled_from(numbers_in(meta)))
            step = data.draw(st.sampled_from([-1, 1]))
            holder[at] = not holder[at] if isinstance(holder[at], bool) else holder[at] + step
    try:
        column = SegmentColumn(stream, field, meta, len(model))
        if [*column.faults()]:
            return
        model = by_document(column)
    except NONSENSE:
        return
    if field.is_array or max(map(len, model), default=0) <= 1:  # else the check of rows tells
        check_answers(column)


def renumber(stream: MemoryStream, meta: list[Any], at: int, value: int) -> None:
    """Stores another number, as it is stored: less its base."""
    stored = StoredNumbers.of(meta)
    place, length = stored.place(at, at + 1)
    stream.data[place : place + length] = np.array(value, stored.stored).tobytes()


@pytest.mark.parametrize("single", [True, False])
def test_bitmaps(single: bool) -> None:
    size, docs = 20_000, np.arange(20_000, dtype=np.int32)
    field = FieldSchema("f", FieldType.LONG, is_array=not single)
    if not single:
        docs = np.repeat(docs, 2)
    stream = MemoryStream()
    meta = write_column(stream, field, size, Elements(docs, np.arange(len(docs)) * 7 % 50))
    column = SegmentColumn(stream, field, meta, size)
    assert [*column.faults()] == []
    count, step = meta["postings"]["bitmaps"], meta["postings"]["step"]
    assert count > 10
    stream.data[meta["postings"]["at"] + 4 * (size // 8) + 100] ^= 16
    assert [*column.faults()] == [f"its postings: bitmap 4 is not of its {step} postings"]
    stream.data[meta["postings"]["at"] + 4 * (size // 8) + 100] ^= 16
    assert [*column.faults()] == []
    for name, value in (("bitmaps", count + 3), ("step", 0), ("step", step + 1)):
        damaged = {**meta, "postings": {**meta["postings"], name: value}}
        (fault, *_) = SegmentColumn(stream, field, damaged, size).faults()
        assert "bitmap" in fault


def strings_of(count: int) -> list[bytes]:
    return [b"word-%06d" % i for i in range(count)]


def test_a_dictionary_of_many_blocks() -> None:
    """Of strings, which are found by the blocks' separators and counted by their first numbers."""
    field = FieldSchema("f", FieldType.KEYWORD)
    stream = MemoryStream()
    meta = write_column(stream, field, 1_000, Elements(None, np.arange(1_000, dtype=np.int32), strings_of(1_000)))
    column = SegmentColumn(stream, field, meta, 1_000)
    assert [*column.faults()] == []
    assert column.equals("word-000300").mask().bools().sum() == 1
    at, length = meta["dictionary"]["separators"]
    stream.data[at + length // 2] ^= 0x11
    found = [*SegmentColumn(stream, field, meta, 1_000).faults()]
    assert found == ["its dictionary: block 4 (from string 512 on) is not where its index leads to"]
    stream.data[at + length // 2] ^= 0x11
    renumber(stream, meta["dictionary"]["firsts"], 3, 385)
    (fault,) = SegmentColumn(stream, field, meta, 1_000).faults()
    assert fault == "its dictionary: block 2 has 128 strings in 398 bytes, its index says (129, 398)"


def test_a_dictionary_of_many_numbers() -> None:
    field = FieldSchema("f", FieldType.LONG)
    stream = MemoryStream()
    meta = write_column(stream, field, 2_000, Elements(None, np.arange(2_000)))
    renumber(stream, meta["dictionary"]["firsts"], 1, 700)
    column = SegmentColumn(stream, field, meta, 2_000)
    assert not column.equals(600).mask().bools().any(), "that is where it would be looked for"
    assert [*column.faults()] == ["its dictionary: its index is not of the first values of its blocks"]


def test_values_that_are_not_kept_as_numbers_of_the_dictionary() -> None:
    field = FieldSchema("f", FieldType.LONG)
    stream = MemoryStream()
    meta = write_column(stream, field, 70_000, Elements(None, np.arange(70_000) * 3))
    assert meta["ordinals"] is None
    renumber(stream, meta["values"], 5, 16)
    (fault,) = SegmentColumn(stream, field, meta, 70_000).faults()
    assert fault == "values in document order are not in its dictionary"
    renumber(stream, meta["values"], 5, 18)
    (fault, *_) = SegmentColumn(stream, field, meta, 70_000).faults()
    assert fault == "its postings: those of 18 begin at 6, not at 5"


@settings(max_examples=150)
@given(st.integers(1, 300), st.data())
def test_no_damage_that_hides_a_key_goes_unnoticed(count: int, data: st.DataObject) -> None:
    stream = MemoryStream()
    keys = strings_of(count)
    meta = json.loads(json.dumps(write_keys(stream, keys)))
    place = data.draw(st.integers(0, len(stream.data) - 1))
    stream.data[place] ^= 1 << data.draw(st.integers(0, 7))
    segment = SegmentKeys(stream, meta)
    try:
        if [*segment.faults()]:
            return
        stored = segment.keys(np.arange(segment.size))
    except NONSENSE:
        return
    assert stored == sorted(set(stored))
    assert segment.find(stored).tolist() == list(range(count))
    assert [segment.place(key)[1] for key in stored] == list(range(count))


def test_a_filter_that_does_not_know_a_key() -> None:
    stream = MemoryStream()
    meta = write_keys(stream, strings_of(300))
    at, length = meta["bloom"]
    stream.data[at : at + length] = bytes(length)
    segment = SegmentKeys(stream, meta)
    assert (segment.find(strings_of(300)) == -1).all()
    assert [*segment.faults()] == ["the filter takes 300 keys for absent that are there"]
