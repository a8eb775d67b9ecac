"""Reads one PlainBuffer row tag by tag, as the official Go SDK does, with the extension that rows of streams have."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from lutra.kernels.plainbuffer import decode_variant
from lutra.model.values import KeyMarker, Value


@dataclass(frozen=True)
class SequenceInfo:
    epoch: int
    timestamp_us: int
    row_index: int


@dataclass
class PlainRow:
    """``cells``: name, value or None, type of the cell or None, timestamp or None."""

    key: list[tuple[str, Value | KeyMarker | None]]
    cells: list[tuple[str, Value | KeyMarker | None, int | None, int | None]]
    is_delete: bool
    sequence: SequenceInfo | None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def bytes(self) -> bytes:
        size = self.take("I")
        self.at += size
        return self.data[self.at - size : self.at]

    def next_is(self, tag: int) -> bool:
        if self.data[self.at] != tag:
            return False
        self.at += 1
        return True


def read_row(data: bytes) -> PlainRow:
    reader = _Reader(data)
    assert reader.take("I") == 0x75
    key, cells = [], []
    if reader.next_is(0x01):
        while reader.next_is(0x03):
            name, value, kind, at_ms = _cell(reader)
            assert (kind, at_ms) == (None, None)
            key.append((name, value))
    if reader.next_is(0x02):
        while reader.next_is(0x03):
            cells.append(_cell(reader))
    is_delete = reader.next_is(0x08)
    sequence = _extension(reader) if reader.next_is(0x0B) else None
    assert reader.next_is(0x09)
    reader.take("B")
    assert reader.at == len(data)
    return PlainRow(key, cells, is_delete, sequence)


def _cell(reader: _Reader) -> tuple[str, Value | KeyMarker | None, int | None, int | None]:
    assert reader.next_is(0x04)
    name = reader.bytes().decode()
    value = decode_variant(reader.bytes()) if reader.next_is(0x05) else None
    kind = reader.take("B") if reader.next_is(0x06) else None
    at_ms = reader.take("q") if reader.next_is(0x07) else None
    assert reader.next_is(0x0A)
    reader.take("B")
    return name, value, kind, at_ms


def _extension(reader: _Reader) -> SequenceInfo:
    end = reader.take("I") + reader.at
    assert reader.next_is(0x0C)
    assert reader.take("I") + reader.at == end
    assert reader.next_is(0x0D)
    epoch = reader.take("I")
    assert reader.next_is(0x0E)
    timestamp_us = reader.take("q")
    assert reader.next_is(0x0F)
    index = reader.take("I")
    assert reader.at == end
    return SequenceInfo(epoch, timestamp_us, index)
