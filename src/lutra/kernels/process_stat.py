"""What Linux tells of a process in ``/proc/PID/stat``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAME: Final = 1
STATE: Final = 2
PARENT: Final = 3
USER_TICKS, SYSTEM_TICKS = 13, 14
STARTED_TICKS: Final = 21
"""Places of fields, each one less than its number in proc(5)."""


def stat_fields(pid: int) -> list[str]:
    """Raises OSError where there is no such process, or the system tells of none."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # The name of the program, in brackets, may hold anything, brackets among it.
    before, _, rest = text.rpartition(")")
    number, _, name = before.partition("(")
    return [number.strip(), name, *rest.split()]
