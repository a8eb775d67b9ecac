"""The official SDK's tests against three nodes, whose tables are cut among their keys: results are one server's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_SDK = "tests/server/sdk"
_OF_ONE_SERVER = ("test_restart.py", "test_embedding.py")
"""They start, stop and look into a server of their own."""


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | {"LUTRA_TEST_CLUSTER": "1"}
    ran = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-20_000:]
    return ran.stdout


@pytest.mark.timeout(600)
def test_batches_over_partitions() -> None:
    assert " passed" in _run(f"{_SDK}/test_batches.py", "-k", "not async and not the_most")


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_all_of_it() -> None:
    assert " passed" in _run(_SDK, *(f"--ignore={_SDK}/{name}" for name in _OF_ONE_SERVER))
