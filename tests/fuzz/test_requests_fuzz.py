"""The request fuzzer, for a short while; `-m slow` for longer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_requests.py")

guided = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install 'lutra[fuzz]'"
)


def run(folder: Path, *arguments: str, timeout_s: float) -> str:
    command = [sys.executable, str(FUZZER), *arguments]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, env=environment, cwd=folder, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def fuzz(tmp_path: Path, *options: str, timeout_s: float) -> None:
    """No crash, no 5xx, no input that takes over 5 s, at most 1 GB; then no memory is kept."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    limits = ("-timeout=5", "-rss_limit_mb=1024", "-max_len=4096")
    said = run(tmp_path, *limits, *options, str(corpus), timeout_s=timeout_s)
    assert "Instrumenting lutra.server.auth.gate" in said  # the guidance was there
    assert "Done " in said
    assert len(list(corpus.iterdir())) > 40  # and found ways the seeds did not take
    print(run(tmp_path, "--replay", str(corpus), timeout_s=timeout_s))


@guided
def test_any_request_is_answered_or_refused(tmp_path: Path) -> None:
    fuzz(tmp_path, "-runs=5000", "-seed=1", "-max_total_time=3", timeout_s=180)


@guided
@pytest.mark.slow
def test_any_request_is_answered_or_refused_at_length(tmp_path: Path) -> None:
    fuzz(tmp_path, "-max_total_time=60", timeout_s=400)


def requests_at_random(tmp_path: Path, seed: int, count: int, timeout_s: float) -> None:
    """No 5xx and no hang; and enough of them make sense, or nothing would have been looked at."""
    came = run(tmp_path, "--random", str(seed), str(count), timeout_s=timeout_s).splitlines()
    times = {(name, int(status)): int(n) for name, status, n in (line.split() for line in came if line.count(" ") == 2)}
    searches = sum(n for (name, _), n in times.items() if name == "Search")
    assert times["Search", 200] > searches // 5
    for name in ("ParallelScan", "ComputeSplits", "CreateSearchIndex", "UpdateSearchIndex", "PutRow"):
        assert times[name, 200] > 0


def test_requests_at_random(tmp_path: Path) -> None:
    requests_at_random(tmp_path, seed=1, count=1_200, timeout_s=120)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_requests_at_random_at_length(tmp_path: Path) -> None:
    requests_at_random(tmp_path, seed=2, count=30_000, timeout_s=850)
