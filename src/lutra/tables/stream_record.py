"""A record of a stream as the store holds it, and the follower of a table that keeps one of each change.

Format byte 1, kind (1 byte), length of the original columns (4 bytes, big-endian; 0xFFFFFFFF where there are none),
these as PlainBuffer's cells, then the change as PlainBuffer's row, with the delete marker where the row is deleted. So
every cell carries its checksum.
"""

from __future__ import annotations

import struct
from typing import Final

from lutra.kernels.plainbuffer import decode_cells, decode_row, encode_cells, encode_change
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.rows import Cell, CellChange, CellOperation, ChangeKind, PrimaryKey
from lutra.model.schema import StreamSpec
from lutra.model.streams import StreamPlace, StreamRecord
from lutra.tables import cells as cell_changes
from lutra.tables.effects import ChangedRow, Effects

_HEADER: Final = struct.Struct(">BBI")
_FORMAT: Final = 1
_NO_ORIGINAL: Final = 0xFFFF_FFFF


class StreamFollower:
    """Keeps a record of each change of a table, in the commit of the change."""

    def __init__(self, prefix: bytes, spec: StreamSpec) -> None:
        """``prefix``: of the keys of the stream's records."""
        self._prefix = prefix
        self._original = spec.original_columns

    @property
    def needs_old(self) -> bool:
        return bool(self._original)

    def row_changed(self, row: ChangedRow, effects: Effects) -> None:
        original: list[Cell] | None = None
        if self._original and row.old is not None:
            original = cell_changes.newest_of(row.old, self._original)
        effects.keep(self._prefix, encode(row.change.kind, row.key, _done_to(row), original))


def encode(kind: ChangeKind, key: PrimaryKey, cells: list[CellChange], original: list[Cell] | None) -> bytes:
    """The stored form."""
    change = encode_change(key, cells, kind is ChangeKind.DELETE)
    if original is None:
        return _HEADER.pack(_FORMAT, kind, _NO_ORIGINAL) + change
    before = encode_cells(original)
    return _HEADER.pack(_FORMAT, kind, len(before)) + before + change


def decode(place: StreamPlace, data: bytes) -> StreamRecord:
    """The record that is stored at ``place``. Raises Corruption."""
    try:
        stored_format, kind, size = _HEADER.unpack_from(data)
        if stored_format != _FORMAT:
            raise ValueError(f"it has format {stored_format}; this version reads {_FORMAT}")
        begin = _HEADER.size
        original: list[Cell] | None = None
        if size != _NO_ORIGINAL:
            original = decode_cells(data[begin : begin + size])
            begin += size
        key, cells, _ = decode_row(data[begin:])
        return StreamRecord(place, ChangeKind(kind), key, cells, original)  # type: ignore[arg-type]
    except (struct.error, ValueError, ParameterInvalid, Corruption) as error:
        raise Corruption(f"record {place.time_us}/{place.index} is damaged: {error}") from error


def _done_to(row: ChangedRow) -> list[CellChange]:
    if row.change.kind is not ChangeKind.UPDATE:
        return [(name, value, timestamp_ms, CellOperation.PUT) for name, value, timestamp_ms in row.new or ()]
    done = cell_changes.resolved(row.old or [], row.change.cells, row.now_ms)
    if row.table.update_full_row and row.new:  # which has one time
        at_ms = row.new[0][2]
        done = [(name, value, at_ms if kind == CellOperation.PUT else ms, kind) for name, value, ms, kind in done]
    return done
