"""Columns of segments against the same columns in memory."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.columns import ELEMENTS, Model, columns, in_memory
from support.streams import MemoryStream

from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import Corruption, ParameterInvalid, RequestTimeout
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import SortMode
from lutra.scalars.elements import Elements, merged
from lutra.scalars.part import ScalarPart
from lutra.scalars.segment_column import SegmentColumn, write_column
from lutra.scalars.values import STRING_TYPES

PREFIXES = st.sampled_from(["", "a", "a\0", "é", "b" * 9, "b" * 71, "\U0001f9a6", "\U0010ffff"])
PATTERNS = st.sampled_from(["", "*", "?", "a*", "a?", "*b", "??*", "b*b", "*é*", "\U0001f9a6"])


def in_segment(field: FieldSchema, size: int, elements: Elements) -> SegmentColumn:
    stream = MemoryStream(before=13)
    meta = json.loads(json.dumps(write_column(stream, field, size, elements)))
    return SegmentColumn(stream, field, meta, size)


def keys_of(part: ScalarPart, mode: SortMode) -> list[Any]:
    keys = part.sort_keys(mode)
    present = np.ones(part.size, bool) if keys.present is None else keys.present.bools()
    values = keys.values.tolist()
    if keys.strings is not None:
        strings = keys.strings.strings
        return [strings[v].decode() if p else None for v, p in zip(values, present, strict=True)]
    return [v if p else None for v, p in zip(values, present, strict=True)]


def values_of(part: ScalarPart) -> list[Any]:
    return [part.value(doc) for doc in range(part.size)]


@given(columns(), st.data())
def test_predicates(drawn: tuple[FieldSchema, Model], data: st.DataObject) -> None:
    field, model = drawn
    memory = in_memory(field, model)
    segment = in_segment(field, len(model), memory.elements())
    known = [e for elements in model for e in elements]
    element = ELEMENTS[field.type] | st.sampled_from(known) if known else ELEMENTS[field.type]
    operand = element.map(memory.reader.stand_in)
    one, many = data.draw(operand), data.draw(st.lists(operand, max_size=9))
    low, high = data.draw(st.none() | operand), data.draw(st.none() | operand)
    closed = data.draw(st.booleans()), data.draw(st.booleans())

    assert [*segment.faults()] == []
    assert segment.equals(one).mask().bools().tolist() == memory.equals(one).mask().bools().tolist()
    assert segment.one_of(many).mask().bools().tolist() == memory.one_of(many).mask().bools().tolist()
    assert (
        segment.between(low, high, *closed).mask().bools().tolist()
        == memory.between(low, high, *closed).mask().bools().tolist()
    )
    assert segment.exists().mask().bools().tolist() == memory.exists().mask().bools().tolist()
    if field.type in STRING_TYPES:
        prefix = data.draw(PREFIXES)
        assert segment.starts_with(prefix).mask().bools().tolist() == memory.starts_with(prefix).mask().bools().tolist()
        pattern = data.draw(PATTERNS)
        assert segment.like(pattern).mask().bools().tolist() == memory.like(pattern).mask().bools().tolist()
        assert segment.like(pattern).estimate >= segment.like(pattern).mask().count
        assert segment.ends_with(prefix).mask().bools().tolist() == memory.ends_with(prefix).mask().bools().tolist()


@given(columns(), st.sampled_from(SortMode))
def test_sort_keys_and_values(drawn: tuple[FieldSchema, Model], mode: SortMode) -> None:
    field, model = drawn
    memory = in_memory(field, model)
    segment = in_segment(field, len(model), memory.elements())
    assert values_of(segment) == values_of(memory)
    expected = [elements or None if field.is_array else next(iter(elements), None) for elements in model]
    assert values_of(segment) == expected
    if field.is_array and mode is SortMode.AVG and field.type in (*STRING_TYPES, FieldType.BOOLEAN):
        with pytest.raises(ParameterInvalid, match="AVG"):
            segment.sort_keys(mode)
    else:
        assert keys_of(segment, mode) == keys_of(memory, mode)


@given(st.data())
def test_merging(data: st.DataObject) -> None:
    """Columns in memory and in segments become one, without the documents that are dead, in an order of their own."""
    field, model = data.draw(columns())
    models = [model] + [data.draw(columns(field.type).map(lambda c: c[1])) for _ in range(data.draw(st.integers(0, 2)))]
    if not field.is_array:
        models = [[elements[:1] for elements in model] for model in models]
    parts: list[ScalarPart] = []
    for model in models:
        memory = in_memory(field, model)
        parts.append(in_segment(field, len(model), memory.elements()) if data.draw(st.booleans()) else memory)
    everything = [(i, doc) for i, model in enumerate(models) for doc in range(len(model))]
    kept = data.draw(st.lists(st.sampled_from(everything), unique=True)) if everything else []
    renumber = [np.full(len(model), -1, np.int32) for model in models]
    for number, (i, doc) in enumerate(kept):
        renumber[i][doc] = number
    inputs = [part.elements(new) for part, new in zip(parts, renumber, strict=True)]
    result = in_segment(field, len(kept), merged(inputs))
    expected = in_memory(field, [models[i][doc] for i, doc in kept])
    assert [*result.faults()] == []
    assert values_of(result) == values_of(expected)
    assert keys_of(result, SortMode.MAX) == keys_of(expected, SortMode.MAX)
    assert result.exists().mask().bools().tolist() == expected.exists().mask().bools().tolist()


@pytest.mark.parametrize("single", [True, False])
def test_bitmaps(single: bool) -> None:
    """Long runs, which are put together of bitmaps, against comparing the values."""
    generator = np.random.default_rng(7)
    size = 80_000
    docs = np.flatnonzero(generator.random(size) < 0.9).astype(np.int32)
    if not single:
        docs = np.repeat(docs, generator.integers(1, 4, len(docs)))
    values = generator.integers(0, 1000, len(docs))
    field = FieldSchema("f", FieldType.LONG, is_array=not single)
    stream = MemoryStream()
    segment = SegmentColumn(stream, field, write_column(stream, field, size, Elements(docs, values)), size)
    assert [*segment.faults()] == []
    for low, high in [(0, 999), (0, 500), (17, 990), (300, 310), (500, 999), (63, 125), (1, 63), (990, 2000), (-5, -1)]:
        expected = np.zeros(size, bool)
        expected[docs[(values >= low) & (values <= high)]] = True
        assert np.array_equal(segment.between(low, high).mask().bools(), expected), (low, high)
    chosen = [*range(400), *range(450, 455), 700, 999]
    expected = np.zeros(size, bool)
    expected[docs[np.isin(values, chosen)]] = True
    assert np.array_equal(segment.one_of(list(chosen)).mask().bools(), expected)
    stream.read_bytes = 0
    segment.between(100, 900).mask().bools()
    postings_bytes = 4 * int(np.count_nonzero((values >= 100) & (values <= 900)))
    assert stream.read_bytes < (0.3 if single else 0.7) * postings_bytes


def test_dense_terms() -> None:
    size = 50_000
    words = np.random.default_rng(3).integers(0, 3, size).astype(np.int32)
    field = FieldSchema("f", FieldType.KEYWORD)
    segment = in_segment(field, size, Elements(None, words, [b"blue", b"green", b"red"]))
    for ordinal, word in enumerate(["blue", "green", "red"]):
        assert np.array_equal(segment.equals(word).mask().bools(), words == ordinal)
    assert np.array_equal(segment.one_of(["red", "blue", "absent"]).mask().bools(), words != 1)
    assert segment.exists().mask().bools().all()


def test_many_distinct_values() -> None:
    """More than are kept as numbers of the dictionary."""
    values = np.random.default_rng(5).permutation(100_000).astype(np.int64) * 10**12 - 10**16
    segment = in_segment(FieldSchema("f", FieldType.LONG), len(values), Elements(None, values))
    assert [*segment.faults()] == []
    assert np.array_equal(segment.sort_keys(SortMode.MIN).values, values)
    assert segment.value(99_999) == int(values[-1])
    low, high = np.sort(values)[[30_000, 60_000]].tolist()
    assert np.array_equal(segment.between(low, high, True, False).mask().bools(), (values >= low) & (values < high))
    assert np.flatnonzero(segment.equals(int(values[5])).mask().bools()).tolist() == [5]
    assert not segment.equals(int(values[5]) + 1).mask().bools().any()


def test_unknown_format_and_bad_input() -> None:
    field = FieldSchema("f", FieldType.LONG)
    stream = MemoryStream()
    meta = write_column(stream, field, 2, Elements(None, np.array([1, 2])))
    with pytest.raises(Corruption, match=r"\[f\] is of format 99"):
        SegmentColumn(stream, field, meta | {"format": 99}, 2)
    with pytest.raises(ValueError, match="3 values"):
        write_column(stream, field, 2, Elements(None, np.array([1, 2, 3])))
    for docs in ([1, 0], [0, 2], [-1, 0]):
        with pytest.raises(ValueError, match="ascending"):
            write_column(stream, field, 2, Elements(np.array(docs, np.int32), np.array([1, 2])))
    with pytest.raises(ValueError, match="belong to"):
        write_column(stream, field, 2, Elements(np.array([0], np.int32), np.array([1, 2])))


@pytest.mark.parametrize("is_array", [False, True])
def test_patterns_over_many_blocks(is_array: bool) -> None:
    """Found strings are few, or are so many and so scattered that all values are read instead of their postings."""
    field = FieldSchema("k", FieldType.KEYWORD, is_array=is_array)
    model: Model = [[f"{n * 7_919 % 10_007:05d}-{n % 10}"] for n in range(9_000)]
    if is_array:
        model[::3] = [[*one, "more"] for one in model[::3]]
    memory = in_memory(field, model)
    segment = in_segment(field, len(model), memory.elements())
    for pattern in ("*-3", "0001*", "*", "00?00-*", "*9?9*", "more", "0000*-?"):
        test = re.compile(pattern.replace("*", ".*").replace("?", "."))
        expected = [any(test.fullmatch(one) for one in elements) for elements in model]
        assert segment.like(pattern).mask().bools().tolist() == expected, pattern
        assert memory.like(pattern).mask().bools().tolist() == expected, pattern
    expected = [any(one.endswith("-3") for one in elements) for elements in model]
    assert segment.ends_with("-3").mask().bools().tolist() == expected
    assert segment.like("0001*").estimate < 20


def test_a_pattern_stops_when_its_time_is_up() -> None:
    field = FieldSchema("k", FieldType.KEYWORD)
    memory = in_memory(field, [["a"]])
    segment = in_segment(field, 1, memory.elements())
    with working_for(Deadline(0.0)), pytest.raises(RequestTimeout):
        segment.ends_with("a").mask()
