"""Recall on data that is not nice: some pictures of the gallery, small (``python -m bench.recall`` has all)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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
FEW = ("10% of rows 100", "clumps of 1000, 0.10%", "random walk")
READ_MORE = 1.1
"""Than where all rows are compared: so much is never read."""


def hung(
    folder: Path, kind: str, pictures: tuple[str, ...], *options: str, timeout_s: float = 110
) -> list[dict[str, Any]]:
    """What was found of each picture; the target is reached, and every row finds itself."""
    chosen = [option for picture in pictures for option in ("--only", picture)]
    size = ["--rows", "4000", "--dimension", "32", "--kind", kind, "--no-times", "--no-filters"]
    written = folder / "hung.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench.recall", *size, *options, "--json", str(written), *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(written.read_text())
    assert {one["picture"] for one in found} >= set(pictures)
    for one in found:
        assert one["read_bytes"] <= READ_MORE * one["brute_force_bytes"], one
    return found


@pytest.mark.parametrize("kind", ["codes", "graph"])
def test_the_target_is_reached_and_every_row_finds_itself(tmp_path: Path, kind: str) -> None:
    for one in hung(tmp_path, kind, PICTURES, "--queries", "100"):
        assert one["measured"].split()[0] >= "0.92"


def test_a_mixture_of_segments_and_a_buffer(tmp_path: Path) -> None:
    for one in hung(tmp_path, "mixture", (*FEW, "clumps of 10, 0.10%"), "--queries", "30"):
        assert len(one["measured"].split(", ")) == 3, "a graph, and two segments of codes; what is flat needs no check"


@pytest.mark.parametrize("metric", ["cosine", "dot_product"])
def test_other_metrics(tmp_path: Path, metric: str) -> None:
    hung(tmp_path, "codes", FEW, "--queries", "40", "--metric", metric)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["codes", "graph"])
def test_every_row_of_every_picture_finds_itself(tmp_path: Path, kind: str, metric: str) -> None:
    every = ("--rows", "3000", "--own-rows", "3000", "--queries", "60", "--metric", metric)
    for one in hung(tmp_path, kind, (), *every, timeout_s=880):
        assert one["own"] == 1, one


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_ten_turnovers(tmp_path: Path) -> None:
    hung(tmp_path, "turnover", FEW, "--queries", "100", timeout_s=580)
