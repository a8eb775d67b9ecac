"""``lutra demo``, whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest


def run_demo(data: Path) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "lutra.cli.main", "demo", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"COLUMNS": "140", "TERM": "dumb"},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_the_demo_answers_and_runs_again_faster(tmp_path: Path) -> None:
    started = time.monotonic()
    first = run_demo(tmp_path / "data")
    first_s = time.monotonic() - started
    rows = re.search(r"([\d,]+) modules, classes, functions", first)
    assert rows is not None
    assert int(rows[1].replace(",", "")) >= 8_000
    for name in ("re.Pattern.split", "shutil.copytree", "gzip.open", "lutra search --data"):
        assert name in first
    assert len(re.findall(r"rows searched in", first)) == 3
    assert first_s < 60

    started = time.monotonic()
    second = run_demo(tmp_path / "data")
    assert time.monotonic() - started < first_s
    assert "shutil.copytree" in second


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finished = subprocess.run(
        [sys.executable, "-m", "lutra.cli.main", "demo", "--data", str(tmp_path / "file" / "data")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 1
    assert "Error: cannot use" in finished.stderr
