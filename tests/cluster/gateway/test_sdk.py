"""The official SDK's tests against three nodes, whose tables are cut among their keys: results are one server's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_SDK = "tests/server/sdk"
_OF_ONE_SERVER = ("test_restart.py", "test_embedding.py")
"""They start, stop and look into a server of their own."""


def _run(*arguments: str, cluster: str = "1") -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | {"LUTRA_TEST_CLUSTER": cluster}
    ran = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-20_000:]
    return ran.stdout


@pytest.mark.timeout(600)
def test_batches_over_partitions() -> None:
    assert " passed" in _run(f"{_SDK}/test_batches.py", "-k", "not async and not the_most")


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_rows_while_partitions_split_and_nodes_are_replaced() -> None:
    names = ("rows", "batches", "ranges", "keys", "conditions", "versions", "filters", "tables")
    told = _run(*(f"{_SDK}/test_{name}.py" for name in names), "-k", "not table_names_that_are_none", cluster="stirred")
    splits, replaced = re.findall(r"split (\d+) times, (\d+) nodes replaced", told)[0]
    assert int(splits) > 0
    assert int(replaced) > 0


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_all_of_it() -> None:
    assert " passed" in _run(_SDK, *(f"--ignore={_SDK}/{name}" for name in _OF_ONE_SERVER))
