"""Recall on data that is not nice: some pictures of the gallery, small (``python -m bench.recall`` has all)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = (
    "one row x 1e+09",
    "1% of rows -9999",
    "10% of rows -999",
    "clumps of 100, 1.00%",
    "clumps of 1000, 0.10%",
    "half of rows equal",
    "scales over 6 decades",
    "queries between clumps",
    "queries x 10",
)


@pytest.mark.parametrize("kind", ["codes", "graph"])
def test_the_target_is_reached_and_every_row_finds_itself(kind: str) -> None:
    chosen = [option for picture in PICTURES for option in ("--only", picture)]
    size = ["--rows", "4000", "--dimension", "32", "--queries", "100", "--kind", kind, "--no-filters"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.recall", *size, *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > len(PICTURES)
