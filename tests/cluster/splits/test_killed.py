"""Killed at any moment of a split: either the parent is there or its children are, with all that there was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.one_node import Model, OneNode, serving

from lutra.cluster.splits.loans import Loans

TESTS = Path(__file__).parents[2]
TIMEOUT_S = 120
OPERATIONS_MAX = 200
EVERY = 20
"""In the fast tests."""


def filled(root: Path) -> Model:
    with OneNode(root) as node:
        model = {(shop, f"o{order}"): 100 * shop + order for shop in range(6) for order in range(10)}
        node.put_all({key: n for key, n in model.items() if n % 2})
        node.flush()
        node.put_all({key: n for key, n in model.items() if not n % 2})
        return model


def split_killed(root: Path, number: int) -> int:
    """How many operations there were; -1 where it was killed before its end."""
    process = subprocess.run(
        [sys.executable, "-m", "support.split_killed", str(root), str(number)],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    return int(process.stdout) if process.stdout else -1


def check_after(root: Path, model: Model) -> int:
    """How many partitions there are now. What was left is deleted, and another split is like any other."""
    with OneNode(root) as node:
        found = serving(node.map)
        assert len(found) in (1, 2)
        node.check(model)
        sweep = node.retirement()
        for _ in range(2):
            sweep.step()
        assert {entry.state.name for entry in node.map.partitions} == ({"SERVING"} if len(found) == 1 else SPLIT)
        assert {borrower for of in Loans(node.store).all().values() for borrower in of} <= set(found)
        node.put((3, "after"), 7)
        model = model | {(3, "after"): 7}
        node.split(found[0])
        node.check(model)
        return len(found)


SPLIT = {"SERVING", "RETIRED"}


def test_killed_now_and_then(tmp_path: Path) -> None:
    outcomes = killed_each(tmp_path, EVERY)
    assert set(outcomes) == {1, 2}


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_killed_at_every_operation(tmp_path: Path) -> None:
    outcomes = killed_each(tmp_path, 1)
    assert outcomes == sorted(outcomes), "from one moment on it is split"
    assert set(outcomes) == {1, 2}


def killed_each(folder: Path, step: int) -> list[int]:
    outcomes = []
    model = filled(folder / "filled")
    for number in range(1, OPERATIONS_MAX, step):
        root = Path(shutil.copytree(folder / "filled", folder / str(number)))
        done = split_killed(root, number)
        outcomes.append(check_after(root, model))
        if done >= 0:
            return outcomes
    raise AssertionError("a split takes more operations than that")
