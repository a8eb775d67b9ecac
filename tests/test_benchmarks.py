"""Every benchmark says what it measures and how to run it."""

from __future__ import annotations

import json
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
# In one process: most of the time of one for each would be the imports that they share.
PROGRAM = """
import contextlib, io, json, runpy, sys
told = {}
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            status = "it goes on"
        except SystemExit as left:
            status = left.code
    told[module] = [status, printed.getvalue()]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[object, str]]:
    """Status and text of each."""
    command = [sys.executable, "-c", PROGRAM, *MODULES]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
    return {module: (status, text) for module, (status, text) in json.loads(ran.stdout).items()}


@pytest.mark.parametrize("module", MODULES)
def test_helps(told: dict[str, tuple[object, str]], module: str) -> None:
    status, text = told[module]
    assert status == 0
    assert "usage:" in text
    assert len(text.splitlines()) > 5
