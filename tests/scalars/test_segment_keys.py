"""Keys of segments, and strings in blocks, against sorted lists."""

from __future__ import annotations

import json
from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.streams import MemoryStream

from lutra.model.errors import Corruption
from lutra.scalars.bloom import Bloom, hashes_of
from lutra.scalars.segment_keys import SegmentKeys, write_keys
from lutra.scalars.stored_strings import StoredStrings
from lutra.scalars.string_blocks import STRING_BYTES_MAX, StringBlocks, write_strings

STRINGS = (
    st.binary(max_size=6)
    | st.integers(0, 5).map(lambda n: b"a" * n)
    | st.integers(0, 3).map(lambda n: b"k\0" + b"\0" * n)
    | st.builds(lambda c, n: c * n, st.sampled_from([b"b", b"\xff"]), st.integers(1_000, 5_000))
)
MANY = st.builds(
    lambda form, step, count: [form % (i * step) for i in range(count)],
    st.sampled_from([b"user-%06d", b"%d", b"%06d\0\0\x80\0\0\0\0\0\0\1"]),
    st.integers(1, 7),
    st.integers(0, 700),
)


@st.composite
def sorted_strings(draw: st.DrawFn) -> list[bytes]:
    return sorted({*draw(st.lists(STRINGS, max_size=12)), *draw(MANY)})


def stored(keys: list[bytes]) -> SegmentKeys:
    stream = MemoryStream(before=5)
    return SegmentKeys(stream, json.loads(json.dumps(write_keys(stream, keys))))


@given(sorted_strings(), st.data())
def test_lookups(keys: list[bytes], data: st.DataObject) -> None:
    segment = stored(keys)
    some = STRINGS | st.sampled_from(keys) if keys else STRINGS
    near = some.flatmap(lambda s: st.sampled_from([s, s + b"\0", s[:-1], s + b"\xff"]))
    sought = data.draw(st.lists(near, max_size=40))
    number = {key: doc for doc, key in enumerate(keys)}
    assert segment.find(sought).tolist() == [number.get(key, -1) for key in sought]
    assert segment.find(keys).tolist() == list(range(len(keys)))
    assert [*segment.faults()] == []
    for mark in sought[:5]:
        equal = number.get(mark, -1)
        assert segment.place(mark) == (bisect_left(keys, mark) + (equal >= 0), equal)
        greater, same = segment.compare(mark)
        assert greater.tolist() == [key > mark for key in keys]
        assert same.tolist() == [key == mark for key in keys]


@given(sorted_strings(), st.data())
def test_by_number(keys: list[bytes], data: st.DataObject) -> None:
    segment = stored(keys)
    assert len(segment.strings) == segment.size == len(keys)
    assert [key for block in segment.blocks() for key in block] == keys
    docs = data.draw(st.lists(st.integers(0, len(keys) - 1), max_size=30)) if keys else []
    assert segment.keys(np.array(docs, np.int64)) == [keys[doc] for doc in docs]
    assert [segment.key(doc) for doc in docs[:3]] == [keys[doc] for doc in docs[:3]]
    assert segment.keys(np.arange(len(keys))) == keys
    for wrong in (-1, len(keys)):
        with pytest.raises(IndexError):
            segment.key(wrong)
        with pytest.raises(IndexError):
            segment.keys(np.array([wrong]))


@given(sorted_strings(), STRINGS)
def test_one_more_string(strings: list[bytes], another: bytes) -> None:
    """What stands in for missing values takes its place among the stored strings."""
    stream = MemoryStream()
    more = StoredStrings(StringBlocks(stream, write_strings(stream, strings))).with_another(another)
    everything = [*strings, another]
    assert more.size == len(everything)
    assert more.taken(np.arange(more.size)) == everything
    assert more.exact
    assert len(more.words) == 1
    ranks = {string: i for i, string in enumerate(sorted(set(everything)))}
    expected = np.array([ranks[string] for string in everything])
    word = more.words[0].astype(np.int64)
    assert np.array_equal(word[:, None] < word, expected[:, None] < expected)
    greater, equal = more.compare(another)
    assert greater.tolist() == [string > another for string in everything]
    assert equal.tolist() == [string == another for string in everything]


def test_absent_keys_are_not_read_for() -> None:
    keys = [b"%08d" % (2 * i) for i in range(50_000)]
    stream = MemoryStream()
    segment = SegmentKeys(stream, write_keys(stream, keys))
    absent = [b"%08d" % (2 * i + 1) for i in range(50_000)]
    maybe = Bloom.of(keys).maybe(hashes_of(absent))
    assert 0.004 < len(maybe) / len(absent) < 0.014  # ten bits a key: 0.8 %
    segment.find(keys[:1])  # filter and index of blocks are in memory now
    assert stream.reads == 3
    stream.read_bytes = 0
    assert (segment.find(absent) == -1).all()
    assert stream.read_bytes < 450 * 1_200
    assert segment.state_bytes < 2.1 * len(keys)


def test_blocks_end_by_bytes_too() -> None:
    """A look-up among long strings reads few of them, and what is kept of them is short."""
    strings = [b"%04d" % i + b"x" * 4_000 for i in range(200)]
    stream = MemoryStream()
    meta = write_strings(stream, strings)
    blocks = StringBlocks(stream, meta)
    assert blocks.rank(strings[77]) == (77, True)
    assert blocks.rank(strings[77][:-1]) == (77, False)
    assert blocks.state_bytes < 200 * 120
    stream.read_bytes = 0
    assert blocks[199] == strings[199]
    assert stream.read_bytes < 8_100


def test_what_is_not_in_order_is_refused() -> None:
    for strings in ([b"b", b"a"], [b"a", b"a"], [b"%03d" % i for i in range(128)] + [b"127"]):
        with pytest.raises(ValueError, match="not ascending"):
            write_strings(MemoryStream(), strings)
    with pytest.raises(ValueError, match="more than"):
        write_keys(MemoryStream(), [b"x" * (STRING_BYTES_MAX + 1)])


def test_unknown_format() -> None:
    stream = MemoryStream()
    meta = write_keys(stream, [b"a"])
    with pytest.raises(Corruption, match="format 99"):
        SegmentKeys(stream, meta | {"format": 99})


def test_nothing() -> None:
    segment = stored([])
    assert segment.find([b"", b"a"]).tolist() == [-1, -1]
    assert segment.find([]).tolist() == []
    assert segment.place(b"a") == (0, -1)
    assert list(segment.blocks()) == []
