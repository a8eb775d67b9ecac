"""A disk that fills up under a server: clients are told so, at once, and read on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNSHARED = ["unshare", "--user", "--map-root-user", "--mount"]


def test_clients_are_told_that_the_disk_is_full(tmp_path: Path) -> None:
    (tmp_path / "tried").mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare on this machine")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "tried")]
    if subprocess.run([*UNSHARED, *mount], capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    ran = subprocess.run(
        [*UNSHARED, sys.executable, "-m", "support.full_disk_server", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert (told["status"], told["code"]) == (403, "OTSQuotaExhausted")
    assert "No space left on device" in told["message"]
    assert str(tmp_path) not in told["message"]
    assert told["found"] == told["written"] > 10
    assert "No space left on device" in told["log"]
