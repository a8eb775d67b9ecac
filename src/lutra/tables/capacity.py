"""Capacity units: one each 4 KB of a row, rounded up, at least one.

What counts are the bytes of names and values of the key and of the columns read or written, and 8 of each version where
the table keeps several of them or lets them expire (Tablestore documentation, data sizes).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from lutra.kernels.plainbuffer import measure_row
from lutra.model.rows import Cell, PrimaryKey
from lutra.model.schema import CapacityUnits
from lutra.tables.table import Table

UNIT_BYTES: Final = 4_096


def row_bytes(table: Table, key: PrimaryKey, cells: list[Cell]) -> int:
    """What counts of these columns of a row."""
    return measure_row(key, cells, table.version_bytes)


def units(size_bytes: int) -> int:
    """Of one row read or written, or looked for in vain."""
    return max(1, -(-size_bytes // UNIT_BYTES))


@lru_cache(maxsize=1_024)
def consumed(read: int, write: int) -> CapacityUnits:
    return CapacityUnits(read, write)
