"""The gate on counters, by the command people renew it with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_recall_work_and_reads_are_those_of_the_baseline() -> None:
    """20,000 x 96, by given plans and as searches plan under filters: recall within 1 point, distances within 5 %,
    reads within 1 % (python -m bench.counters --renew); recall of what is planned at least .95."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.counters"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
