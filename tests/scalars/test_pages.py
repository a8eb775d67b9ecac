"""Pages on disk, read through the block cache: every byte is checked, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.blocks import BlockCache
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import SortMode
from lutra.scalars.elements import Elements
from lutra.scalars.pages import PAGE_BYTES, PAYLOAD_BYTES, PageReader, Pages, PageWriter
from lutra.scalars.segment_column import SegmentColumn, write_column
from lutra.scalars.segment_keys import SegmentKeys, write_keys

SIZE = 3_000
FIELD = FieldSchema("word", FieldType.KEYWORD)
WORDS = [b"word-%04d" % i for i in range(500)]


@pytest.fixture
def cache() -> Iterator[BlockCache]:
    cache = BlockCache(4 << 20)
    yield cache
    cache.close()


class Collected:
    """Whole pages, in memory."""

    def __init__(self) -> None:
        self.data = b""

    def append(self, pages: Pages) -> None:
        assert pages.shape[1] == PAGE_BYTES
        self.data += pages.tobytes()


def written() -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """The pages of a column and keys, and their metas."""
    collected = Collected()
    writer = PageWriter(collected.append)
    values = np.random.default_rng(1).integers(0, len(WORDS), SIZE).astype(np.int32)
    column = write_column(writer, FIELD, SIZE, Elements(None, values, WORDS))
    keys = write_keys(writer, [b"key-%06d" % i for i in range(SIZE)])
    assert writer.finish() * PAGE_BYTES == len(collected.data)
    return collected.data, column, keys


def everything(reader: PageReader, column_meta: dict[str, Any], keys_meta: dict[str, Any]) -> list[Any]:
    """Answers for which all that was written has to be read."""
    column = SegmentColumn(reader, FIELD, column_meta, SIZE)
    keys = SegmentKeys(reader, keys_meta)
    return [
        column.between("word-0001", "word-0498").mask().bools().tolist(),
        column.one_of([word.decode() for word in WORDS]).mask().bools().tolist(),
        [column.equals(word.decode()).mask().bools().tolist() for word in WORDS[::60]],
        column.sort_keys(SortMode.MIN).values.tolist(),
        keys.find([b"key-%06d" % i for i in range(SIZE)]).tolist(),
        [key for block in keys.blocks() for key in block],
    ]


def test_answers_from_disk(tmp_path: Path, cache: BlockCache) -> None:
    data, column, keys = written()
    path = tmp_path / "segment"
    path.write_bytes(data)
    reader = PageReader(cache.open_file(path, checksums=True), "scalars")
    answers = everything(reader, column, keys)
    assert sum(answers[0]) > 0.98 * SIZE
    assert all(answers[1])
    assert answers[4] == list(range(SIZE))
    assert list(reader.faults()) == []


def test_every_flipped_byte_is_named(tmp_path: Path, cache: BlockCache) -> None:
    """A flip in any page is found by whoever reads it, and by a check of all pages; nobody answers from it."""
    data, column, keys = written()
    path = tmp_path / "segment"
    generator = np.random.default_rng(2)
    for page in range(len(data) // PAGE_BYTES):
        for place in (*generator.integers(0, PAGE_BYTES, 2).tolist(), PAGE_BYTES - 1):
            wrong = bytearray(data)
            wrong[page * PAGE_BYTES + place] ^= 1 << int(generator.integers(8))
            path.write_bytes(wrong)
            reader = PageReader(cache.open_file(path, checksums=True), "scalars")
            assert len(faults := list(reader.faults())) == 1
            assert "section 'scalars'" in faults[0]
            assert f"block {page} " in faults[0]
            with pytest.raises(Corruption, match=rf"section 'scalars': .*block {page} "):
                everything(reader, column, keys)


@given(st.lists(st.binary(max_size=300) | st.integers(0, 12_000).map(bytes), max_size=20), st.data())
def test_streams(parts: list[bytes], data: st.DataObject) -> None:
    """What was written is read back from where it was said to be, however it lies across pages."""
    collected = Collected()
    writer = PageWriter(collected.append)
    places = [writer.write(part if i % 2 else np.frombuffer(part, np.uint8)) for i, part in enumerate(parts)]
    stream = b"".join(parts)
    assert places == [sum(map(len, parts[:i])) for i in range(len(parts))]
    assert writer.size_bytes == len(stream)
    pages = writer.finish()
    assert pages == -(-len(stream) // PAYLOAD_BYTES)
    if not stream:
        return
    cache = BlockCache(1 << 20)
    pages_of = collected.data
    source = cache.open_remote(
        lambda ranges: [pages_of[at : at + length] for at, length in ranges], len(pages_of), checksums=True
    )
    reader = PageReader(source, "stream")
    ranges = []
    for _ in range(data.draw(st.integers(1, 6))):
        begin = data.draw(st.integers(0, len(stream) - 1))
        ranges.append((begin, data.draw(st.integers(0, len(stream) - begin))))
    assert reader.read_many(ranges) == [stream[at : at + length] for at, length in ranges]
    assert [reader.read(at, length) for at, length in ranges] == [stream[at : at + length] for at, length in ranges]
    cache.close()


def test_long_streams() -> None:
    """More than the writer holds back."""
    collected = Collected()
    writer = PageWriter(collected.append)
    whole = np.random.default_rng(3).integers(0, 256, 3_000_000).astype(np.uint8)
    for part in np.split(whole, 30):
        writer.write(part)
    assert collected.data
    writer.finish()
    cache = BlockCache(8 << 20)
    source = cache.open_remote(
        lambda ranges: [collected.data[at : at + length] for at, length in ranges], len(collected.data), checksums=True
    )
    reader = PageReader(source, "stream")
    assert reader.read(1, 2_999_999) == whole[1:].tobytes()
    assert reader.read_many([(5, 4), (100_000, 1_000_000)]) == [
        whole[5:9].tobytes(),
        whole[100_000:1_100_000].tobytes(),
    ]
    cache.close()
