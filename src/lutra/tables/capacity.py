"""Capacity units: one each 4 KB of a row, rounded up, at least one."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from lutra.model.schema import CapacityUnits

UNIT_BYTES: Final = 4_096


def units(size_bytes: int) -> int:
    """Of one row read or written, or looked for in vain."""
    return max(1, -(-size_bytes // UNIT_BYTES))


@lru_cache(maxsize=1_024)
def consumed(read: int, write: int) -> CapacityUnits:
    return CapacityUnits(read, write)
