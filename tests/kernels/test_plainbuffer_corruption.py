"""Bytes that were changed on the way: caught by a checksum, or decoded to something of valid shape. Never a crash."""

from __future__ import annotations

import resource
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kernels import plainbuffer
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.values import INF_MIN, KeyMarker

KEY = (("partition", "otter"), ("number", -5), ("blob", b"\x00\xff"), ("bound", INF_MIN))
CHANGES: list[Any] = [
    ("title", "the sea otter", 1_700_000_000_123, 0),
    ("weight", 31.5, None, 0),
    ("count", 77, 1_700_000_000_124, 4),
    ("wet", True, None, 0),
    ("raw", b"\x01\x02\x03", 5, 0),
    ("gone", None, 1_700_000_000_125, 3),
]
ROW = plainbuffer.encode_change(KEY, CHANGES, False)
CELLS: list[Any] = [("title", "the sea otter", 1_700_000_000_123), ("weight", 31.5, 2), ("raw", b"\x01\x02", 3)]
STORED = plainbuffer.encode_cells(CELLS)


def assert_valid_shape(decoded: Any) -> None:
    key, cells, is_delete = decoded
    assert type(key) is tuple
    for name, value in key:
        assert type(name) is str
        assert type(value) in (int, str, bytes, KeyMarker)
    assert type(cells) is list
    for name, value, timestamp, op in cells:
        assert type(name) is str
        assert type(value) in (int, float, bool, str, bytes, type(None))
        assert type(timestamp) in (int, type(None))
        assert op in (0, 1, 3, 4)
    assert type(is_delete) is bool


def decode_or_refuse(data: bytes) -> bool:
    """Whether it was refused."""
    try:
        decoded = plainbuffer.decode_row(data)
    except ParameterInvalid:
        return True
    assert_valid_shape(decoded)
    return False


def test_every_change_of_one_byte() -> None:
    for at in range(len(ROW)):
        for change in range(1, 256):
            data = bytearray(ROW)
            data[at] ^= change
            decode_or_refuse(bytes(data))


@pytest.mark.parametrize("content", [b"partition", b"otter", b"the sea otter", b"title", b"gone", b"\x01\x02\x03"])
def test_checksums_catch_every_change_of_content(content: bytes) -> None:
    begin = ROW.index(content)
    for at in range(begin, begin + len(content)):
        for change in range(1, 256):
            data = bytearray(ROW)
            data[at] ^= change
            assert decode_or_refuse(bytes(data)), (at, change)


@pytest.mark.parametrize("timestamp", [1_700_000_000_123, 1_700_000_000_124, 1_700_000_000_125])
def test_checksums_catch_every_change_of_a_timestamp(timestamp: int) -> None:
    begin = ROW.index(timestamp.to_bytes(8, "little"))
    for at in range(begin, begin + 8):
        for change in range(1, 256):
            data = bytearray(ROW)
            data[at] ^= change
            with pytest.raises(ParameterInvalid, match="checksum mismatch"):
                plainbuffer.decode_row(bytes(data))


def test_a_stored_row_changed_in_one_byte_is_never_taken_for_another() -> None:
    for at in range(len(STORED)):
        for change in range(1, 256):
            data = bytearray(STORED)
            data[at] ^= change
            with pytest.raises(Corruption):
                plainbuffer.decode_cells(bytes(data))


def test_every_truncation_is_refused() -> None:
    for size in range(len(ROW)):
        assert decode_or_refuse(ROW[:size])
    for size in range(len(STORED)):
        with pytest.raises(Corruption):
            plainbuffer.decode_cells(STORED[:size])


@given(st.binary(max_size=12))
def test_nothing_but_zeros_follows_a_row(data: bytes) -> None:
    assert decode_or_refuse(ROW + data) == any(data)
    with pytest.raises(Corruption):
        plainbuffer.decode_cells(STORED + b"\0" + data)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    decode_or_refuse(data)
    decode_or_refuse(b"\x75\0\0\0" + data)
    decode_or_refuse(b"\x75\0\0\0\x01\x03\x04" + data)


@settings(max_examples=300)
@given(st.data())
def test_spliced_rows(data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(ROW)))
    resume = data.draw(st.integers(0, len(ROW)))
    decode_or_refuse(ROW[:cut] + data.draw(st.binary(max_size=12)) + ROW[resume:])


def test_lengths_do_not_make_it_allocate() -> None:
    """A few bytes that announce gigabytes are refused at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for announced in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x40"):
        assert decode_or_refuse(b"\x75\0\0\0\x01\x03\x04" + announced + b"id")
        assert decode_or_refuse(b"\x75\0\0\0\x01\x03\x04\x02\0\0\0id\x05" + announced + b"\x03" + announced + b"x")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_no_memory_is_kept() -> None:
    damaged = [ROW[:size] for size in range(0, len(ROW), 7)] + [ROW + b"\1", ROW.replace(b"otter", b"otte\xff")]
    unwritable: list[Any] = [[("a", "x" * 5000, 1), ("b", 2**63, 1)], [("a", 1)], [("\ud800", 1, 1)]]

    def work() -> None:
        for round_number in range(1000):
            plainbuffer.decode_row(plainbuffer.encode_change(KEY, CHANGES, False))
            plainbuffer.decode_rows(ROW)
            plainbuffer.decode_cells(plainbuffer.encode_cells([(f"new{round_number}", "x" * 3000, 1), *CELLS]))
            plainbuffer.decode_variant(plainbuffer.encode_variant("x" * 100))
            for data in damaged:
                decode_or_refuse(data)
            for cells in unwritable:
                with pytest.raises((ParameterInvalid, TypeError)):
                    plainbuffer.encode_cells(cells)

    work()
    before = resident_bytes()
    work()
    assert resident_bytes() - before < 1024 * 1024
