"""Every benchmark says what it measures and how to run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for path in (ROOT / "bench").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text() and "argparse" in path.read_text()
)


@pytest.mark.parametrize("module", MODULES)
def test_helps(module: str) -> None:
    ran = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "usage:" in ran.stdout
    assert len(ran.stdout.splitlines()) > 5
