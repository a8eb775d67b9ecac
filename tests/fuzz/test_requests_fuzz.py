"""The request fuzzer, for a short while; `-m slow` for longer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_requests.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install 'lutra[fuzz]'"
)


def run(corpus: Path, *options: str, timeout_s: float) -> str:
    command = [sys.executable, str(FUZZER), *options, str(corpus)]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, env=environment, cwd=corpus.parent, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def fuzz(tmp_path: Path, *options: str, timeout_s: float) -> None:
    """No crash, no 5xx, no input that takes over 5 s, at most 1 GB; then no memory is kept."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    said = run(corpus, "-timeout=5", "-rss_limit_mb=1024", "-max_len=4096", *options, timeout_s=timeout_s)
    assert "Instrumenting lutra.server.auth.gate" in said  # the guidance was there
    assert "Done " in said
    assert len(list(corpus.iterdir())) > 40  # and found ways the seeds did not take
    print(run(corpus, "--replay", timeout_s=timeout_s))


def test_any_request_is_answered_or_refused(tmp_path: Path) -> None:
    fuzz(tmp_path, "-runs=5000", "-seed=1", "-max_total_time=3", timeout_s=60)


@pytest.mark.slow
def test_any_request_is_answered_or_refused_at_length(tmp_path: Path) -> None:
    fuzz(tmp_path, "-max_total_time=60", timeout_s=110)
