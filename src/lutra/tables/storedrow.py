"""A row as the store holds it under its key.

One byte for the form, then: 1, the cells in PlainBuffer; 2, a row that has none: when it was last written, 8 bytes, ms;
3, a row of a secondary index: the time of the oldest value in its key (`NO_KEY_TIME` where all are of the table's own
key) and that of its row's newest, 8 bytes each, ms, then the cells, if any. Cells lie by name ascending, newest version
first within a name.

A row without cells is still a row: put with its key alone, or left by an UpdateRow that deleted its last column
("deleting all attribute columns in a row is not the same as deleting the row", UpdateRow in the Tablestore
documentation).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from lutra.kernels.plainbuffer import decode_cells, encode_cells
from lutra.model.errors import Corruption, RowDamaged
from lutra.model.rows import Cell, KeyInput, PrimaryKey, Row
from lutra.model.values import INT64_MAX

if TYPE_CHECKING:
    from lutra.tables.table import Table

_CELLS: Final = b"\x01"
_NO_CELLS: Final = b"\x02"
_ENTRY: Final = b"\x03"
_TIMES: Final = struct.Struct(">cqq")
NO_KEY_TIME: Final = INT64_MAX


def encode(cells: list[Cell], now_ms: int) -> bytes:
    """The stored form. Raises ParameterInvalid for a value that no column can hold."""
    if cells:
        return _CELLS + encode_cells(cells)
    return _NO_CELLS + now_ms.to_bytes(8, "big", signed=True)


def encode_entry(key_ms: int, row_ms: int, cells: list[Cell]) -> bytes:
    """The stored form of a row of a secondary index."""
    times = _TIMES.pack(_ENTRY, key_ms, row_ms)
    return times + encode_cells(cells) if cells else times


def decode(value: bytes, table: Table, now_ms: int | None) -> list[Cell] | None:
    """The cells that are neither expired nor beyond the table's versions; None where the row has expired.

    A row whose cells have all expired is absent, for reads and conditions alike. ``now_ms`` None: as if nothing ever
    expired. Raises Corruption.
    """
    form = value[:1]
    oldest_ms = None if table.ttl_ms is None or now_ms is None else now_ms - table.ttl_ms
    if form == _CELLS:
        cells = decode_cells(value[1:])
        if oldest_ms is not None:
            cells = [cell for cell in cells if cell[2] >= oldest_ms]
            if not cells:
                return None
        return cells if table.one_version else newest(cells, table.max_versions)
    if form == _ENTRY:
        return _decode_entry(value, oldest_ms)
    if form != _NO_CELLS or len(value) != 9:
        raise Corruption(f"a stored row of table {table.name!r} has an unknown form")
    if oldest_ms is not None and int.from_bytes(value[1:], "big", signed=True) < oldest_ms:
        return None
    return []


def _decode_entry(value: bytes, oldest_ms: int | None) -> list[Cell] | None:
    """It is there as long as all of its key is, and anything of its row."""
    if len(value) < _TIMES.size:
        raise Corruption("a stored row of a secondary index is cut short")
    _, key_ms, row_ms = _TIMES.unpack_from(value)
    if oldest_ms is not None and (key_ms < oldest_ms or row_ms < oldest_ms):
        return None
    if len(value) == _TIMES.size:
        return []
    cells = decode_cells(value[_TIMES.size :])
    return cells if oldest_ms is None else [cell for cell in cells if cell[2] >= oldest_ms]


def written_ms(value: bytes, cells: list[Cell]) -> int:
    """When the newest of a stored row was written, of which ``cells`` is all there is."""
    return max(cell[2] for cell in cells) if cells else int.from_bytes(value[1:9], "big", signed=True)


def damaged(key: KeyInput, table: Table, error: Corruption) -> RowDamaged:
    """What to tell of a row that cannot be read."""
    if table.is_index:
        return RowDamaged(
            f"row {dict(key)} of secondary index [{table.name}] is damaged: {str(error).removesuffix('.')}. Its table "
            "has all rows: drop the index and create it again. `lutra fsck` tells all that is damaged."
        )
    return RowDamaged(
        f"row {dict(key)} of table [{table.name}] is damaged: {str(error).removesuffix('.')}. Write it anew or delete "
        "it, or put a backup in place. `lutra fsck` tells all that is damaged."
    )


def whole(key: PrimaryKey, value: bytes, table: Table, now_ms: int | None) -> Row | None:
    """The row with all that `decode` leaves of it, and its time where no cell has it. Raises RowDamaged."""
    try:
        cells = decode(value, table, now_ms)
    except Corruption as error:
        raise damaged(key, table, error) from error
    if cells is None:
        return None
    return Row(key, cells) if cells else Row(key, cells, int.from_bytes(value[1:], "big", signed=True))


def newest(cells: list[Cell], max_versions: int) -> list[Cell]:
    """At most ``max_versions`` of each column."""
    kept: list[Cell] = []
    name: str | None = None
    count = 0
    for cell in cells:
        if cell[0] != name:
            name = cell[0]
            count = 0
        count += 1
        if count <= max_versions:
            kept.append(cell)
    return kept
