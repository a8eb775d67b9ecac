"""PlainBuffer against bytes written out by hand, and what it refuses."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest

from lutra.kernels import plainbuffer
from lutra.model import limits
from lutra.model.errors import Corruption, InvalidPrimaryKey, ParameterInvalid
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, INT64_MAX, INT64_MIN, KeyMarker, Value

HEADER = b"\x75\0\0\0"


def crc8(*parts: bytes) -> bytes:
    """The checksum bit by bit, as the polynomial defines it."""
    crc = 0
    for byte in b"".join(parts):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return bytes([crc])


def le32(number: int) -> bytes:
    return struct.pack("<I", number)


def cell(
    name: bytes, variant: bytes = b"", op: bytes = b"", timestamp: bytes = b"", length: int | None = None
) -> tuple[bytes, bytes]:
    """A cell's bytes, and its checksum."""
    checksum = crc8(name, variant, timestamp, op)
    data = b"\x03\x04" + le32(len(name)) + name
    if variant:
        data += b"\x05" + le32(len(variant) if length is None else length) + variant
    if op:
        data += b"\x06" + op
    if timestamp:
        data += b"\x07" + timestamp
    return data + b"\x0a" + checksum, checksum


def row(
    key: list[tuple[bytes, bytes]] | None = None,
    data: list[tuple[bytes, bytes]] | None = None,
    delete: bool = False,
    checksum: bytes | None = None,
) -> bytes:
    """A row without its header."""
    parts = b""
    if key is not None:
        parts += b"\x01" + b"".join(part for part, _ in key)
    if data is not None:
        parts += b"\x02" + b"".join(part for part, _ in data)
    if delete:
        parts += b"\x08"
    sums = [crc for _, crc in (key or []) + (data or [])]
    return parts + b"\x09" + (checksum or crc8(*sums, b"\x01" if delete else b"\0"))


def string(text: str) -> bytes:
    return b"\x03" + le32(len(text.encode())) + text.encode()


def integer(number: int) -> bytes:
    return b"\x00" + struct.pack("<q", number)


ID = cell(b"id", string("k1"))
PADDING_MAX = 8 + 22 * 1024
VARIANTS: list[tuple[Value | KeyMarker, bytes]] = [
    (0, integer(0)),
    (INT64_MAX, integer(INT64_MAX)),
    (INT64_MIN, integer(INT64_MIN)),
    (1.5, b"\x01" + struct.pack("<d", 1.5)),
    (-math.inf, b"\x01" + struct.pack("<d", -math.inf)),
    (True, b"\x02\x01"),
    (False, b"\x02\x00"),
    ("", string("")),
    ("né\U0001f9a6", string("né\U0001f9a6")),
    (b"", b"\x07" + le32(0)),
    (b"\xff\0", b"\x07" + le32(2) + b"\xff\0"),
]
MARKERS: list[tuple[Value | KeyMarker, bytes]] = [(INF_MIN, b"\x09"), (INF_MAX, b"\x0a"), (AUTO_INCREMENT, b"\x0b")]


def test_a_row_is_laid_out_as_the_protocol_says() -> None:
    stamp = struct.pack("<q", 1_700_000_000_000)
    data = [cell(b"a", integer(7), timestamp=stamp), cell(b"b", string("x"), timestamp=stamp)]
    expected = HEADER + row([ID], data)
    cells: list[tuple[str, Value, int | None]] = [("a", 7, 1_700_000_000_000), ("b", "x", 1_700_000_000_000)]
    assert plainbuffer.encode_row((("id", "k1"),), cells) == expected
    assert plainbuffer.decode_row(expected) == (
        (("id", "k1"),),
        [("a", 7, 1_700_000_000_000, 0), ("b", "x", 1_700_000_000_000, 0)],
        False,
    )


def test_bytes_of_a_row_of_the_official_sdk() -> None:
    # PlainBufferBuilder.serialize_for_put_row([("id", 1)], [("v", True)]) of tablestore 6.4.8.
    sent = bytes.fromhex(
        "7500000001030402000000696405090000000001000000000000000a0a0203040100000076050200000002010a370915"
    )
    assert plainbuffer.decode_row(sent) == ((("id", 1),), [("v", True, None, 0)], False)
    assert plainbuffer.encode_row((("id", 1),), [("v", True, None)]) == sent


@pytest.mark.parametrize(("value", "variant"), VARIANTS)
def test_every_type_of_value(value: Value, variant: bytes) -> None:
    expected = HEADER + row([ID], [cell(b"c", variant)])
    assert plainbuffer.encode_row((("id", "k1"),), [("c", value, None)]) == expected
    _, [(name, decoded, timestamp, op)], _ = plainbuffer.decode_row(expected)
    assert (name, decoded, timestamp, op) == ("c", value, None, 0)
    assert type(decoded) is type(value)
    assert plainbuffer.encode_variant(value) == variant
    assert plainbuffer.decode_variant(variant) == value


def test_not_a_number_keeps_its_bits() -> None:
    variant = b"\x01" + struct.pack("<Q", 0x7FF8_0000_0000_1234)
    value = plainbuffer.decode_variant(variant)
    assert isinstance(value, float)
    assert math.isnan(value)
    assert plainbuffer.encode_variant(value) == variant


@pytest.mark.parametrize(("marker", "variant"), MARKERS)
def test_markers_in_keys(marker: KeyMarker, variant: bytes) -> None:
    expected = HEADER + row([cell(b"id", variant)])
    assert plainbuffer.encode_key((("id", marker),)) == expected
    (((_, decoded),), cells, is_delete) = plainbuffer.decode_row(expected)
    assert decoded is marker
    assert (cells, is_delete) == ([], False)
    assert plainbuffer.decode_variant(plainbuffer.encode_variant(marker)) is marker


def test_null_decodes_to_none() -> None:
    assert plainbuffer.decode_variant(b"\x06") is None
    assert plainbuffer.decode_row(HEADER + row([ID], [cell(b"c", b"\x06")]))[1] == [("c", None, None, 0)]


@pytest.mark.parametrize("op", [1, 3, 4])
def test_operations_of_an_update(op: int) -> None:
    stamp = struct.pack("<q", 5)
    expected = HEADER + row([ID], [cell(b"c", integer(2), bytes([op]), stamp), cell(b"d", op=bytes([op]))])
    changes: list[tuple[str, Value | None, int | None, int]] = [("c", 2, 5, op), ("d", None, None, op)]
    assert plainbuffer.decode_row(expected)[1] == changes
    assert plainbuffer.encode_change((("id", "k1"),), changes, False) == expected


def test_delete_marker() -> None:
    expected = HEADER + row([ID], delete=True)
    assert plainbuffer.decode_row(expected) == ((("id", "k1"),), [], True)
    assert plainbuffer.encode_change((("id", "k1"),), [], True) == expected


def test_rows_back_to_back_and_none_at_all() -> None:
    data = HEADER + row([ID], [cell(b"a", integer(1))]) + row([ID])
    assert plainbuffer.encode_rows([((("id", "k1"),), [("a", 1, None)]), ((("id", "k1"),), [])]) == data
    assert plainbuffer.decode_rows(data) == [
        ((("id", "k1"),), [("a", 1, None, 0)], False),
        ((("id", "k1"),), [], False),
    ]
    assert plainbuffer.encode_rows([]) == b""
    assert plainbuffer.decode_rows(b"") == []


def test_absent_parts_leave_no_tag() -> None:
    assert plainbuffer.encode_row((), []) == HEADER + row()
    assert plainbuffer.encode_row((), [("a", 1, None)]) == HEADER + row(None, [cell(b"a", integer(1))])
    # The SDK writes ROW_PK even where it was given no key; what that means is for the table to say.
    assert plainbuffer.decode_row(HEADER + row([])) == ((), [], False)


def test_stored_cells() -> None:
    cells: list[tuple[str, Value, int]] = [("a", 1, 5), ("a", 0, 4), ("b", b"\0", 5)]
    data = plainbuffer.encode_cells(cells)
    assert data == plainbuffer.encode_row((), cells)
    assert plainbuffer.decode_cells(data) == cells
    assert plainbuffer.decode_cells(plainbuffer.encode_cells([])) == []


def test_stored_cells_have_no_bound_a_client_row_does() -> None:
    most = limits.COLUMNS_PER_WRITE_MAX
    cells: list[tuple[str, Value, int]] = [(f"c{i}", i, 1) for i in range(most + 1)]
    stored = plainbuffer.encode_cells(cells)
    assert plainbuffer.decode_cells(stored) == cells
    assert len(plainbuffer.decode_rows(stored)[0][1]) == most + 1
    assert len(plainbuffer.decode_row(plainbuffer.encode_cells(cells[:most]))[1]) == most
    with pytest.raises(ParameterInvalid, match=r"limit, limit count: 1024, column count: 1025\."):
        plainbuffer.decode_row(stored)
    many = [(f"c{i}", i, 1) for i in range(5_000)]
    with pytest.raises(ParameterInvalid, match=r"limit count: 1024, column count: 5000\."):
        plainbuffer.decode_row(plainbuffer.encode_cells(many))


def test_names_repeat_longer_and_stranger_than_the_cache_holds() -> None:
    names = ["a", "a" * 64, "a" * 65, "列", "", *(f"column{i}" for i in range(3000)), "a"]
    cells: list[tuple[str, Value, int]] = [(name, 1, 1) for name in names]
    for _ in range(2):
        assert [name for name, _, _ in plainbuffer.decode_cells(plainbuffer.encode_cells(cells))] == names


MALFORMED: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "header"),
    ("another header", b"\x76\0\0\0" + row([ID]), "header"),
    ("a header alone", HEADER, "before the row's checksum"),
    ("no row checksum", HEADER + row([ID])[:-2], "before the row's checksum"),
    ("row checksum cut off", HEADER + row([ID])[:-1], "before the row's checksum"),
    ("wrong row checksum", HEADER + row([ID], checksum=b"\x00"), "row checksum mismatch: 0x00 was sent"),
    ("wrong cell checksum", HEADER + row([(ID[0][:-1] + b"\0", b"\0")]), "key column 1 'id': checksum mismatch"),
    ("something after", HEADER + row([ID]) + b"\1", "1 bytes after the end"),
    ("something after zeros", HEADER + row([ID]) + b"\0\0\1\0", "4 bytes after the end"),
    ("a second row after zeros", HEADER + row([ID]) + b"\0" + row([ID]), "after the end"),
    ("zeros in a row", HEADER + b"\x01" + ID[0] + b"\0" + row()[-2:], "tag 0 where the row's checksum"),
    ("zeros before a row", HEADER + b"\0" + row([ID]), "tag 0 where the row's checksum"),
    ("more zeros than Node pads", HEADER + row([ID]) + bytes(PADDING_MAX + 1), "bytes after the end"),
    ("a second row", HEADER + row([ID]) + row([ID]), "after the end"),
    ("an unknown tag", HEADER + b"\x01" + ID[0] + b"\x0f", "tag 15 where the row's checksum"),
    ("an extension", HEADER + b"\x01" + ID[0] + b"\x0b\0\0\0\0", "tag 11 where the row's checksum"),
    ("data before key", HEADER + b"\x02" + cell(b"a", integer(1))[0] + b"\x01" + ID[0] + b"\x09\0", "tag 1 where"),
    ("two keys", HEADER + b"\x01" + ID[0] + b"\x01" + ID[0] + b"\x09\0", "tag 1 where"),
    ("a cell without name", HEADER + b"\x01\x03\x05", "key column 1: no name"),
    ("a key without value", HEADER + row([cell(b"id")]), "key column 1 'id': no value"),
    (
        "a key with a timestamp",
        HEADER + row([cell(b"id", integer(1), timestamp=b"\0" * 8)]),
        "tag 7 where the checksum",
    ),
    ("a key with an operation", HEADER + row([cell(b"id", integer(1), b"\x01")]), "tag 6 where the checksum"),
    (
        "type after timestamp",
        HEADER + b"\x02\x03\x04\0\0\0\0\x07" + b"\0" * 8 + b"\x06\x01",
        "tag 6 where the checksum",
    ),
    (
        "an unknown operation",
        HEADER + row([ID], [cell(b"a", integer(1), b"\x02")]),
        "column 1 'a': unknown cell type 2",
    ),
    ("an unknown value type", HEADER + row([ID], [cell(b"a", b"\x04")]), "'a': unknown value type 4"),
    ("a marker as a value", HEADER + row([ID], [cell(b"a", b"\x09")]), "VT_INF_MIN is not a type of an attribute"),
    ("a boolean of 2", HEADER + row([ID], [cell(b"a", b"\x02\x02")]), "a boolean of value 2"),
    ("a name that is not UTF-8", HEADER + row([cell(b"\xff", integer(1))]), r"'\\xff': not valid UTF-8"),
    ("a key that is not UTF-8", HEADER + row([cell(b"id", b"\x03\x01\0\0\0\xff")]), "'id': not valid UTF-8"),
    ("a surrogate", HEADER + row([ID], [cell(b"a", b"\x03\x03\0\0\0\xed\xa0\x80")]), "'a': not valid UTF-8"),
    ("a name beyond the end", HEADER + b"\x01\x03\x04\xff\xff\xff\xffid", "the name is said to be 4294967295 bytes"),
    (
        "a string beyond the end",
        HEADER + row([cell(b"id", b"\x03\xff\xff\xff\x7fx")]),
        "is said to be 2147483647 bytes",
    ),
    ("a length too small", HEADER + row([cell(b"id", integer(1), length=8)]), "said to be 8 bytes long, but takes 9"),
    ("a length too large", HEADER + row([cell(b"id", integer(1), length=10)]), "said to be 10 bytes long, but takes 9"),
    ("an integer cut off", HEADER + b"\x01\x03\x04\0\0\0\0\x05\x09\0\0\0\x00\1\2\3", "before the end of an integer"),
    ("17 key columns", HEADER + row([ID] * 17), r"^The number of primary key columns must be in range: \[1, 4\]\.$"),
    (
        "in the second column",
        HEADER + row([ID], [cell(b"a", integer(1)), cell(b"b", b"\x04")]),
        "column 2 'b': unknown",
    ),
]


@pytest.mark.parametrize(("data", "text"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_rows_are_refused_with_the_place(data: bytes, text: str) -> None:
    with pytest.raises(ParameterInvalid, match=text) as raised:
        plainbuffer.decode_row(data)
    assert type(raised.value) is ParameterInvalid


@pytest.mark.parametrize("variant", [b"\x01" + b"\0" * 8, b"\x02\x01", b"\x06"])
def test_types_no_key_has(variant: bytes) -> None:
    with pytest.raises(ParameterInvalid, match=r"^VT_[A-Z]+ is an invalid type for the primary key\.$"):
        plainbuffer.decode_row(HEADER + row([cell(b"id", variant)]))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "before the type"),
        (b"\x04", "unknown value type 4"),
        (b"\x00\0", "end of an integer"),
        (integer(1) + b"\0", "1 bytes after the end"),
        (b"\x03\x05\0\0\0ab", "the string is said to be 5 bytes long, 2 are left"),
        (b"\x03\x01\0\0\0\xff", "not valid UTF-8"),
    ],
)
def test_malformed_variants(data: bytes, text: str) -> None:
    with pytest.raises(ParameterInvalid, match=text):
        plainbuffer.decode_variant(data)


@pytest.mark.parametrize("size", [1, 5, 22, PADDING_MAX])
def test_zeros_behind_a_row_are_padding(size: int) -> None:
    data = HEADER + row([ID], [cell(b"a", integer(1))])
    assert plainbuffer.decode_row(data + bytes(size)) == plainbuffer.decode_row(data)
    assert plainbuffer.decode_rows(data + data[4:] + bytes(size)) == plainbuffer.decode_rows(data + data[4:])
    with pytest.raises(ParameterInvalid, match="tag 0 where the row's checksum"):
        plainbuffer.decode_rows(data + bytes(size) + data[4:])


def test_the_row_of_many_that_is_wrong() -> None:
    with pytest.raises(ParameterInvalid, match="row 2: primary key column 1 'id': checksum mismatch"):
        plainbuffer.decode_rows(HEADER + row([ID]) + row([(ID[0][:-1] + b"\0", b"\0")]))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (HEADER + row([ID]), "no primary key columns"),
        (HEADER + row(None, [cell(b"a", integer(1))]), "has a value and a timestamp"),
        (HEADER + row(None, [cell(b"a", timestamp=b"\0" * 8)]), "has a value and a timestamp"),
        (HEADER + row(None, [cell(b"a", b"\x06", timestamp=b"\0" * 8)]), "has a value and a timestamp"),
        (HEADER + row(delete=True), "no delete marker"),
        (HEADER + row() + b"\0", "after the end"),
        (b"", "header"),
    ],
)
def test_stored_cells_that_encode_cells_did_not_write(data: bytes, text: str) -> None:
    with pytest.raises(Corruption, match=text):
        plainbuffer.decode_cells(data)


def test_corruption_of_stored_cells() -> None:
    data = bytearray(plainbuffer.encode_cells([("title", "otter", 1)]))
    data[data.index(b"otter")] ^= 1
    with pytest.raises(Corruption, match="attribute column 1 'title': checksum mismatch"):
        plainbuffer.decode_cells(bytes(data))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, None, [1], "\ud800", INF_MIN, bytearray(b"x")])
def test_values_no_column_holds(value: object) -> None:
    with pytest.raises(ParameterInvalid):
        plainbuffer.encode_cells([("a", value, 1)])  # type: ignore[list-item]


@pytest.mark.parametrize("value", [1.0, True])
def test_values_no_key_holds(value: object) -> None:
    with pytest.raises(InvalidPrimaryKey, match="'id'"):
        plainbuffer.encode_key([("id", value)])  # type: ignore[list-item]


def test_operations_there_are_not() -> None:
    with pytest.raises(ParameterInvalid, match="no cell operation 2"):
        plainbuffer.encode_change((("id", 1),), [("a", None, None, 2)], False)


@pytest.mark.parametrize(
    "call",
    [
        lambda: plainbuffer.decode_row("text"),  # type: ignore[arg-type]
        lambda: plainbuffer.encode_key(None),  # type: ignore[arg-type]
        lambda: plainbuffer.encode_key([("id",)]),  # type: ignore[list-item]
        lambda: plainbuffer.encode_key([(b"id", 1)]),  # type: ignore[list-item]
        lambda: plainbuffer.encode_key([["id", 1]]),  # type: ignore[list-item]
        lambda: plainbuffer.encode_cells([("a", 1)]),  # type: ignore[list-item]
        lambda: plainbuffer.encode_cells([("a", 1, "now")]),  # type: ignore[list-item]
        lambda: plainbuffer.encode_rows([((), [], False)]),  # type: ignore[list-item]
        lambda: plainbuffer.encode_rows({}),  # type: ignore[arg-type]
    ],
)
def test_rows_of_the_wrong_shape(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        call()


def test_long_values_grow_the_buffer() -> None:
    cells: list[tuple[str, Value, int]] = [(f"c{i}", "x" * (1 << i), i) for i in range(21)]
    assert plainbuffer.decode_cells(plainbuffer.encode_cells(cells)) == cells


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [("", 0), ("ab", 2), ("公司", 6), (b"", 0), (b"abc", 3), (0, 8), (2**62, 8), (0.5, 8), (True, 1), (None, 0)],
)
def test_what_a_row_counts(value: Value | None, size_bytes: int) -> None:
    change = [("c", value, None, 0), ("é", value, 5, 0)]
    for timestamp_bytes in (0, 8):
        counted = plainbuffer.measure_row((("id", 7),), change, timestamp_bytes)
        assert counted == 2 + 8 + 1 + 2 + 2 * size_bytes + timestamp_bytes
    assert plainbuffer.measure_row((), [], 8) == 0
    assert plainbuffer.measure_row((("id", AUTO_INCREMENT),), [], 0) == 2 + 8


def test_what_cannot_be_measured() -> None:
    with pytest.raises(ParameterInvalid, match="surrogate"):
        plainbuffer.measure_row((), [("\ud800", 1, 1)], 0)
    for cells in ([("a",)], ["ab"], [(1, 2)], None):
        with pytest.raises(TypeError):
            plainbuffer.measure_row((), cells, 0)  # type: ignore[arg-type]
