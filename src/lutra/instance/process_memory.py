"""How much memory processes take, as the system counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def resident_bytes(pid: int | None = None) -> int:
    """Of a process, or of this one; 0 where it has ended or the system does not tell.

    What processes share counts for each: so all together is never too little. It costs some µs, however much it is.
    """
    try:
        pages = int(Path(f"/proc/{'self' if pid is None else pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def resident_of(pids: Iterable[int]) -> int:
    """Of several processes together."""
    return sum(resident_bytes(pid) for pid in pids)
