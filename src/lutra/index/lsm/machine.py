"""How much memory there is for this process: of the machine, or of the container it runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CONTROL_GROUPS: Final = "sys/fs/cgroup"


def machine_memory_bytes(root: Path = Path("/")) -> int:
    """Of the machine, or of the control group this process is in, or one above it, where that may take less.

    ``root``: where ``proc`` and ``sys`` are.
    """
    total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([total_bytes, *_group_limits(root)])


def _group_limits(root: Path) -> Iterator[int]:
    """Of the groups of this process; of none where it is in none, or cannot tell."""
    mount = root / _CONTROL_GROUPS
    for controllers, path in _groups(root):
        is_unified = not controllers
        if not is_unified and "memory" not in controllers.split(","):
            continue
        top = mount if is_unified else mount / "memory"
        name = "memory.max" if is_unified else "memory.limit_in_bytes"
        # Within a container the path may be one of the host's, which is not there: its own group is at the top then.
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            if (limit := _number(group / name)) is not None:
                yield limit
            if group == top:
                break


def _groups(root: Path) -> Iterator[tuple[str, str]]:
    """Controllers and path of each group of this process."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) == 3:
            yield parts[1], parts[2]


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max": as much as there is
