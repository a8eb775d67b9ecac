"""A row as the store holds it under its key.

One byte for the form, then: 1, the cells in PlainBuffer; 2, a row that has none: when it was last written, 8 bytes, ms.
Cells lie by name ascending, newest version first within a name.

A row without cells is still a row: put with its key alone, or left by an UpdateRow that deleted its last column
("deleting all attribute columns in a row is not the same as deleting the row", UpdateRow in the Tablestore
documentation).
"""

from __future__ import annotations

from typing import Final

from lutra.kernels.plainbuffer import decode_cells, encode_cells
from lutra.model.errors import Corruption, RowDamaged
from lutra.model.rows import Cell, KeyInput, PrimaryKey, Row
from lutra.tables.table import Table

_CELLS: Final = b"\x01"
_NO_CELLS: Final = b"\x02"


def encode(cells: list[Cell], now_ms: int) -> bytes:
    """The stored form. Raises ParameterInvalid for a value that no column can hold."""
    if cells:
        return _CELLS + encode_cells(cells)
    return _NO_CELLS + now_ms.to_bytes(8, "big", signed=True)


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
    if form != _NO_CELLS or len(value) != 9:
        raise Corruption(f"a stored row of table {table.name!r} has an unknown form")
    if oldest_ms is not None and int.from_bytes(value[1:], "big", signed=True) < oldest_ms:
        return None
    return []


def damaged(key: KeyInput, table: Table, error: Corruption) -> RowDamaged:
    """What to tell of a row that cannot be read."""
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
