"""Columns and keys of every format version that ever was are read, and give the answers they gave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scalar_streams import (
    DENSE_SIZE,
    GOLDEN_SIZE,
    KINDS_SIZE,
    golden_columns,
    golden_dense,
    golden_keys,
    golden_kinds,
    golden_kinds_stream,
    golden_stream,
)

from lutra.kernels.blocks import BlockCache
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldType
from lutra.model.queries import SortMode
from lutra.scalars.pages import PageReader
from lutra.scalars.part import ScalarPart
from lutra.scalars.segment_column import SegmentColumn
from lutra.scalars.segment_keys import SegmentKeys

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = golden_columns()


@pytest.fixture
def stored() -> Iterator[tuple[PageReader, dict[str, Any]]]:
    cache = BlockCache(4 << 20)
    reader = PageReader(cache.open_file(GOLDEN / "v1.pages", checksums=True), "golden")
    yield reader, json.loads((GOLDEN / "v1.json").read_bytes())
    cache.close()


def sorted_docs(part: ScalarPart, mode: SortMode) -> list[Any]:
    """What each document sorts by; None where it has no value."""
    keys = part.sort_keys(mode)
    values: list[Any] = keys.values.tolist()
    if keys.strings is not None:
        values = list(keys.strings.taken(keys.values))
    return (
        values
        if keys.present is None
        else [v if p else None for v, p in zip(values, keys.present.bools(), strict=True)]
    )


@pytest.mark.parametrize("name", list(COLUMNS))
def test_a_golden_column_answers_as_it_did(name: str, stored: tuple[PageReader, dict[str, Any]]) -> None:
    reader, metas = stored
    memory = COLUMNS[name]
    column = SegmentColumn(reader, memory.field, metas[name], GOLDEN_SIZE)
    assert [*column.faults()] == []
    values = [memory.value(doc) for doc in range(GOLDEN_SIZE)]
    assert [column.value(doc) for doc in range(GOLDEN_SIZE)] == values
    assert sorted_docs(column, SortMode.MIN) == sorted_docs(memory, SortMode.MIN)
    assert np.array_equal(column.exists().mask().bools(), memory.exists().mask().bools())
    some = [v for value in values[:40] for v in (value if isinstance(value, list) else [value]) if v is not None]
    for low, high in zip(some, some[7:], strict=False):
        assert np.array_equal(column.equals(low).mask().bools(), memory.equals(low).mask().bools())
        assert np.array_equal(
            column.between(low, high, False, True).mask().bools(), memory.between(low, high, False, True).mask().bools()
        )
    assert np.array_equal(column.one_of(some).mask().bools(), memory.one_of(some).mask().bools())
    if memory.field.type is FieldType.KEYWORD:
        for prefix in ("", "a", "word-01", "\U0001f9a6"):
            assert np.array_equal(column.starts_with(prefix).mask().bools(), memory.starts_with(prefix).mask().bools())


def test_golden_bitmaps_are_read(stored: tuple[PageReader, dict[str, Any]]) -> None:
    reader, metas = stored
    memory = golden_dense()
    column = SegmentColumn(reader, memory.field, metas["dense"], DENSE_SIZE)
    assert [*column.faults()] == []
    for low, high in ((0, 4), (1, 3), (0, 0), (1, 6), (2, 6)):
        assert np.array_equal(column.between(low, high).mask().bools(), memory.between(low, high).mask().bools())


def test_golden_keys_are_found(stored: tuple[PageReader, dict[str, Any]]) -> None:
    reader, metas = stored
    keys = SegmentKeys(reader, metas["keys"])
    expected = golden_keys()
    assert [*keys.faults()] == []
    assert keys.find(expected).tolist() == list(range(len(expected)))
    assert keys.keys(np.arange(len(expected))) == expected
    assert (keys.find([key + b"\1" for key in expected]) == -1).all()
    assert list(reader.faults()) == []


def test_the_bytes_are_those_that_were_written_once() -> None:
    pages, metas = golden_stream()
    assert pages == (GOLDEN / "v1.pages").read_bytes()
    assert metas == json.loads((GOLDEN / "v1.json").read_bytes())


@pytest.mark.parametrize("name", ["fuzzy", "ip", "flattened"])
def test_golden_kinds_of_strings_answer_as_they_did(name: str) -> None:
    memory, metas = golden_kinds()[name], json.loads((GOLDEN / "kinds.json").read_bytes())
    cache = BlockCache(4 << 20)
    try:
        reader = PageReader(cache.open_file(GOLDEN / "kinds.pages", checksums=True), "golden")
        column = SegmentColumn(reader, memory.field, metas[name], KINDS_SIZE)
        assert [*column.faults()] == []
        assert [column.value(doc) for doc in range(KINDS_SIZE)] == [memory.value(doc) for doc in range(KINDS_SIZE)]
        for pattern in ("*é1*", "*.log", "/srv/0?/*", "*db8*", "*x1", "a.b*", "*0*", "nothing"):
            assert np.array_equal(column.like(pattern).mask().bools(), memory.like(pattern).mask().bools()), pattern
    finally:
        cache.close()


def test_golden_kinds_are_written_as_they_were() -> None:
    """Or they are of another version, and the reader has to know both."""
    data, metas = golden_kinds_stream()
    assert json.loads(json.dumps(metas)) == json.loads((GOLDEN / "kinds.json").read_bytes())
    assert data == (GOLDEN / "kinds.pages").read_bytes()


def test_grams_of_a_later_version_are_refused() -> None:
    metas = json.loads((GOLDEN / "kinds.json").read_bytes())
    metas["fuzzy"]["grams"]["format"] += 1
    cache = BlockCache(4 << 20)
    reader = PageReader(cache.open_file(GOLDEN / "kinds.pages", checksums=True), "golden")
    with pytest.raises(Corruption, match="grams are of format 2: this release reads 1"):
        SegmentColumn(reader, golden_kinds()["fuzzy"].field, metas["fuzzy"], KINDS_SIZE)
    cache.close()
