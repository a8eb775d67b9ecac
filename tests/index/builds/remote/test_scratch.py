"""Folders of builds, and what becomes of those whose process was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lutra.index.builds.remote.scratch import own_folder
from lutra.model.errors import StorageFailure

KILLED = """
import os, signal, sys
from pathlib import Path
from lutra.index.builds.remote.scratch import own_folder
with own_folder("x", Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"1")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_goes_with_its_process(tmp_path: Path) -> None:
    with own_folder("x", tmp_path) as first:
        (first / "half").write_bytes(b"1")
        with own_folder("x", tmp_path) as second:
            assert first != second
            assert (first / "half").exists(), "who has it lives"
            assert second.stat().st_mode & 0o077 == 0
        assert not second.exists()
    assert list(first.parent.iterdir()) == []


def test_what_a_killed_process_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False
    )
    left = Path(killed.stdout.strip())
    assert (left / "half").exists()
    unlocked = left.parent / ("ab" * 8)  # somebody was killed while he deleted it
    unlocked.mkdir()
    others = left.parent / "somebody's"
    others.mkdir()
    with own_folder("x", tmp_path):
        assert not left.exists()
        assert not unlocked.exists()
        assert others.exists()


def test_somebody_elses_place_is_not_used(tmp_path: Path) -> None:
    root = tmp_path / f"x-{os.getuid()}"
    root.mkdir()
    root.chmod(0o755)
    with pytest.raises(StorageFailure, match="alone"), own_folder("x", tmp_path):
        pass
    root.rmdir()
    root.write_bytes(b"")
    with pytest.raises(StorageFailure), own_folder("x", tmp_path):
        pass
