"""A disk that fills up under a running engine, and has room again later: the kernel itself says ENOSPC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNSHARED = ["unshare", "--user", "--map-root-user", "--mount"]


def require_mounts(folder: Path) -> None:
    folder.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare on this machine")
    tried = subprocess.run(
        [*UNSHARED, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no disk may be mounted here: {tried.stderr.decode(errors='replace').strip()}")


@pytest.mark.parametrize("full", ["objects", pytest.param("scratch", marks=pytest.mark.slow)])
def test_a_full_disk_loses_nothing(full: str, tmp_path: Path) -> None:
    require_mounts(tmp_path / "tried")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run(
        [*UNSHARED, sys.executable, "-m", "support.full_disk", str(tmp_path / "data"), full],
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    words = ran.stdout.split()
    assert (words[0], words[-2], words[-1]) == ("full", "recovered", "reopened")
    assert "answered" in words, "what is in memory is found while the disk is full"
