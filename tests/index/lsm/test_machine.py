"""How much memory there is: of the machine, and of control groups as systems and containers have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lutra.index.lsm.machine import machine_memory_bytes

GIB = 1 << 30
TOTAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/", {}, TOTAL),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "536870912", "memory.max": "max"}, GIB // 2),
        ("0::/a", {"a/memory.max": str(2 * TOTAL)}, TOTAL),
        ("0::/../host/of/the/container", {"memory.max": "1048576"}, 1 << 20),
        ("5:cpu,memory:/a\n1:name=systemd:/b", {"memory/a/memory.limit_in_bytes": "1048576"}, 1 << 20),
        ("5:memory:/docker/1", {"memory/memory.limit_in_bytes": "1048576"}, 1 << 20),
        ("5:cpu:/a", {"a/memory.max": "1", "memory/a/memory.limit_in_bytes": "1"}, TOTAL),
        ("nonsense", {"memory.max": "1"}, TOTAL),
        ("0::/a", {"a/memory.max": "a lot"}, TOTAL),
    ],
)
def test_what_control_groups_leave(tmp_path: Path, groups: str, limits: dict[str, str], expected: int) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups + "\n")
    for name, text in limits.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    assert machine_memory_bytes(tmp_path) == expected


def test_this_machine(tmp_path: Path) -> None:
    assert machine_memory_bytes(tmp_path) == TOTAL, "where nothing tells of control groups"
    assert 0 < machine_memory_bytes() <= TOTAL
