"""Reads a SimpleRowMatrix byte by byte, as the official Java SDK does, and believes nothing."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lutra.model.values import Value

_TYPES = {0: 8, 1: 8, 2: 1, 6: 0}


@dataclass
class Matrix:
    key_names: list[str]
    column_names: list[str]
    rows: list[list[Value | None]]
    """A value for each name, those of the key first."""


def crc8(data: bytes) -> int:
    """Bit by bit, as the polynomial defines it, over tables of a byte."""
    crc = 0
    for byte in data:
        crc = _TABLE[crc ^ byte]
    return crc


def _row_of_table(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ 0x07) & 0xFF if byte & 0x80 else byte << 1
    return byte


_TABLE = [_row_of_table(byte) for byte in range(256)]


def read_matrix(data: bytes) -> Matrix:
    version, rows_at, options_at, key_count, column_count = struct.unpack_from("<4s4i", data)
    assert version == b"SRM0"
    names, at = [], 20
    for _ in range(key_count + column_count):
        (size,) = struct.unpack_from("<h", data, at)
        names.append(data[at + 2 : at + 2 + size].decode())
        at += 2 + size
    assert at == options_at
    tag_entire, entire, tag_count, row_count = struct.unpack_from("<BBBi", data, options_at)
    assert (tag_entire, entire, tag_count) == (10, 1, 3)
    assert rows_at == options_at + 7
    assert data[-2] == 1
    assert data[-1] == crc8(data[:-1])
    rows, at = [], rows_at
    while at < len(data) - 2:
        assert data[at] == 2
        at += 1
        row = []
        for _ in names:
            value, at = _read_value(data, at)
            row.append(value)
        rows.append(row)
    assert at == len(data) - 2
    assert len(rows) == row_count
    return Matrix(names[:key_count], names[key_count:], rows)


def _read_value(data: bytes, at: int) -> tuple[Value | None, int]:
    kind, at = data[at], at + 1
    if kind in (3, 7):
        (size,) = struct.unpack_from("<i", data, at)
        raw, end = data[at + 4 : at + 4 + size], at + 4 + size
        assert len(raw) == size
        return (raw.decode() if kind == 3 else raw), end
    end = at + _TYPES[kind]
    if kind == 0:
        return struct.unpack_from("<q", data, at)[0], end
    if kind == 1:
        return struct.unpack_from("<d", data, at)[0], end
    if kind == 2:
        assert data[at] in (0, 1)
        return data[at] == 1, end
    return None, end
